package filter

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
)

// late does not answer the first question for a policy while somebody waits.
type late struct {
	dns.Source
	asked atomic.Int32
}

func (l *late) Query(ctx context.Context, q dns.Question) dns.Answer {
	if q.Name == "_dmarc.example.com" && l.asked.Add(1) == 1 {
		<-ctx.Done()
		return dns.Answer{Outcome: dns.Timeout}
	}
	return l.Source.Query(ctx, q)
}

// A policy for which no time was left beside SPF and DKIM is asked for once
// more in DMARC's own time.
func TestPolicyIsAskedForAgain(t *testing.T) {
	source := &late{Source: zone(t, testZone)}
	f := testFilter(source)
	f.Timeout = 200 * time.Millisecond
	r := f.Check(t.Context(), read(t, "a@example.com", plain)).Results
	if r.DMARC.Word != dmarc.Pass || source.asked.Load() != 2 {
		t.Errorf("dmarc=%s (%s), asked %d times", r.DMARC.Word, r.DMARC.Reason, source.asked.Load())
	}
}
