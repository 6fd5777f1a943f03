package history

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// noon is when the mail of the tests comes.
func noon() time.Time { return time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC) }

// testRecord is a spoof that was refused, n minutes after noon.
func testRecord(n int) filter.Record {
	return filter.Record{
		Start: noon().Add(time.Duration(n) * time.Minute), Listener: "smtp", Upstream: "127.0.0.1:10025", Size: 2000,
		Envelope: mail.Envelope{
			ID: fmt.Sprintf("id-%d", n), Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example.org",
			MailFrom: "bounce@mail.Example.ORG", Rcpts: []string{"user@example.net", "other@example.net"},
		},
		Outcome: filter.Rejected, Reply: filter.Reply{Code: 550, Enhanced: "5.7.26", Text: "Refused by the DMARC policy"},
		Judged: true, Check: 3 * time.Millisecond, Total: time.Second,
		Verdict: filter.Verdict{
			Action: filter.Reject, Reason: filter.DMARCFailReject, Explanation: "example.com asks to reject", Tenants: []string{"blue"},
			Edit: filter.Edit{Prepend: []string{"Authentication-Results: mx.example.net; dmarc=fail\r\n"}},
			Results: filter.Results{
				Checked: true,
				Author:  mail.Author{Status: mail.AuthorDomain, Domain: "news.example.com", Domains: []string{"news.example.com"}},
				SPF:     spf.Results{MailFrom: spf.Result{Word: spf.Pass, Domain: "mail.example.org"}},
				DKIM:    []dkim.Result{{Word: dkim.Fail, Domain: "example.com"}},
				DMARC:   dmarc.Result{Word: dmarc.Fail, Effective: dmarc.PolicyReject, OrganizationalDomain: "example.com"},
				DNS: []dns.Exchange{{Purpose: "dmarc", Question: dns.Question{Name: "_dmarc.example.com", Type: dns.TXT},
					Answer: dns.Answer{Outcome: dns.Found, TXT: []string{"v=DMARC1; p=reject"}}, Took: time.Millisecond}},
			},
		},
	}
}

// openTest begins a history that ends with the test.
func openTest(t testing.TB, o Options) *Store {
	t.Helper()
	s := New(func() time.Time { return noon().Add(24 * time.Hour) })
	t.Cleanup(func() { s.Close(limit(t, time.Second)) })
	if err := s.Configure(o); err != nil {
		t.Fatal(err)
	}
	return s
}

func limit(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func flush(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Flush(limit(t, 20*time.Second)); err != nil {
		t.Fatalf("flush: %v; %+v", err, s.Stats())
	}
}

// onBoth runs a test on an empty SQLite and on an empty PostgreSQL.
func onBoth(t *testing.T, test func(*testing.T, Options)) {
	t.Run("sqlite", func(t *testing.T) { test(t, Options{Path: filepath.Join(t.TempDir(), "history.db")}) })
	t.Run("postgresql", func(t *testing.T) { test(t, Options{URL: newURL(t)}) })
}

func ids(rows []Row) []string {
	var all []string
	for _, r := range rows {
		all = append(all, r.MessageID)
	}
	return all
}

func TestSearch(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		o.Node = "mx1"
		s := openTest(t, o)
		s.Add(testRecord(0))
		odd := testRecord(1)
		odd.Envelope.Client = netip.MustParseAddr("2001:db8::7")
		odd.Envelope.MailFrom, odd.Envelope.Rcpts = "", []string{"x@sub.example.net"}
		odd.Verdict.Shadow, odd.Outcome = true, filter.Delivered
		s.Add(odd)
		lost := filter.Record{Start: noon().Add(2 * time.Minute), Outcome: filter.ClientLost, Envelope: mail.Envelope{ID: "id-2"}}
		s.Add(lost)
		flush(t, s)
		net := netip.MustParsePrefix
		for name, c := range map[string]struct {
			query Query
			want  []string
		}{
			"all":                              {Query{}, []string{"id-2", "id-1", "id-0"}},
			"limit":                            {Query{Limit: 1}, []string{"id-2"}},
			"sender of MAIL FROM":              {Query{Sender: "mail.example.org"}, []string{"id-0"}},
			"sender of From":                   {Query{Sender: "NEWS.example.com"}, []string{"id-1", "id-0"}},
			"organizational domain":            {Query{Sender: "example.com"}, []string{"id-1", "id-0"}},
			"recipient":                        {Query{Recipient: "example.net"}, []string{"id-0"}},
			"tenant":                           {Query{Tenant: "blue"}, []string{"id-1", "id-0"}},
			"sender, recipient, tenant":        {Query{Sender: "example.com", Recipient: "sub.example.net", Tenant: "blue"}, []string{"id-1"}},
			"address":                          {Query{Client: net("192.0.2.1/32")}, []string{"id-0"}},
			"network":                          {Query{Client: net("192.0.2.0/24")}, []string{"id-0"}},
			"network of IPv6":                  {Query{Client: net("2001:db8::/32")}, []string{"id-1"}},
			"another network":                  {Query{Client: net("192.0.3.0/24")}, nil},
			"outcome":                          {Query{Outcome: "client_lost"}, []string{"id-2"}},
			"action":                           {Query{Action: "reject"}, []string{"id-0"}},
			"shadow":                           {Query{Shadow: "reject"}, []string{"id-1"}},
			"reason":                           {Query{Reason: "dmarc_fail_reject"}, []string{"id-1", "id-0"}},
			"message id":                       {Query{MessageID: "id-1"}, []string{"id-1"}},
			"node":                             {Query{Node: "mx2"}, nil},
			"time":                             {Query{From: noon().Add(time.Minute), To: noon().Add(2 * time.Minute)}, []string{"id-1"}},
			"time of a sender":                 {Query{Sender: "example.com", From: noon().Add(time.Minute)}, []string{"id-1"}},
			"words that mean something to SQL": {Query{Sender: "%", Reason: "' OR 1=1 --", MessageID: "_"}, nil},
		} {
			rows, err := s.Search(t.Context(), c.query)
			if got := ids(rows); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%s: got %v (%v), want %v", name, got, err, c.want)
			}
		}
	})
}

