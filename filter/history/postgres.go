package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// CheckURL tells in words that hold no password what is wrong with an URL.
func CheckURL(o Options) error {
	if o.Path != "" || o.URL == "" {
		return nil
	}
	_, err := postgresConfig(o)
	return err
}

// postgresConfig reads an URL. Where it does not say otherwise, statements are
// sent without being prepared before: one round trip, and right behind a
// PgBouncer that hands each transaction to another connection.
func postgresConfig(o Options) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the history's URL is not one of PostgreSQL: %w", err)
	}
	if !strings.Contains(o.URL, "default_query_exec_mode=") {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	if c.ConnectTimeout <= 0 || c.ConnectTimeout > openTimeout {
		c.ConnectTimeout = 5 * time.Second
	}
	return c, nil
}

func openPostgres(o Options) (*database, error) {
	c, err := postgresConfig(o)
	if err != nil {
		return nil, err
	}
	write, read := stdlib.OpenDB(*c), stdlib.OpenDB(*c)
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(4)
	for _, db := range []*sql.DB{write, read} {
		db.SetConnMaxIdleTime(time.Minute)
		db.SetConnMaxLifetime(30 * time.Minute) // so that a server that moved is found
	}
	return &database{dialect: postgresDialect(), write: write, read: read, options: o}, nil
}

func postgresDialect() dialect {
	return dialect{
		name:     "postgres",
		numbered: true,
		lock:     fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(0x73656b696d6f7269)),
		limit:    func(d time.Duration) string { return fmt.Sprintf("SET LOCAL statement_timeout = %d", d.Milliseconds()) },
		size: "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class" +
			" WHERE oid IN ('sekimori_verdict'::regclass, 'sekimori_party'::regclass, 'sekimori_detail'::regclass, 'sekimori_tally'::regclass)",
		nextIDs: func(ctx context.Context, tx *sql.Tx, n int) ([]int64, error) {
			rows, err := tx.QueryContext(ctx, "SELECT nextval('sekimori_verdict_id') FROM generate_series(1, $1)", n)
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			ids := make([]int64, 0, n)
			for rows.Next() {
				var id int64
				if err := rows.Scan(&id); err != nil {
					return nil, err
				}
				ids = append(ids, id)
			}
			return ids, rows.Err()
		},
	}
}

// unfit tells that the database is well and refuses these very rows (classes 22
// and 23 of SQLSTATE; SQLite's limits and constraints).
func unfit(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return strings.HasPrefix(e.Code, "22") || strings.HasPrefix(e.Code, "23")
	}
	return sqliteUnfit(err)
}
