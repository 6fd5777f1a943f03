package metrics

import (
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

func testRecord() filter.Record {
	return filter.Record{
		Outcome: filter.Rejected, Judged: true, Size: 2000, Check: time.Millisecond, Total: time.Second,
		Verdict: filter.Verdict{
			Action: filter.Reject, Reason: filter.DMARCFailReject,
			Results: filter.Results{
				Checked: true,
				Author:  mail.Author{Status: mail.AuthorDomain, Domain: "hostile.example"},
				IPRev:   iprev.Result{Word: iprev.Fail},
				SPF:     spf.Results{Helo: spf.Result{Word: spf.None}, MailFrom: spf.Result{Word: spf.Fail, Domain: "hostile.example"}},
				DKIM:    []dkim.Result{{Word: dkim.Fail, Algorithm: "rsa-sha256"}, {Word: dkim.Neutral}},
				DMARC:   dmarc.Result{Word: dmarc.Fail, Effective: dmarc.PolicyReject},
				DNS: []dns.Exchange{
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found}},
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found, Cached: true}},
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found, Cached: true, Stale: dns.Timeout}},
				},
			},
		},
	}
}

// touchAll makes every series that there is.
func touchAll(m *Metrics) {
	m.Done(testRecord())
	shadow := testRecord()
	shadow.Verdict.Shadow = true
	m.Done(shadow)
	fault := testRecord()
	fault.Verdict.Fault = "planted"
	m.Done(fault)
	m.Done(filter.Record{Outcome: filter.ClientLost})
	m.ConnectionOpened()
	m.ConnectionAccepted()
	m.Limited("tarpit")
	m.Reloaded(true)
	m.Loaded(time.Unix(1, 0))
	m.Spool(func() int64 { return 1 }, func() int64 { return 2 })
	m.ConnectionClosed()
	m.ConnectionRefused("total")
	m.TLS("TLS1.3")
	m.UpstreamError("connect")
	m.UpstreamUp("127.0.0.1:10025", true)
	m.Panic()
	m.CertificateError()
}

func TestNamesPassLint(t *testing.T) {
	m := New("test")
	touchAll(m)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestCounts(t *testing.T) {
	m := New("test")
	touchAll(m)
	want := `
# HELP sekimori_messages_total Messages judged, by what was done and why.
# TYPE sekimori_messages_total counter
sekimori_messages_total{action="accept",reason="dmarc_fail_reject"} 1
sekimori_messages_total{action="reject",reason="dmarc_fail_reject"} 2
# HELP sekimori_shadow_messages_total Messages let through in shadow mode, by what would have been done and why.
# TYPE sekimori_shadow_messages_total counter
sekimori_shadow_messages_total{action="reject",reason="dmarc_fail_reject"} 1
# HELP sekimori_outcomes_total Transactions that reached DATA, by how they ended.
# TYPE sekimori_outcomes_total counter
sekimori_outcomes_total{outcome="client_lost"} 1
sekimori_outcomes_total{outcome="rejected"} 3
# HELP sekimori_dkim_signatures_total DKIM signatures by result and algorithm; result none counts messages without any.
# TYPE sekimori_dkim_signatures_total counter
sekimori_dkim_signatures_total{algorithm="rsa-sha256",result="fail"} 3
sekimori_dkim_signatures_total{algorithm="unknown",result="neutral"} 3
# HELP sekimori_dns_queries_total Questions to the DNS by type, outcome and where the answer came from (network, cache, stale).
# TYPE sekimori_dns_queries_total counter
sekimori_dns_queries_total{outcome="found",source="cache",type="TXT"} 3
sekimori_dns_queries_total{outcome="found",source="network",type="TXT"} 3
sekimori_dns_queries_total{outcome="found",source="stale",type="TXT"} 3
# HELP sekimori_panics_total Faults of our own; each deferred a message or ended a connection.
# TYPE sekimori_panics_total counter
sekimori_panics_total 2
`
	err := testutil.GatherAndCompare(m.registry, strings.NewReader(want), "sekimori_messages_total", "sekimori_shadow_messages_total",
		"sekimori_outcomes_total", "sekimori_dkim_signatures_total", "sekimori_dns_queries_total", "sekimori_panics_total")
	if err != nil {
		t.Error(err)
	}
}

// A flood of names and addresses adds no series.
func TestLabelsAreClosed(t *testing.T) {
	m := New("test")
	touchAll(m)
	before, err := testutil.GatherAndCount(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10000 {
		r := testRecord()
		name := strings.Repeat("x", i%50) + ".example"
		r.Envelope.Helo, r.Verdict.Results.Author.Domain, r.Verdict.Results.SPF.MailFrom.Domain = name, name, name
		r.Verdict.Results.DNS[0].Question.Name = name
		m.Done(r)
	}
	if after, err := testutil.GatherAndCount(m.registry); err != nil || after != before {
		t.Errorf("%d series before, %d after (%v)", before, after, err)
	}
}

// Each metric stands in the README's table, and nothing else does.
func TestREADMENamesThemAll(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := New("test")
	touchAll(m)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(sekimori_[a-z_]+)` \\|").FindAllStringSubmatch(string(readme), -1) {
		told[row[1]] = true
	}
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, namespace) && !told[name] {
			t.Errorf("the README's table lacks %s", name)
		}
		delete(told, name)
	}
	for name := range told {
		t.Errorf("the README's table has %s, which does not exist", name)
	}
}

func TestHandlerSpeaksBothFormats(t *testing.T) {
	m := New("test")
	touchAll(m)
	for accept, want := range map[string]string{
		"text/plain": "sekimori_connections_total{",
		"application/openmetrics-text; version=1.0.0": "# EOF",
	} {
		req := httptest.NewRequest("GET", "/metrics", nil)
		req.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		m.Handler().ServeHTTP(rec, req)
		body, err := io.ReadAll(rec.Result().Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %v, no %q in the page", accept, err, want)
		}
	}
}
