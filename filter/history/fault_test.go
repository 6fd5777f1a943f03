package history

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// add hands over n records, which must never take long.
func add(t testing.TB, s *Store, from, n int) {
	t.Helper()
	begin := time.Now()
	for i := range n {
		s.Add(testRecord(from + i))
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("%d records took %v", n, took)
	}
}

// troubled waits until it is visible that the history cannot be written.
func troubled(t testing.TB, s *Store) {
	t.Helper()
	eventually(t, "an error is shown", func() bool { st := s.Stats(); return st.LastError != "" && st.Errors > 0 })
}

// holds waits until exactly the rows of these messages are there.
func holds(t testing.TB, s *Store, want int) {
	t.Helper()
	flush(t, s)
	rows, err := s.Search(t.Context(), Query{Limit: MaxRows})
	if err != nil || len(rows) != want {
		t.Errorf("%d rows (%v), want %d; %+v", len(rows), err, want, s.Stats())
	}
	if st := s.Stats(); st.LastError != "" || !st.Connected {
		t.Errorf("it is not well: %+v", st)
	}
}

func sqlitePath(t testing.TB) string { return filepath.Join(t.TempDir(), "history.db") }

func TestLockedBySomebodyElse(t *testing.T) {
	path := sqlitePath(t)
	s := openTest(t, Options{Path: path})
	add(t, s, 0, 1)
	holds(t, s, 1)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	add(t, s, 1, 3)
	troubled(t, s)
	if rows, err := s.Search(t.Context(), Query{}); err != nil || len(rows) != 1 {
		t.Errorf("readers do not go on: %d rows, %v", len(rows), err)
	}
	if _, err := c.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	holds(t, s, 4)
}

