package metrics

import (
	"io"
	"net/http/httptest"
	"slices"
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
		Outcome: filter.Rejected, Judged: true, Size: 2000, Check: time.Millisecond, Delivery: time.Millisecond, Total: time.Second,
		Envelope: mail.Envelope{ID: "q7ta0h8r6fs13t3h"},
		Verdict: filter.Verdict{
			Action: filter.Reject, Reason: filter.DMARCFailReject,
			Results: filter.Results{
				Checked: true,
				Author:  mail.Author{Status: mail.AuthorDomain, Domain: "hostile.example"},
				IPRev:   iprev.Result{Word: iprev.Fail},
				SPF:     spf.Results{Helo: spf.Result{Word: spf.None}, MailFrom: spf.Result{Word: spf.Fail, Domain: "hostile.example"}},
				DKIM:    []dkim.Result{{Word: dkim.Fail, Algorithm: "rsa-sha256", KeyBits: 1024}, {Word: dkim.Neutral}},
				DMARC:   dmarc.Result{Word: dmarc.Fail, Policy: dmarc.PolicyReject, Effective: dmarc.PolicyQuarantine},
				Stages:  filter.Stages{SPF: 3 * time.Millisecond, IPRev: time.Millisecond},
				DNS: []dns.Exchange{
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found}},
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found, Cached: true}},
					{Question: dns.Question{Name: "hostile.example", Type: dns.TXT}, Answer: dns.Answer{Outcome: dns.Found, Cached: true, Stale: dns.Timeout}},
				},
			},
		},
	}
}

