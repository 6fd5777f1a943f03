package history

import (
	"database/sql"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// No question walks through a whole table, and what has an order of its own in
// an index is not sorted.
func TestPlans(t *testing.T) {
	s := openTest(t, Options{Path: sqlitePath(t)})
	add(t, s, 0, 50)
	flush(t, s)
	net := netip.MustParsePrefix
	now := noon()
	after := Cursor{at: stamp(now), id: 1}
	for name, c := range map[string]struct {
		query  Query
		sorted bool // a range of addresses is in the order of addresses
	}{
		"all":             {Query{}, false},
		"next page":       {Query{After: after}, false},
		"time":            {Query{From: now, To: now}, false},
		"sender":          {Query{Sender: "example.com", From: now, After: after}, false},
		"recipient":       {Query{Recipient: "example.com"}, false},
		"tenant":          {Query{Tenant: "blue"}, false},
		"all three":       {Query{Sender: "example.com", Recipient: "example.com", Tenant: "blue"}, false},
		"outcome":         {Query{Outcome: "delivered"}, false},
		"action":          {Query{Action: "reject", After: after}, false},
		"shadow":          {Query{Shadow: "reject"}, false},
		"reason":          {Query{Reason: "spf_fail", From: now}, false},
		"protected":       {Query{Protected: "example.com"}, false},
		"message id":      {Query{MessageID: "x"}, false},
		"address":         {Query{Client: net("192.0.2.1/32")}, false},
		"network":         {Query{Client: net("192.0.2.0/24")}, true},
		"sender, reason":  {Query{Sender: "example.com", Reason: "spf_fail"}, false},
		"protected, time": {Query{Protected: "example.com", From: now, To: now}, false},
	} {
		query, args := c.query.sql()
		plan := explain(t, s, query, args)
		if strings.Contains(plan, "SCAN") && (name != "all" || !strings.Contains(plan, "SCAN v USING INDEX")) || !c.sorted && strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s:\n%s\n%s", name, query, plan)
		}
	}
	query, args := SourceQuery{Protected: "example.com", By: ByNetwork, Failing: true, From: now}.sql()
	if plan := explain(t, s, query, args); !strings.Contains(plan, "SEARCH sekimori_verdict USING INDEX sekimori_verdict_protected") {
		t.Error(plan)
	}
	if plan := explain(t, s, "SELECT v.id FROM sekimori_verdict v WHERE v.helo = ?", []any{"x"}); !strings.Contains(plan, "SCAN v") {
		t.Errorf("the planted walk was not found: %s", plan)
	}
}

func explain(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	var b strings.Builder
	err := s.db.Load().ask(t.Context(), "EXPLAIN QUERY PLAN "+query, args, func(r *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := r.Scan(&id, &parent, &unused, &detail)
		fmt.Fprintln(&b, detail)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return b.String()
}

func TestOldRowsGo(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		for from := 0; from < 1300; from += 100 {
			for i := range 100 {
				s.Add(testRecord((from + i) / 20)) // up to 65 minutes after noon
			}
			flush(t, s)
		}
		o.Retention = 23 * time.Hour // it is noon of the next day
		if err := s.Configure(o); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what is older than a day is gone", func() bool { return s.Stats().Deleted >= 1200 })
		rows, err := s.Search(t.Context(), Query{Limit: MaxRows})
		if err != nil || len(rows) != 100 || rows[99].At.Before(noon().Add(time.Hour)) {
			t.Errorf("%d rows, %v", len(rows), err)
		}
		for _, name := range []string{"party", "detail"} {
			var n int
			query := "SELECT count(*) FROM sekimori_" + name + " WHERE verdict NOT IN (SELECT id FROM sekimori_verdict)"
			if err := s.db.Load().write.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d orphans in %s (%v)", n, name, err)
			}
		}
	})
}

// Beyond the size the oldest go, and the file gets smaller.
func TestSizeIsBounded(t *testing.T) {
	path := sqlitePath(t)
	s := openTest(t, Options{Path: path})
	for from := 0; from < 4000; from += 500 {
		add(t, s, from, 500)
		flush(t, s)
	}
	s.Close(limit(t, 10*time.Second))
	const most = 4 << 20
	s = openTest(t, Options{Path: path, MaxSize: most})
	eventually(t, "the oldest rows go", func() bool { st := s.Stats(); return st.Deleted > 0 && st.Size > 0 && st.Size <= most })
	rows, err := s.Search(t.Context(), Query{Limit: 1})
	if err != nil || len(rows) != 1 || rows[0].MessageID != "id-3999" {
		t.Errorf("the newest is gone: %v %v", rows, err)
	}
	if st := s.Stats(); !st.Oldest.After(noon()) || st.Deleted >= 4000 {
		t.Errorf("%+v", st)
	}
}

func FuzzParseCursor(f *testing.F) {
	f.Add("")
	f.Add(Cursor{at: 1, id: 2}.String())
	f.Add("9223372036854775807-9223372036854775807")
	f.Add("-1-1")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err != nil {
			return
		}
		again, err := ParseCursor(c.String())
		if err != nil || again != c || c.at < 0 || c.id < 0 {
			t.Errorf("%q: %v, then %v (%v)", s, c, again, err)
		}
	})
}

// FuzzEntry: no bytes make a row that is too large, or that is no text.
func FuzzEntry(f *testing.F) {
	f.Add("mx.example.org", "a@example.org", "b@example.net", "v=spf1 -all")
	f.Add("\x00", "\xff@\xff", "@", strings.Repeat("\x01", 5000))
	f.Fuzz(func(t *testing.T, helo, from, rcpt, txt string) {
		r := testRecord(0)
		r.Envelope.Helo, r.Envelope.MailFrom, r.Envelope.Rcpts = helo, from, []string{rcpt, rcpt, from}
		r.Verdict.Results.DNS[0].Answer.TXT = []string{txt, txt}
		e := newEntry(r, "node")
		if len(e.detail) > maxDetail || e.bytes > 64<<10 {
			t.Errorf("%d bytes of detail, %d in all", len(e.detail), e.bytes)
		}
		for _, v := range e.values(1) {
			if s, ok := v.(string); ok && (strings.ContainsRune(s, 0) || strings.ToValidUTF8(s, "") != s || len(s) > maxShown*(maxPath+1)) {
				t.Errorf("%q", s)
			}
		}
	})
}

// BenchmarkAdd takes in more than any database writes: most are dropped.
func BenchmarkAdd(b *testing.B) {
	s := openTest(b, Options{Path: sqlitePath(b)})
	r := testRecord(0)
	b.ReportAllocs()
	for b.Loop() {
		s.Add(r)
	}
}

// BenchmarkRows writes as fast as the database takes it.
func BenchmarkRows(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgresql"} {
		b.Run(kind, func(b *testing.B) {
			o := Options{Path: sqlitePath(b)}
			if kind == "postgresql" {
				o = Options{URL: newURL(b)}
			}
			d, err := open(b.Context(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer d.close()
			var rows []entry
			for n := range batchRows {
				rows = append(rows, newEntry(testRecord(n), "mx1"))
			}
			n := 0
			for b.Loop() {
				if err := d.insert(b.Context(), rows); err != nil {
					b.Fatal(err)
				}
				n += len(rows)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