func TestPages(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		for n := range 25 {
			s.Add(testRecord(n / 3)) // several at one moment
		}
		flush(t, s)
		for _, q := range []Query{{}, {Sender: "example.com"}, {Reason: "dmarc_fail_reject"}} {
			seen := map[int64]bool{}
			last := noon().Add(time.Hour)
			for q.Limit = 7; ; {
				rows, err := s.Search(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if len(rows) == 0 {
					break
				}
				for _, r := range rows {
					if seen[r.ID] || r.At.After(last) {
						t.Errorf("%v: row %d comes twice or late", q, r.ID)
					}
					seen[r.ID], last = true, r.At
				}
				if q.After, err = ParseCursor(rows[len(rows)-1].Cursor().String()); err != nil {
					t.Fatal(err)
				}
			}
			if len(seen) != 25 {
				t.Errorf("%v: %d of 25 rows", q, len(seen))
			}
		}
	})
}

func TestRowExplains(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		s.Add(testRecord(0))
		flush(t, s)
		rows, err := s.Search(t.Context(), Query{})
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		row, found, err := s.Row(t.Context(), rows[0].ID)
		if err != nil || !found || row.Detail == nil || row.Detail.View == nil {
			t.Fatalf("%+v %v %v", row, found, err)
		}
		d := row.Detail
		if d.View.Verdict.Explanation != "example.com asks to reject" || d.View.DKIM[0].Result != "fail" || d.View.Edit.Prepend[0] == "" ||
			d.Reply.Code != 550 || len(d.Exchanges) != 1 || d.Exchanges[0].Answer[0] != "v=DMARC1; p=reject" {
			t.Errorf("%+v", d)
		}
		if row.At != noon() || row.Total != time.Second || row.DMARC != "fail" || row.SPF != "pass" || row.SenderDomain != "mail.example.org" ||
			len(row.Recipients) != 2 || row.Vouched {
			t.Errorf("%+v", row)
		}
		if _, found, err := s.Row(t.Context(), 12345); found || err != nil {
			t.Error(found, err)
		}
	})
}

func TestCounts(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		for n := range 12 {
			s.Add(testRecord(n))
			if n%4 == 3 {
				flush(t, s) // so that sums grow over several batches
			}
		}
		flush(t, s)
		counts, err := s.Counts(t.Context(), noon(), noon().Add(time.Hour), 5*time.Minute, "")
		if err != nil {
			t.Fatal(err)
		}
		want := []int64{5, 5, 2}
		if len(counts) != 3 {
			t.Fatalf("%+v", counts)
		}
		for i, c := range counts {
			if c.N != want[i] || c.Start != noon().Add(time.Duration(5*i)*time.Minute) || c.Outcome != "rejected" || c.Reason != "dmarc_fail_reject" {
				t.Errorf("%+v", c)
			}
		}
	})
}