// testState has something of everything that is asked for.
func testState() State {
	n := func() int64 { return 1 }
	return State{
		Memory: n, MemoryLimit: n, Disk: n, DiskLimit: n,
		Certificates: func() map[string]time.Time { return map[string]time.Time{"/etc/cert.pem": time.Unix(100, 0)} },
		Sources: func() []Source {
			return []Source{{Name: "panel", Up: true, Loaded: time.Unix(50, 0), Entries: 3, Errors: 1}}
		},
		Logs: func() []Log { return []Log{{Output: "stderr", Up: true, Dropped: 1}} },
		Cache: func() (dns.Stats, bool) {
			return dns.Stats{Entries: 3, Bytes: 4096, Evictions: 1, Prefetches: 2}, true
		},
		History: func() History {
			return History{Up: true, Queued: 2, Written: 5, Dropped: map[string]uint64{"unfit": 1}, LastWrite: time.Unix(60, 0), Size: 4096}
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
	m.Shed()
	m.Reloaded(true)
	m.Loaded(time.Unix(1, 0))
	m.Show(testState())
	m.Tenants(10, []string{"customer-1"})
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

// value reads one series as the text format has it; -1 where it is not there.
func value(t *testing.T, m *Metrics, series string) string {
	t.Helper()
	for line := range strings.Lines(page(t, m, "text/plain")) {
		if name, v, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && name+"}" == series {
			return v
		} else if name, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == series {
			return v
		}
	}
	return "missing"
}

func page(t *testing.T, m *Metrics, accept string) string {
	t.Helper()
	req := httptest.NewRequest("GET", "/metrics", nil)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	m.Handler().ServeHTTP(rec, req)
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestCounts(t *testing.T) {
	m := New("test")
	touchAll(m)
	full := testRecord()
	full.Judged, full.Outcome, full.Reply = false, filter.Refused, filter.Reply{Code: 452}
	m.Done(full)
	starved := testRecord()
	starved.Verdict.Results.Starved = true
	m.Done(starved)
	for series, want := range map[string]string{
		`sekimori_messages_total{action="accept",reason="dmarc_fail_reject"}`:                             "1",
		`sekimori_messages_total{action="reject",reason="dmarc_fail_reject"}`:                             "3",
		`sekimori_messages_total{action="reject",reason="bare_newline"}`:                                  "0",
		`sekimori_shadow_messages_total{action="reject",reason="dmarc_fail_reject"}`:                      "1",
		`sekimori_outcomes_total{outcome="client_lost"}`:                                                  "1",
		`sekimori_outcomes_total{outcome="rejected"}`:                                                     "4",
		`sekimori_dkim_signatures_total{algorithm="rsa-sha256",result="fail"}`:                            "4",
		`sekimori_dkim_signatures_total{algorithm="unknown",result="neutral"}`:                            "4",
		`sekimori_dkim_keys_total{size="rsa_1024"}`:                                                       "4",
		`sekimori_dmarc_fails_total{published="reject"}`:                                                  "4",
		`sekimori_dmarc_results_total{disposition="reject",policy="quarantine",result="fail"}`:            "3",
		`sekimori_iprev_results_total{result="fail"}`:                                                     "4",
		`sekimori_spoofs_total{domain="none",technique="no_papers"}`:                                      "4",
		`sekimori_tenant_messages_total{action="reject",tenant="none"}`:                                   "3",
		`sekimori_tenant_shadow_messages_total{action="reject",reason="dmarc_fail_reject",tenant="none"}`: "1",
		`sekimori_tenant_messages_total{action="reject",tenant="customer-1"}`:                             "0",
		`sekimori_stage_duration_seconds_count{stage="whole"}`:                                            "4",
		`sekimori_stage_duration_seconds_count{stage="upstream"}`:                                         "4",
		`sekimori_stage_duration_seconds_bucket{stage="spf",le="0.0025"}`:                                 "0",
		`sekimori_stage_duration_seconds_bucket{stage="spf",le="0.005"}`:                                  "4",
		`sekimori_dns_queries_total{outcome="found",source="cache",type="TXT"}`:                           "4",
		`sekimori_dns_queries_total{outcome="found",source="stale",type="TXT"}`:                           "4",
		`sekimori_dns_queries_total{outcome="found",source="network",type="TXT"}`:                         "4",
		`sekimori_shed_total{what="connections"}`:                                                         "1",
		`sekimori_shed_total{what="memory"}`:                                                              "1",
		`sekimori_shed_total{what="spool"}`:                                                               "1",
		`sekimori_shed_total{what="dns"}`:                                                                 "1",
		`sekimori_panics_total`:                                                                           "2",
		`sekimori_certificate_expiry_timestamp_seconds{certificate="/etc/cert.pem"}`:                      "100",
		`sekimori_source_loaded_timestamp_seconds{source="panel"}`:                                        "50",
		`sekimori_dns_cache_bytes`:                                                                        "4096",
		`sekimori_history_rows_total{result="written"}`:                                                   "5",
		`sekimori_history_rows_total{result="queue_full"}`:                                                "0",
		`sekimori_history_rows_total{result="unfit"}`:                                                     "1",
		`sekimori_upstream_up{upstream="127.0.0.1:10025"}`:                                                "1",
	} {
		if got := value(t, m, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
}

// What is of a closed set is there before it happens: the first panic must be an
// increase, or no alert sees it.
func TestSeriesAreThereBeforeTheFirstEvent(t *testing.T) {
	m := New("test")
	text := page(t, m, "text/plain")
	for _, row := range m.table {
		closed := !slices.ContainsFunc(row.Labels, func(l Label) bool { return l.Values == nil })
		asked := slices.ContainsFunc([]string{"spool_", "dns_cache_", "dns_prefetches_", "source_", "history_", "certificate_expiry"}, func(s string) bool {
			return strings.HasPrefix(row.Name, namespace+s)
		})
		if closed && !asked && !strings.Contains(text, "\n"+row.Name) {
			t.Errorf("%s appears only with the first event", row.Name)
		}
	}
	for _, series := range []string{
		`sekimori_panics_total`, `sekimori_spoofs_total{domain="none",technique="unaligned"}`,
		`sekimori_shed_total{what="memory"}`, `sekimori_reloads_total{result="failed"}`,
		`sekimori_tenant_messages_total{action="reject",tenant="none"}`,
	} {
		if got := value(t, m, series); got != "0" {
			t.Errorf("%s is %s at the start", series, got)
		}
	}
}

func TestHandlerSpeaksBothFormats(t *testing.T) {
	m := New("test")
	touchAll(m)
	if text := page(t, m, "text/plain"); !strings.Contains(text, "sekimori_connections_total{") {
		t.Error("no counter in the text format")
	}
	text := page(t, m, "application/openmetrics-text; version=1.0.0")
	if !strings.HasSuffix(text, "# EOF\n") {
		t.Error("OpenMetrics has no end")
	}
	for _, want := range []string{
		`sekimori_stage_duration_seconds_bucket{stage="spf",le="0.005"} 3 # {message_id="q7ta0h8r6fs13t3h"} 0.003`,
		`sekimori_spoofs_total{domain="none",technique="no_papers"} 3.0 # {message_id="q7ta0h8r6fs13t3h"} 1.0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no exemplar: %s", want)
		}
	}
}

// Of many quick messages a few are told, and every slow one is.
func TestExemplars(t *testing.T) {
	var e example
	start := time.Now()
	after := func(d, check time.Duration) filter.Record {
		return filter.Record{Start: start.Add(d), Check: check}
	}
	for i, c := range []struct {
		at, check time.Duration
		want      bool
	}{
		{0, 0, true}, {time.Millisecond, 0, false}, {2 * time.Millisecond, time.Second, true},
		{99 * time.Millisecond, 0, false}, {100 * time.Millisecond, 0, true}, {101 * time.Millisecond, 0, false},
	} {
		if got := e.due(after(c.at, c.check)); got != c.want {
			t.Errorf("%d: %v, want %v", i, got, c.want)
		}
	}
	long := testRecord()
	long.Envelope.ID = strings.Repeat("x", 65)
	if exemplarOf(long) != nil {
		t.Error("an id that no exemplar can hold")
	}
}

func TestHistogramsAreNativeToo(t *testing.T) {
	m := New("test")
	touchAll(m)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if h := f.GetMetric()[0].GetHistogram(); h != nil && strings.HasPrefix(f.GetName(), namespace) {
			if h.Schema == nil || len(h.GetBucket()) == 0 {
				t.Errorf("%s has no native buckets, or no classic ones", f.GetName())
			}
		}
	}
}
