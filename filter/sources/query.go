package sources

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

// query reads a source that is a query.
type query struct {
	source Source
	last   owners
	told   []string
}

func (q *query) watched() []string { return nil }

// look asks the database. It connects anew each time: a source is asked every
// half a minute, and a connection that is kept may be dead.
func (q *query) look(ctx context.Context, _ time.Time) content {
	c, err := q.ask(ctx)
	if err == nil {
		err = c.verdict()
	}
	if err != nil {
		return content{found: q.last, told: q.told, broken: err}
	}
	changed := q.last == nil || !maps.Equal(q.last, c.found)
	if changed {
		q.last = c.found
	}
	q.told = c.told
	return content{found: q.last, told: q.told, changed: changed}
}

func (q *query) ask(ctx context.Context) (c *collector, err error) {
	ctx, cancel := context.WithTimeout(ctx, q.source.Timeout)
	defer cancel()
	db, err := openDatabase(q.source.Database)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// What only reads cannot break what it reads.
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := tx.QueryContext(ctx, q.source.Query)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	return collectRows(rows)
}

// collectRows takes rows of a domain, or of a domain and its customer.
func collectRows(rows *sql.Rows) (*collector, error) {
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var domain, customer sql.NullString
	into := []any{&domain, &customer}
	if n := len(columns); n < 1 || n > 2 {
		return nil, fmt.Errorf("the query gives %d columns; it must give the domain, or the domain and its customer", n)
	}
	c := newCollector("")
	for n := 1; rows.Next(); n++ {
		if err := rows.Scan(into[:len(columns)]...); err != nil {
			return nil, err
		}
		if n > 2*maxDomains {
			return nil, errTooMany
		}
		if !domain.Valid {
			c.fault(n, "the domain is NULL")
		} else if err := c.add(n, domain.String, strings.TrimSpace(customer.String)); err != nil {
			return nil, err
		}
	}
	return c, rows.Err()
}

var errDatabase = errors.New(`not the address of a database, as "postgres://panel@127.0.0.1/panel" or "sqlite:/var/lib/panel/panel.db"`)

// openDatabase makes a handle, and does not connect yet. What it says of a wrong
// address has nothing of that in it: there may be a password.
func openDatabase(address string) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		if !strings.HasPrefix(path, "/") {
			return nil, errDatabase
		}
		file := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_pragma=busy_timeout(2000)&_pragma=query_only(1)"}
		return sql.Open("sqlite", file.String())
	}
	if !isPostgres(address) {
		return nil, errDatabase
	}
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errDatabase
	}
	return stdlib.OpenDB(*cfg), nil
}

func isPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// CheckDatabase finds addresses that are none.
func CheckDatabase(address string) error {
	db, err := openDatabase(address)
	if err != nil {
		return err
	}
	return db.Close()
}

// withoutSecrets is an address that may be seen and kept.
func withoutSecrets(address string) string {
	u, err := url.Parse(address)
	if err != nil || !isPostgres(address) {
		return address
	}
	values := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		values.Del(secret)
	}
	u.RawQuery = values.Encode()
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String()
}
