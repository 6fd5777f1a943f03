package history

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// bare connects without making tables.
func bare(t *testing.T, o Options) *database {
	t.Helper()
	connect := openPostgres
	if o.Path != "" {
		connect = openSQLite
	}
	d, err := connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.close() })
	return d
}

func tables(t *testing.T, d *database) int {
	t.Helper()
	query := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'sekimori%'"
	if d.dialect.numbered {
		query = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'sekimori%'"
	}
	var n int
	if err := d.write.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// From each version to the newest: none is run twice, and rows stay.
func TestMigrateFromEachVersion(t *testing.T) {
	steps := fstest.MapFS{
		"001.sql": {Data: []byte("CREATE TABLE sekimori_a (x INTEGER); INSERT INTO sekimori_a VALUES (1);")},
		"002.sql": {Data: []byte("ALTER TABLE sekimori_a ADD COLUMN y INTEGER NOT NULL DEFAULT 7;")},
		"003.sql": {Data: []byte("UPDATE sekimori_a SET x = x + y; CREATE TABLE sekimori_b (x INTEGER);")},
	}
	upTo := func(n int) fstest.MapFS {
		some := fstest.MapFS{}
		for name, file := range steps {
			if name <= "00"+string(rune('0'+n))+".sql" {
				some[name] = file
			}
		}
		return some
	}
	onBoth(t, func(t *testing.T, o Options) {
		d := bare(t, o)
		for from := range 4 {
			if err := d.migrateTo(t.Context(), upTo(from)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := d.migrateTo(t.Context(), steps); err != nil {
					t.Fatalf("from %d: %v", from, err)
				}
			}
			var x int
			if err := d.write.QueryRowContext(t.Context(), "SELECT x FROM sekimori_a").Scan(&x); err != nil || x != 8 {
				t.Errorf("from %d: x is %d (%v), want 8", from, x, err)
			}
			err := d.migrateTo(t.Context(), upTo(2))
			if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "version 3, this program knows 2") {
				t.Errorf("a newer database: %v", err)
			}
			if _, err := d.write.ExecContext(t.Context(), "DROP TABLE sekimori_a; DROP TABLE sekimori_b; DROP TABLE sekimori_schema"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A step that fails leaves nothing behind.
func TestMigrateAllOrNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		d := bare(t, o)
		err := d.migrateTo(t.Context(), fstest.MapFS{
			"001.sql": {Data: []byte("CREATE TABLE sekimori_a (x INTEGER);")},
			"002.sql": {Data: []byte("CREATE TABLE sekimori_b (x INTEGER); SELECT nonsense;")},
		})
		if err == nil || !strings.Contains(err.Error(), "migration 002.sql") {
			t.Errorf("error %v", err)
		}
		if n := tables(t, d); n != 0 {
			t.Errorf("%d tables are left", n)
		}
	})
}

// Nodes that start together.
func TestMigrateAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				d, err := open(context.Background(), o)
				if err != nil {
					t.Error(err)
					return
				}
				if err := d.close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := tables(t, bare(t, o)); n != 5 {
			t.Errorf("%d tables", n)
		}
	})
}

// What a newer program has made is left alone, and mail flows.
func TestNewerDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		d, err := open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.change(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec("UPDATE sekimori_schema SET version = 99")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		_ = d.close()
		s := openTest(t, o)
		add(t, s, 0, 2)
		troubled(t, s)
		if st := s.Stats(); !strings.Contains(st.LastError, "newer version of Sekimori") {
			t.Errorf("%+v", st)
		}
	})
}

// Both databases have the same columns.
func TestSameColumns(t *testing.T) {
	var lists []string
	onBoth(t, func(t *testing.T, o Options) {
		d, err := open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer d.close()
		var list []string
		for _, name := range []string{"verdict", "party", "detail", "tally"} {
			rows, err := d.write.QueryContext(t.Context(), "SELECT * FROM sekimori_"+name)
			if err != nil {
				t.Fatal(err)
			}
			columns, err := rows.Columns()
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, strings.Join(columns, ", "))
			rows.Close()
		}
		lists = append(lists, strings.Join(list, "; "))
		if !strings.HasPrefix(lists[0], columns+";") {
			t.Errorf("the program knows other columns: %s", lists[0])
		}
	})
	if len(lists) == 2 && lists[0] != lists[1] {
		t.Errorf("they differ:\n%s\n%s", lists[0], lists[1])
	}
}
