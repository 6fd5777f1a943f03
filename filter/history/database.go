package history

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"
)

// database is an open one, whose tables are of our version.
type database struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB
	options Options
	file    *identity // of SQLite; nil of PostgreSQL
}

// dialect is what SQLite and PostgreSQL do in ways of their own.
type dialect struct {
	name string
	// lock keeps all others from changing the tables until the transaction ends.
	lock string
	// nextID gives the first of n new ids, one after the other or not.
	nextIDs func(ctx context.Context, tx *sql.Tx, n int) ([]int64, error)
	// limit bounds a question on the side of the server; nil: cancelling is enough.
	limit func(time.Duration) string
	// size gives the bytes in use.
	size string
	// numbered: parameters are $1, not ?.
	numbered bool
}

// Times that the database gets before it counts as away.
const (
	openTimeout  = 15 * time.Second
	writeTimeout = 15 * time.Second
)

// open connects, makes or renews the tables, and is ready to write.
func open(ctx context.Context, o Options) (*database, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	connect := openPostgres
	if o.Path != "" {
		connect = openSQLite
	}
	d, err := connect(o)
	if err != nil {
		return nil, err
	}
	if err := d.migrate(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.identify(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *database) close() error { return errors.Join(d.read.Close(), d.write.Close()) }

// sql writes the parameters, each "?" of ours, as the database wants them.
func (d dialect) sql(query string) string {
	if !d.numbered {
		return query
	}
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, more := strings.Cut(query, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// change runs f in a transaction that is committed unless f fails.
func (d *database) change(ctx context.Context, f func(*sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	tx, err := d.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // the error that counts is the first
		return err
	}
	return tx.Commit()
}

// ask runs a question that changes nothing, within the time that one may take.
func (d *database) ask(ctx context.Context, query string, args []any, each func(*sql.Rows) error) error {
	limit := d.options.queryTimeout()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tx, err := d.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: d.dialect.limit != nil})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // there is nothing to keep
	if d.dialect.limit != nil {
		if _, err := tx.ExecContext(ctx, d.dialect.limit(limit)); err != nil {
			return err
		}
	}
	rows, err := tx.QueryContext(ctx, d.dialect.sql(query), args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
