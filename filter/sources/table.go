package sources

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Postmap lists a lookup table of Postfix, as "postmap -s TYPE:FILE" does. It
// gives at most so many bytes, and an error for more.
type Postmap func(ctx context.Context, table string, limit int64) ([]byte, error)

// SplitTable takes TYPE:FILE apart; file is what changes when the table does. With
// an empty kind it is the text of the table, which we read ourselves: of
// texthash, of a path alone, and of cdb, which Postfix looks up but does not list.
// An error tells of types that cannot be listed, and of what to do instead.
func SplitTable(table string) (kind, file string, err error) {
	kind, path, found := strings.Cut(table, ":")
	if !found || strings.Contains(kind, "/") {
		return "", table, nil
	}
	switch kind {
	case "texthash", "cdb":
		return "", path, nil
	case "hash", "btree":
		return kind, path + ".db", nil
	case "lmdb":
		return kind, path + ".lmdb", nil
	case "mysql", "pgsql", "sqlite", "ldap", "mongodb", "proxy":
		return "", "", fmt.Errorf(`tables of %s cannot be listed: use kind = "sql", or write a list`, kind)
	}
	return "", "", fmt.Errorf("tables of %s cannot be listed: hash, btree, lmdb, cdb, texthash, or the path of the text", quote(kind))
}

// newTables reads lookup tables of Postfix: their text by ourselves, others by
// its own program, which knows their formats and how they are locked.
func newTables(s Source, postmap Postmap) *files {
	var all []place
	var paths []string
	for _, table := range s.Paths {
		at, file := tablePlace(table, s.Timeout, postmap)
		all, paths = append(all, at), append(paths, file)
	}
	return &files{
		parse:  parsePostfix,
		places: func() ([]place, func(), error) { return slices.Clone(all), func() {}, nil },
		dirs:   func() []string { return directoriesOf(paths) },
	}
}

func tablePlace(table string, limit time.Duration, postmap Postmap) (at place, file string) {
	kind, file, err := SplitTable(table)
	if kind == "" && err == nil {
		return filePlace(file), file
	}
	return place{
		path: table,
		stat: func() (fs.FileInfo, error) {
			if err != nil {
				return nil, err
			}
			return os.Stat(file)
		},
		read: func(ctx context.Context) (text, error) { return listTable(ctx, table, file, limit, postmap) },
	}, file
}

// listTable: postmap waits for a lock while somebody writes.
func listTable(ctx context.Context, table, file string, limit time.Duration, postmap Postmap) (t text, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if t.info, err = os.Stat(file); err != nil {
		return text{}, err
	}
	if t.data, err = postmap(ctx, table, maxFile); err != nil {
		return text{}, err
	}
	after, err := os.Stat(file)
	if err == nil && !sameState(t.info, after) {
		err = errWriting
	}
	return t, err
}
