package filter

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/spf"
)

const staleZone = `
example.com. TXT "v=spf1 ip4:203.0.113.1 -all"
_dmarc.example.com. TXT "v=DMARC1; p=reject"
`

// DN-12, invariant 5: a stale answer may let a message pass. One that it would
// refuse is judged as if the DNS had failed: not by the record of yesterday.
func TestStaleAcquits(t *testing.T) {
	z := zone(t, staleZone)
	for _, stale := range []string{"example.com", "_dmarc.example.com", "example.com _dmarc.example.com"} {
		source := sourceFunc(func(ctx context.Context, q dns.Question) dns.Answer {
			a := z.Query(ctx, q)
			if slices.Contains(strings.Fields(stale), q.Name) && a.Outcome == dns.Found {
				a.Cached, a.Stale = true, dns.ServFail
			}
			return a
		})
		f := testFilter(source)
		m := read(t, "a@example.com", "From: a@example.com\r\n\r\nx\r\n")
		m.Envelope.Client = netip.MustParseAddr("203.0.113.1")
		if v := f.Check(t.Context(), m); v.Action != Accept || v.Results.DMARC.Word != dmarc.Pass || v.Results.SPF.MailFrom.Word != spf.Pass {
			t.Errorf("%s stale, from the right client: %s %s, DMARC %s", stale, v.Action, v.Reason, v.Results.DMARC.Word)
		}
		m.Envelope.Client = netip.MustParseAddr("203.0.113.99")
		v := f.Check(t.Context(), m)
		if v.Action != Accept || v.Reason != DNSTempError || v.Results.DMARC.Word != dmarc.TempError {
			t.Errorf("%s stale, from a wrong client: %s %s, DMARC %s", stale, v.Action, v.Reason, v.Results.DMARC.Word)
		}
		if !slices.ContainsFunc(v.Results.DNS, func(e dns.Exchange) bool { return e.Source() == "stale" }) {
			t.Errorf("%s: the stale answer is not told of", stale)
		}
	}
	f := testFilter(z)
	m := read(t, "a@example.com", "From: a@example.com\r\n\r\nx\r\n")
	m.Envelope.Client = netip.MustParseAddr("203.0.113.99")
	if v := f.Check(t.Context(), m); v.Action != Reject {
		t.Errorf("with nothing stale: %s %s", v.Action, v.Reason)
	}
}
