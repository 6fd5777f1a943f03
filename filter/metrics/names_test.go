package metrics

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

func protecting(t *testing.T, names ...string) func() *filter.Domains {
	t.Helper()
	owners := map[string]string{}
	for _, n := range names {
		owners[n] = ""
	}
	d, err := filter.NewDomains(owners)
	if err != nil {
		t.Fatal(err)
	}
	return func() *filter.Domains { return d }
}

func inTheNameOf(domain string) filter.Record {
	r := testRecord()
	r.Verdict.Protected, r.Verdict.Results.Author.Domain = domain, "mail."+domain
	return r
}

func TestProtectedDomains(t *testing.T) {
	m := New("test")
	m.Domains(2, protecting(t, "a.example", "b.example"))
	m.follow()
	spoofed := `sekimori_spoofs_total{domain="a.example",technique="` + string(inTheNameOf("a.example").Verdict.Technique()) + `"}`
	if got := value(t, m, spoofed); got != "0" {
		t.Errorf("%s is %s before the first", spoofed, got)
	}
	m.Done(inTheNameOf("a.example"))
	display := inTheNameOf("b.example") // by the name that readers see, From is the spoofer's own
	display.Verdict.Results.Author.Domain = "notb.example"
	m.Done(display)
	for series, want := range map[string]string{
		spoofed: "1",
		`sekimori_domain_messages_total{action="reject",domain="a.example"}`:    "1",
		`sekimori_domain_dmarc_results_total{domain="a.example",result="fail"}`: "1",
		`sekimori_domain_messages_total{action="reject",domain="b.example"}`:    "1",
		`sekimori_domain_dmarc_results_total{domain="b.example",result="fail"}`: "0",
		`sekimori_protected_domains`:                                            "2",
	} {
		if got := value(t, m, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
}

// Whom the set does not hold any more has no series any more, and its place is
// free; who has a place keeps it.
func TestPlacesAreBounded(t *testing.T) {
	m := New("test")
	many := protecting(t, "a.example", "b.example", "c.example", "d.example")
	set := many
	m.Domains(2, func() *filter.Domains { return set() })
	m.follow()
	for _, name := range []string{"c.example", "a.example", "b.example", "d.example", "c.example"} {
		m.Done(inTheNameOf(name))
	}
	check := func(want map[string]string) {
		t.Helper()
		for name, count := range want {
			if got := value(t, m, `sekimori_domain_messages_total{action="reject",domain="`+name+`"}`); got != count {
				t.Errorf("%s: %s, want %s", name, got, count)
			}
		}
	}
	check(map[string]string{"c.example": "2", "a.example": "1", "b.example": "missing", "d.example": "missing", "other": "2"})
	set = protecting(t, "b.example", "c.example", "d.example")
	m.follow()
	m.Done(inTheNameOf("d.example"))
	check(map[string]string{"c.example": "2", "a.example": "missing", "d.example": "1", "other": "2"})
	set = func() *filter.Domains { return nil }
	check(map[string]string{"c.example": "missing", "d.example": "missing", "other": "2"})
}

func TestTenants(t *testing.T) {
	m := New("test")
	m.Tenants(1, []string{"customer-1", "customer-2"})
	for _, tenants := range [][]string{{"customer-1"}, {"customer-2"}, nil, {"customer-1", "customer-2"}} {
		r := testRecord()
		r.Verdict.Shadow, r.Verdict.Tenants = true, tenants
		m.Done(r)
	}
	for series, want := range map[string]string{
		`sekimori_tenant_messages_total{action="accept",tenant="customer-1"}`:                                   "2",
		`sekimori_tenant_messages_total{action="accept",tenant="other"}`:                                        "2",
		`sekimori_tenant_messages_total{action="accept",tenant="none"}`:                                         "1",
		`sekimori_tenant_shadow_messages_total{action="reject",reason="dmarc_fail_reject",tenant="customer-1"}`: "2",
		`sekimori_tenant_messages_total{action="accept",tenant="customer-2"}`:                                   "missing",
	} {
		if got := value(t, m, series); got != want {
			t.Errorf("%s is %s, want %s", series, got, want)
		}
	}
}

// A flood of names and addresses, judged and counted as any mail is, adds no
// series: nothing that a client says becomes a label.
func TestFloodAddsNoSeries(t *testing.T) {
	m := New("test")
	live := &filter.Live{}
	live.SetDomains(protecting(t, "example.com", "example.net", "example.org")())
	m.Domains(2, live.Domains)
	m.Tenants(2, []string{"customer-1"})
	zone, err := dns.ParseZone("flood", strings.NewReader("example.com. 60 TXT \"v=spf1 -all\"\n_dmarc.example.com. 60 TXT \"v=DMARC1; p=reject\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	f := &filter.Filter{Resolver: zone, Live: live, Now: func() time.Time { return time.Unix(1e9, 0) }}
	f.IPRev = true
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"example.com", "example.net", "example.org"} {
		m.Done(judged(t, f, name, random))
		m.Done(inTheNameOf(name))
	}
	touchAll(m)
	m.Show(State{})
	before := series(t, m)
	for range 10000 {
		m.Done(judged(t, f, fmt.Sprintf("x%x.example", random.Uint64()), random))
	}
	if after := series(t, m); after != before {
		t.Errorf("%d series before, %d after", before, after)
	}
	m.Done(inTheNameOf("example.com"))
	m.Limited("a word that no set has")
	if after := series(t, m); after != before+1 {
		t.Errorf("a word of no set: %d series before, %d after", before, after)
	}
}

// series counts all, as they are scraped, but the runtime's own.
func series(t *testing.T, m *Metrics) int {
	t.Helper()
	m.follow()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), namespace) {
			n += len(f.GetMetric())
		}
	}
	return n
}

// judged is the Record of a message from an author's domain that the core has seen.
func judged(t *testing.T, f *filter.Filter, author string, random *rand.Rand) filter.Record {
	t.Helper()
	var client [4]byte
	for i := range client {
		client[i] = byte(random.UintN(256))
	}
	env := mail.Envelope{
		ID: fmt.Sprintf("%016x", random.Uint64()), Client: netip.AddrFrom4(client),
		Helo: "helo." + author, MailFrom: "a@from." + author, Rcpts: []string{"b@" + author},
	}
	text := "From: a@" + author + "\r\nDKIM-Signature: v=1; a=rsa-" + author + "; d=" + author + "\r\n\r\nhello\r\n"
	msg, err := mail.Read(env, strings.NewReader(text), mail.Options{Memory: 4096, MaxSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer msg.Close()
	r := filter.Record{Envelope: env, Judged: true, Outcome: filter.Delivered, Size: msg.Size()}
	r.Verdict = f.Check(context.Background(), msg)
	if r.Verdict.Fault != "" || !r.Verdict.Results.Checked {
		t.Fatalf("not judged: %s %s", r.Verdict.Reason, r.Verdict.Fault)
	}
	return r
}

func BenchmarkDone(b *testing.B) {
	m := New("test")
	r := testRecord()
	b.ReportAllocs()
	for b.Loop() {
		m.Done(r)
	}
}
