package spf

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"sekimori/filter/dns"
)

type textZone map[string]string

func (z textZone) Query(_ context.Context, q dns.Question) dns.Answer {
	if text := z[q.Name]; text != "" && q.Type == dns.TXT {
		return dns.Answer{Outcome: dns.Found, TXT: []string{"another text", text}, TTL: time.Hour}
	}
	return dns.Answer{Outcome: dns.NXDomain, TTL: time.Hour}
}

func cachedRecords() *dns.Cache {
	return dns.NewCache(textZone{
		"example.com":       "v=spf1 include:_spf.example.com a:%{l}.example.com -all",
		"_spf.example.com":  "v=spf1 ip4:192.0.2.0/24 ip4:198.51.100.0/24 ip6:2001:db8::/32 ip4:203.0.113.0/25 include:_spf2.example.com ~all",
		"_spf2.example.com": "v=spf1 ip4:203.0.113.128/25 ~all",
		"bad.example.com":   "v=spf1 nonsense",
	}, 1<<20)
}

// A record that is read once is evaluated for each sender and client by itself.
func TestRecordsFromCache(t *testing.T) {
	cache := cachedRecords()
	for range 3 {
		for _, c := range []struct {
			client, from string
			want         Word
		}{
			{"192.0.2.1", "u@example.com", Pass},
			{"203.0.113.200", "u@example.com", Pass},
			{"2001:db8::1", "u@example.com", Pass},
			{"10.0.0.1", "u@example.com", Fail},
			{"10.0.0.1", "\u00fc@example.com", Fail}, // RFC 8616: the a term is none for it
			{"10.0.0.1", "u@_spf2.example.com", SoftFail},
			{"10.0.0.1", "u@bad.example.com", PermError},
		} {
			got := Check(t.Context(), dns.NewSession(cache, 60), netip.MustParseAddr(c.client), "h.example.org", c.from)
			if got.MailFrom.Word != c.want {
				t.Errorf("%s %s: %s (%s), want %s", c.client, c.from, got.MailFrom.Word, got.MailFrom.Reason, c.want)
			}
		}
	}
}

// A record with two includes, all of it in the cache.
func BenchmarkCheckCached(b *testing.B) {
	cache := cachedRecords()
	b.ReportAllocs()
	for b.Loop() {
		Check(b.Context(), dns.NewSession(cache, 60), netip.MustParseAddr("203.0.113.200"), "h.example.org", "u@example.com")
	}
}