// The pages that a file may have are a disk that is full.
func TestDiskFull(t *testing.T) {
	s := openTest(t, Options{Path: sqlitePath(t), Queue: 1 << 20})
	add(t, s, 0, 1)
	holds(t, s, 1)
	limit := func(pages string) {
		t.Helper()
		if _, err := s.db.Load().write.ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // the least that it takes is what there is
	for i := range 30 {
		add(t, s, 1+100*i, 100)
		time.Sleep(5 * time.Millisecond) // so that the intake has room
	}
	troubled(t, s)
	st := s.Stats()
	if st.Dropped[QueueFull] == 0 || st.Bytes > 1<<20 || !strings.Contains(st.LastError, "full") {
		t.Errorf("%+v", st)
	}
	limit("1000000")
	flush(t, s)
	if st := s.Stats(); st.LastError != "" || st.Written+st.Dropped[QueueFull] != 3001 {
		t.Errorf("%+v", st)
	}
}

func TestDirectoryMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	s := openTest(t, Options{Path: filepath.Join(dir, "history.db")})
	add(t, s, 0, 3)
	troubled(t, s)
	if _, err := s.Search(t.Context(), Query{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a search says %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	holds(t, s, 3)
}

// A file that somebody deletes would be written on, where nobody sees it.
func TestFileDeleted(t *testing.T) {
	path := sqlitePath(t)
	s := openTest(t, Options{Path: path})
	add(t, s, 0, 2)
	holds(t, s, 2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(path + "-wal")
	_ = os.Remove(path + "-shm")
	eventually(t, "a new file begins", func() bool { _, err := os.Stat(path); return err == nil && s.Stats().Connected })
	add(t, s, 2, 3)
	holds(t, s, 3)
}

// What is no database is somebody else's file: it is not touched.
func TestNoDatabase(t *testing.T) {
	path := sqlitePath(t)
	precious := strings.Repeat("this is a list of things to do\n", 200)
	if err := os.WriteFile(path, []byte(precious), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openTest(t, Options{Path: path})
	add(t, s, 0, 3)
	troubled(t, s)
	if b, err := os.ReadFile(path); err != nil || string(b) != precious {
		t.Errorf("the file was changed (%v)", err)
	}
	if err := os.Rename(path, path+".todo"); err != nil {
		t.Fatal(err)
	}
	holds(t, s, 3)
}

// A file of ours whose middle is garbage is set aside, once.
func TestDamaged(t *testing.T) {
	path := sqlitePath(t)
	damage := func() {
		t.Helper()
		s := openTest(t, Options{Path: path})
		add(t, s, 0, 300)
		flush(t, s)
		s.Close(limit(t, 10*time.Second))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		garbage := []byte(strings.Repeat("garbage!", int(info.Size()-4096)/8))
		if _, err := f.WriteAt(garbage, 4096); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	damage()
	s := openTest(t, Options{Path: path})
	add(t, s, 0, 5)
	holds(t, s, 5)
	if info, err := os.Stat(path + ".corrupt"); err != nil || info.Size() < 100000 {
		t.Errorf("the damaged file is not kept: %v", err)
	}
	s.Close(limit(t, 10*time.Second))
	damage()
	s = openTest(t, Options{Path: path})
	add(t, s, 0, 5)
	troubled(t, s)
	if st := s.Stats(); st.Connected || st.Queued != 5 {
		t.Errorf("the second time: %+v", st)
	}
}

// A PostgreSQL that goes away takes nothing with it.
func TestServerRestarts(t *testing.T) {
	server := newServer(t)
	t.Cleanup(func() { server.stop(); os.RemoveAll(server.dir) })
	s := openTest(t, Options{URL: server.url("postgres")})
	add(t, s, 0, 5)
	holds(t, s, 5)
	server.stop()
	add(t, s, 5, 500)
	troubled(t, s)
	if _, err := s.Search(t.Context(), Query{}); err == nil {
		t.Error("a search found something")
	}
	server.start(t)
	flush(t, s)
	counts, err := s.Counts(t.Context(), time.Time{}, time.Time{}, 24*time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, c := range counts {
		n += c.N
	}
	if n != 505 || s.Stats().Written != 505 {
		t.Errorf("%d rows are summed up, want 505; %+v", n, s.Stats())
	}
}

func TestWrongPassword(t *testing.T) {
	s := openTest(t, Options{URL: strings.Replace(newURL(t), "secret", "hush", 1)})
	add(t, s, 0, 3)
	troubled(t, s)
	if st := s.Stats(); st.Connected || strings.Contains(st.LastError, "hush") || !strings.Contains(st.LastError, "password") {
		t.Errorf("%+v", st)
	}
}

// A server that takes the connection and says nothing more.
func TestServerHangs(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := openTest(t, Options{URL: "postgres://u@" + l.Addr().String() + "/x?sslmode=disable&connect_timeout=1", Queue: 1 << 20})
	for i := range 20 {
		add(t, s, 100*i, 100)
		time.Sleep(5 * time.Millisecond)
	}
	troubled(t, s)
	if st := s.Stats(); st.Dropped[QueueFull] == 0 || st.Bytes > 1<<20 {
		t.Errorf("%+v", st)
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	s.Close(ctx)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	eventually(t, "all is accounted for", func() bool {
		st := s.Stats()
		return st.Dropped[QueueFull]+st.Dropped[Ended] == 2000
	})
}

// A row that the database will not have takes no other with it.
func TestUnfitRow(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		add(t, s, 0, 1)
		holds(t, s, 1)
		db := s.db.Load()
		if _, err := db.write.ExecContext(t.Context(), "CREATE UNIQUE INDEX once ON sekimori_verdict (message_id)"); err != nil {
			t.Fatal(err)
		}
		add(t, s, 0, 4) // the first of them again
		flush(t, s)
		if st := s.Stats(); st.Written != 4 || st.Dropped[Unfit] != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// Bytes that no text may hold.
func TestHostileBytes(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		r := testRecord(0)
		bad := strings.Repeat("\x00\xff' \u2028<script>", 300)
		r.Envelope.Helo, r.Envelope.MailFrom, r.Envelope.ID, r.Listener = bad, bad+"@"+bad, bad, bad
		r.Envelope.Rcpts = []string{bad, "a@" + bad}
		r.Verdict.Explanation, r.Reply.Text, r.Err, r.Upstream = bad, bad, bad, bad
		r.Verdict.Results.Author.Domains = []string{bad, bad}
		r.Verdict.Results.DNS[0].Question.Name, r.Verdict.Results.DNS[0].Answer.TXT = bad, []string{bad}
		r.Verdict.Tenants = []string{bad}
		s.Add(r)
		flush(t, s)
		rows, err := s.Search(t.Context(), Query{})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v, %+v", len(rows), err, s.Stats())
		}
		if _, found, err := s.Row(t.Context(), rows[0].ID); !found || err != nil {
			t.Error(found, err)
		}
	})
}
