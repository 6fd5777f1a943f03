package history

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// ErrNewer is of tables that a later version of the program has made.
var ErrNewer = errors.New("the history database is of a newer version of Sekimori")

// migrate brings the tables to our version. Several nodes may do so at once: one
// does it, the others wait and find it done.
func (d *database) migrate(ctx context.Context) error {
	steps, err := fs.Sub(migrations, "migrations/"+d.dialect.name)
	if err != nil {
		return err
	}
	return d.migrateTo(ctx, steps)
}

// migrateTo runs the files 001.sql, 002.sql... that the database has not seen,
// all or none.
func (d *database) migrateTo(ctx context.Context, steps fs.FS) error {
	names, err := fs.Glob(steps, "*.sql")
	if err != nil {
		return err
	}
	return d.change(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, d.dialect.lock); err != nil {
			return fmt.Errorf("lock for migration: %w", err)
		}
		version, err := d.version(ctx, tx)
		if err != nil || version == len(names) {
			return err
		}
		if version > len(names) {
			return fmt.Errorf("%w: its tables have version %d, this program knows %d; use the newer program, or another database",
				ErrNewer, version, len(names))
		}
		for _, name := range names[version:] {
			if err := runStep(ctx, tx, steps, name); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, d.dialect.sql("UPDATE sekimori_schema SET version = ?"), len(names))
		return err
	})
}

func runStep(ctx context.Context, tx *sql.Tx, steps fs.FS, name string) error {
	text, err := fs.ReadFile(steps, name)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, string(text)); err != nil {
		return fmt.Errorf("migration %s: %w", name, err)
	}
	return nil
}

// version is how many steps were made.
func (d *database) version(ctx context.Context, tx *sql.Tx) (version int, err error) {
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS sekimori_schema (version INTEGER NOT NULL)"); err != nil {
		return 0, fmt.Errorf("make the tables: %w", err)
	}
	err = tx.QueryRowContext(ctx, "SELECT version FROM sekimori_schema").Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO sekimori_schema (version) VALUES (0)")
	}
	return version, err
}
