package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// openSQLite opens a file, and makes it readable to nobody else where it is new.
//
// In WAL mode with synchronous=NORMAL a commit waits for no disk: what a crash of
// the machine takes is the last moments, never the file.
func openSQLite(o Options) (*database, error) {
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	name := "file:" + (&url.URL{Path: o.Path}).EscapedPath()
	const common = "?_pragma=busy_timeout(2000)&_pragma=foreign_keys(1)"
	write, err := sql.Open("sqlite", name+common+"&_txlock=immediate&_pragma=auto_vacuum(2)&_pragma=journal_mode(wal)"+
		"&_pragma=synchronous(1)&_pragma=journal_size_limit(16777216)")
	if err != nil {
		return nil, err
	}
	read, err := sql.Open("sqlite", name+common+"&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(4)
	return &database{dialect: sqliteDialect(), write: write, read: read, options: o}, nil
}

func sqliteDialect() dialect {
	return dialect{
		name: "sqlite",
		lock: "SELECT 1", // the transaction is an immediate one
		size: "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)" +
			" - (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size)",
		nextIDs: func(ctx context.Context, tx *sql.Tx, n int) ([]int64, error) {
			var last int64
			if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM sekimori_verdict").Scan(&last); err != nil {
				return nil, err
			}
			ids := make([]int64, n)
			for i := range ids {
				ids[i] = last + int64(i) + 1
			}
			return ids, nil
		},
	}
}

// identity tells whether a path still leads to the file that was opened.
type identity struct {
	path string
	info fs.FileInfo
}

func (d *database) identify() error {
	if d.options.Path == "" {
		return nil
	}
	info, err := os.Stat(d.options.Path)
	d.file = &identity{d.options.Path, info}
	return err
}

// gone tells that the file was deleted or replaced: SQLite would go on writing
// into what nobody can open any more.
func (d *database) gone() error {
	if d.file == nil {
		return nil
	}
	info, err := os.Stat(d.file.path)
	if err == nil && !os.SameFile(info, d.file.info) {
		err = fmt.Errorf("%s was replaced by another file", d.file.path)
	}
	return err
}

// sqliteCode is the primary result code; 0 for other errors.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}

// corrupt tells of a damaged file of ours. One that is no database at all is
// somebody else's.
func corrupt(err error) bool { return sqliteCode(err) == lib.SQLITE_CORRUPT }

func sqliteUnfit(err error) bool {
	switch sqliteCode(err) {
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_TOOBIG, lib.SQLITE_MISMATCH, lib.SQLITE_RANGE:
		return true
	}
	return false
}

// passing tells of trouble that leaves the open file as good as it was: somebody
// else writes, or there is no room.
func passing(err error) bool {
	switch sqliteCode(err) {
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_FULL:
		return true
	}
	return false
}