// Nodes that share one database write side by side.
func TestNodesShare(t *testing.T) {
	url := newURL(t)
	var all sync.WaitGroup
	for _, node := range []string{"mx1", "mx2", "mx3"} {
		s := openTest(t, Options{URL: url, Node: node})
		all.Go(func() {
			add(t, s, 0, 300)
			if err := s.Flush(limit(t, 30*time.Second)); err != nil {
				t.Errorf("%s: %v", node, err)
			}
		})
	}
	all.Wait()
	s := openTest(t, Options{URL: url})
	eventually(t, "it is open", func() bool { return s.Stats().Connected })
	counts, err := s.Counts(t.Context(), time.Time{}, time.Time{}, 24*time.Hour, "")
	if err != nil || len(counts) != 1 || counts[0].N != 900 {
		t.Errorf("%+v, %v", counts, err)
	}
	rows, err := s.Search(t.Context(), Query{Node: "mx2", Limit: MaxRows})
	if err != nil || len(rows) != 300 {
		t.Errorf("%d rows of mx2, %v", len(rows), err)
	}
}

// A domain has its sums, however many others are impersonated more.
func TestDomainBeyondTheMost(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		const others = MaxRows + 10
		for n := range others + 1 {
			r := testRecord(n % 10)
			r.Verdict.Protected = fmt.Sprintf("d%d.example", n)
			if n == others {
				r.Verdict.Results.DMARC.Word, r.Verdict.Action, r.Outcome = dmarc.Pass, filter.Accept, filter.Delivered
				r.Verdict.Protected = "example.com"
			}
			s.Add(r)
			if n%400 == 399 {
				flush(t, s)
			}
		}
		flush(t, s)
		from, to := noon(), noon().Add(time.Hour)
		all, err := s.Domains(t.Context(), from, to, MaxRows)
		if err != nil || len(all) != MaxRows || slices.ContainsFunc(all, func(d DomainCount) bool { return d.Domain == "example.com" }) {
			t.Fatalf("%d domains, %v: the quiet one is not beyond them", len(all), err)
		}
		for name, want := range map[string]DomainCount{
			"Example.com":         {"example.com", 1, 1, 0, 0, 0},
			"d3.example":          {"d3.example", 1, 0, 1, 1, 0},
			"unheard.example.com": {Domain: "unheard.example.com"},
			"":                    {},
		} {
			if got, err := s.Domain(t.Context(), from, to, name); err != nil || got != want {
				t.Errorf("%q: %+v, %v; want %+v", name, got, err, want)
			}
		}
		if got, err := s.Domain(t.Context(), to, to.Add(time.Hour), "example.com"); err != nil || got.Total != 0 {
			t.Errorf("at another time: %+v, %v", got, err)
		}
	})
}

// Sums and samples of protected domains.
func TestDomainsAndSources(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		s := openTest(t, o)
		for n := range 5 {
			r := testRecord(n)
			r.Verdict.Protected = "example.com"
			if n == 4 { // its own mail
				r.Verdict.Results.DMARC.Word, r.Verdict.Action, r.Outcome = dmarc.Pass, filter.Accept, filter.Delivered
				r.Envelope.Client = netip.MustParseAddr("198.51.100.7")
			}
			if n == 3 { // passes as somebody else, and names the domain in its display name
				r.Verdict.Results.DMARC.Word, r.Verdict.Results.Author.Domain = dmarc.Pass, "notexample.com"
				r.Verdict.Shadow, r.Outcome = true, filter.Delivered
				r.Envelope.Client = netip.MustParseAddr("192.0.2.77")
			}
			s.Add(r)
		}
		s.Add(testRecord(9)) // in nobody's name
		flush(t, s)
		domains, err := s.Domains(t.Context(), noon(), noon().Add(time.Hour), 10)
		if want := (DomainCount{"example.com", 5, 1, 4, 3, 1}); err != nil || len(domains) != 1 || domains[0] != want {
			t.Errorf("%+v, %v; want %+v", domains, err, want)
		}
		for _, c := range []struct {
			query SourceQuery
			want  string
		}{
			{SourceQuery{By: ByAddress}, "192.0.2.1:3/0/3 192.0.2.77:1/0/0 198.51.100.7:1/1/0"},
			{SourceQuery{By: ByNetwork}, "192.0.2.0/24:4/0/3 198.51.100.0/24:1/1/0"},
			{SourceQuery{By: ByEnvelope, Failing: true}, "mail.example.org:4/0/3"},
			{SourceQuery{By: ByNetwork, Failing: true, From: noon().Add(3 * time.Minute), Limit: 1}, "192.0.2.0/24:1/0/0"},
		} {
			c.query.Protected = "Example.com"
			list, err := s.Sources(t.Context(), c.query)
			var got []string
			for _, one := range list {
				got = append(got, fmt.Sprintf("%s:%d/%d/%d", one.Name, one.Total, one.Passed, one.Refused))
			}
			if strings.Join(got, " ") != c.want || err != nil {
				t.Errorf("%+v: %v, %v; want %s", c.query, got, err, c.want)
			}
		}
	})
}
