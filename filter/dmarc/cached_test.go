package dmarc

import (
	"context"
	"testing"
	"time"

	"sekimori/filter/dns"
)

type texts map[string]string

func (z texts) Query(_ context.Context, q dns.Question) dns.Answer {
	if text := z[q.Name]; text != "" {
		return dns.Answer{Outcome: dns.Found, TXT: []string{text}, TTL: time.Hour}
	}
	return dns.Answer{Outcome: dns.NXDomain, TTL: time.Hour}
}

// Who gets a step from the cache must not change it for others.
func TestStepsFromCache(t *testing.T) {
	cache := dns.NewCache(texts{
		"_dmarc.example.com": "v=DMARC1; p=reject; pct=5; rua=mailto:a@example.com",
		"_dmarc.example.net": "v=DMARC1; p=none; rua=mailto:a@example.com",
	}, 1<<20)
	first := Gather(t.Context(), dns.NewSession(cache, 20), "mail.example.com", nil)
	for range 3 {
		again := Gather(t.Context(), dns.NewSession(cache, 20), "www.example.com", nil)
		if got := again.steps["example.com"]; got.Domain != "example.com" || got.Record.Policy != PolicyReject || len(got.Record.Notes) != 1 {
			t.Errorf("%+v", got)
		}
		if got := again.steps["com"]; got.Domain != "com" || got.State != Missing {
			t.Errorf("%+v", got)
		}
		if &first.steps["example.com"].Record.RUA[0] != &again.steps["example.com"].Record.RUA[0] {
			t.Error("the record was read twice")
		}
	}
	if got := Gather(t.Context(), dns.NewSession(cache, 20), "example.net", nil).steps["example.net"]; got.Record.Policy != PolicyNone {
		t.Errorf("%+v", got)
	}
}

// The walk of a name below the organizational domain, all of it in the cache.
func BenchmarkGatherCached(b *testing.B) {
	cache := dns.NewCache(texts{"_dmarc.example.com": "v=DMARC1; p=reject; sp=quarantine; adkim=r; rua=mailto:dmarc@example.com,mailto:dmarc@reports.example; ruf=mailto:dmarc@example.com; fo=1"}, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		Gather(b.Context(), dns.NewSession(cache, 20), "mail.example.com", nil)
	}
}
