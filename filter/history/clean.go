package history

import (
	"context"
	"database/sql"
	"time"
)

// Pace of the cleaning: rows go in small batches, between which mail is written.
const (
	cleanEvery = time.Minute
	cleanRows  = 500
)

// clean takes away what is too old or too much, one batch a call, and looks at
// the size once a minute. As long as there is more to do, it does so at each call.
func (w *writer) clean() error {
	if !w.cleaned.IsZero() && time.Since(w.cleaned) < cleanEvery {
		return nil
	}
	db := w.db.Load()
	old := time.Time{}
	if w.options.Retention > 0 {
		old = w.now().Add(-w.options.Retention)
	}
	n, err := db.deleteBefore(w.base, old)
	if err != nil {
		return err
	}
	oldest, size, err := db.measure(w.base)
	if err != nil {
		return err
	}
	if n < cleanRows && w.options.Path != "" && w.options.MaxSize > 0 && size > w.options.MaxSize && !oldest.IsZero() {
		more, err := db.deleteOldest(w.base)
		if err != nil {
			return err
		}
		n += more
	}
	w.stats.deleted.Add(uint64(n))
	w.stats.measured(oldest, size)
	if w.dirty = n >= cleanRows; !w.dirty {
		w.cleaned = time.Now()
		db.settle(w.base)
	}
	return nil
}

// deleteBefore takes one batch of old rows away, and all old sums.
func (d *database) deleteBefore(ctx context.Context, old time.Time) (n int, err error) {
	if old.IsZero() {
		return 0, nil
	}
	err = d.change(ctx, func(tx *sql.Tx) error {
		if n, err = deleted(tx.ExecContext(ctx, d.dialect.sql("DELETE FROM sekimori_verdict WHERE id IN"+
			" (SELECT id FROM sekimori_verdict WHERE at < ? ORDER BY at, id LIMIT ?)"), stamp(old), cleanRows)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, d.dialect.sql("DELETE FROM sekimori_tally WHERE at < ?"), stamp(old.Add(-Bucket)))
		return err
	})
	return n, err
}

// deleteOldest takes one batch away, however old it is.
func (d *database) deleteOldest(ctx context.Context) (n int, err error) {
	err = d.change(ctx, func(tx *sql.Tx) error {
		n, err = deleted(tx.ExecContext(ctx, d.dialect.sql("DELETE FROM sekimori_verdict WHERE id IN"+
			" (SELECT id FROM sekimori_verdict ORDER BY at, id LIMIT ?)"), cleanRows))
		return err
	})
	return n, err
}

func deleted(r sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	return int(n), err
}

// measure gives when the oldest row came, and the bytes of all.
func (d *database) measure(ctx context.Context) (oldest time.Time, size int64, err error) {
	var at sql.NullInt64
	each := func(r *sql.Rows) error { return r.Scan(&at) }
	if err := d.ask(ctx, "SELECT min(at) FROM sekimori_verdict", nil, each); err != nil {
		return time.Time{}, 0, err
	}
	if at.Valid {
		oldest = unstamp(at.Int64)
	}
	err = d.ask(ctx, d.dialect.size, nil, func(r *sql.Rows) error { return r.Scan(&size) })
	return oldest, size, err
}

// settle gives pages of deleted rows back to the file system, some at a time. It
// may fail: the next one will do.
func (d *database) settle(ctx context.Context) {
	if d.file == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	_, _ = d.write.ExecContext(ctx, "PRAGMA incremental_vacuum(2000)")
}
