package dkim

import (
	"context"
	"testing"
	"time"

	"sekimori/filter/dns"
)

// keys answers with the texts of a test's zone.
type keys map[string][]string

func (k keys) Query(_ context.Context, q dns.Question) dns.Answer {
	if texts := k[q.Name]; texts != nil {
		return dns.Answer{Outcome: dns.Found, TXT: texts, TTL: time.Hour}
	}
	return dns.Answer{Outcome: dns.NXDomain, TTL: time.Hour}
}

// A key that is read once serves signatures of every kind, each by its own rules.
func TestKeysFromCache(t *testing.T) {
	cache := dns.NewCache(keys{
		"s1._domainkey.example.com": {record(t, rsaKey())},
		"s2._domainkey.example.com": {"v=DKIM1; p=", record(t, rsaKey())},
	}, 1<<20)
	for range 3 {
		for _, c := range []struct {
			tags   []string
			limits Limits
			want   Word
		}{
			{nil, Limits{}, Pass},
			{nil, Limits{MinRSABits: 4096}, Policy},
			{[]string{"a", ed25519SHA256}, Limits{}, PermError},
			{[]string{"s", "s2"}, Limits{}, Pass},
			{[]string{"s", "s3"}, Limits{}, PermError},
		} {
			m := message(t, sign(t, rsaKey(), tagged(c.tags...), plain))
			c.limits.Time = time.Unix(1600000000, 0)
			if len(c.tags) > 0 && c.tags[0] == "a" {
				m = message(t, sign(t, edKey(), tagged(c.tags...), plain))
			}
			if got := Verify(t.Context(), dns.NewSession(cache, 10), m, c.limits); got[0].Word != c.want {
				t.Errorf("%q: %s (%s), want %s", c.tags, got[0].Word, got[0].Reason, c.want)
			}
		}
	}
}

// The whole way of a message of 4 KB whose key is in the cache.
func BenchmarkVerifyCached(b *testing.B) {
	cache := dns.NewCache(keys{"s1._domainkey.example.com": {record(b, rsaKey())}}, 1<<20)
	body := header + "\r\n"
	for len(body) < 4<<10 {
		body += "The quick brown fox jumps over the lazy dog, and that  is it.\r\n"
	}
	m := message(b, sign(b, rsaKey(), tagged("h", "from:to:subject:date:message-id:mime-version:from"), body))
	b.ReportAllocs()
	for b.Loop() {
		if got := Verify(b.Context(), dns.NewSession(cache, 10), m, Limits{}); got[0].Word != Pass {
			b.Fatal(got[0].Reason)
		}
	}
}
