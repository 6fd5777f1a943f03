package history

import (
	"context"
	"errors"
	"os"
	"time"
)

// Pace of the writer.
const (
	batchRows  = 200
	linger     = 100 * time.Millisecond // in which single rows gather to a batch
	firstPause = 100 * time.Millisecond // after an error; doubled up to lastPause
	lastPause  = 15 * time.Second
	breath     = 10 * time.Millisecond // of the database between two batches of the cleaning
	lookEvery  = time.Second           // at whether the file is still there
)

// write is the one that talks to the database for all that changes.
func (s *Store) write() {
	w := writer{Store: s}
	defer w.leave()
	for !w.finished() {
		if err := w.step(); err != nil {
			w.failed(err)
			w.rest()
			continue
		}
		w.pause = 0
		w.idle()
	}
}

type writer struct {
	*Store
	options Options // of the database that is open, or to be opened
	pause   time.Duration
	looked  time.Time // after the file
	cleaned time.Time
	dirty   bool // there is more to clean
}

func (w *writer) finished() bool {
	rows, _, ended := w.queue.size()
	return ended && rows == 0 || w.base.Err() != nil
}

// step does what is to be done now.
func (w *writer) step() error {
	if o := *w.wish.Load(); o != w.options {
		w.disconnect()
		w.options = o
		w.stats.recovered()
		w.stats.measured(time.Time{}, 0)
		w.cleaned = time.Time{}
	}
	if !w.options.enabled() {
		rows, _, _ := w.queue.size()
		w.discard(Ended, rows)
		return nil
	}
	if err := w.connect(); err != nil {
		return err
	}
	rows := w.queue.head(batchRows)
	if len(rows) > 0 {
		if err := w.put(rows); err != nil {
			return err
		}
	}
	if w.stats.recovered() {
		w.options.log().Info("the history is written again", "database", kind(w.options))
	}
	return w.clean()
}

// connect makes sure that there is a database, and that the file is still the
// one that its path leads to.
func (w *writer) connect() error {
	if db := w.db.Load(); db != nil {
		if time.Since(w.looked) < lookEvery {
			return nil
		}
		w.looked = time.Now()
		err := db.gone()
		if err == nil {
			return nil
		}
		w.disconnect()
		return err
	}
	db, err := open(w.base, w.options)
	if err != nil {
		w.setAside(err)
		return err
	}
	w.looked = time.Now()
	w.db.Store(db)
	w.options.log().Info("the history is open", "database", kind(w.options))
	return nil
}

// put writes rows; if the database will not have one of them, all but that one.
func (w *writer) put(rows []entry) error {
	db := w.db.Load()
	err := db.insert(w.base, rows)
	if unfit(err) && len(rows) > 1 {
		for i := range rows {
			if err := w.put(rows[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if unfit(err) {
		w.options.log().Warn("a row of the history was refused", "id", rows[0].row.MessageID, "error", clip(err.Error(), 500))
		w.discard(Unfit, 1)
		return nil
	}
	if err == nil {
		w.queue.done(len(rows))
		w.stats.wrote(len(rows), w.now())
	}
	return err
}

func (w *writer) discard(why Cause, n int) {
	if n == 0 {
		return
	}
	w.queue.done(n)
	w.stats.drop(why, n)
	w.stats.done.Add(uint64(n))
}

// failed tells of an error once. The connection is given up, unless what is
// wrong will pass.
func (w *writer) failed(err error) {
	if w.base.Err() != nil {
		return
	}
	if w.stats.failed(err) {
		w.options.log().Error("the history cannot be written; mail flows on, rows wait", "database", kind(w.options), "error", clip(err.Error(), 500))
	}
	if !passing(err) {
		w.disconnect()
		w.setAside(err)
	}
}

// setAside moves a damaged file of ours away, so that a new one can begin. Only
// once: a second one wants somebody to look.
func (w *writer) setAside(err error) {
	if w.options.Path == "" || !corrupt(err) {
		return
	}
	aside := w.options.Path + ".corrupt"
	if _, err := os.Lstat(aside); !errors.Is(err, os.ErrNotExist) {
		return
	}
	if err := os.Rename(w.options.Path, aside); err != nil {
		return
	}
	for _, tail := range []string{"-wal", "-shm"} {
		_ = os.Rename(w.options.Path+tail, aside+tail) // often there is none
	}
	w.options.log().Error("the history's file is damaged; it was set aside and a new one begins", "file", aside)
}

func (w *writer) disconnect() {
	if db := w.db.Swap(nil); db != nil {
		_ = db.close() // there is nothing left that could be lost
	}
}

// rest waits after an error, longer each time.
func (w *writer) rest() {
	w.pause = min(max(2*w.pause, firstPause), lastPause)
	limit := w.pause
	stopping := w.stop
	select {
	case <-w.stop:
		limit, stopping = firstPause, nil // Close has little time
	default:
	}
	w.wait(limit, stopping, nil)
}

// idle waits for work.
func (w *writer) idle() {
	rows, _, ended := w.queue.size()
	switch {
	case ended || rows >= batchRows:
	case w.dirty:
		w.wait(breath, w.stop, nil)
	case rows > 0:
		w.wait(linger, w.stop, nil)
	default:
		w.wait(lookEvery, nil, w.queue.arrived)
		if rows, _, ended := w.queue.size(); !ended && rows < batchRows {
			w.wait(linger, w.stop, nil)
		}
	}
}

func (w *writer) wait(limit time.Duration, stop <-chan struct{}, more <-chan struct{}) {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-t.C:
	case <-stop:
	case <-more:
	case <-w.changed:
	case <-w.base.Done():
	}
}

// leave counts what could not be written.
func (w *writer) leave() {
	if db := w.db.Load(); db != nil && w.base.Err() == nil {
		db.settle(context.WithoutCancel(w.base))
	}
	w.disconnect()
	rows, _, _ := w.queue.size()
	w.discard(Ended, rows)
}
