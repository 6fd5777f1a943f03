package filter

import (
	"time"

	"sekimori/filter/dns"
)

// Stages are the times that the parts of judging one message took. SPF, DKIM and
// the reverse name are looked at side by side, and each waits for the DNS within
// its time: they do not add up.
type Stages struct {
	SPF   time.Duration
	DKIM  time.Duration
	DMARC time.Duration // what was left of it once SPF and DKIM were known
	IPRev time.Duration // 0 where the check is off
	DNS   time.Duration // during which at least one question was under way
}

// timed runs f and says how long it took, by the monotonic clock.
func timed(took *time.Duration, f func()) func() {
	return func() {
		start := time.Now()
		f()
		*took = time.Since(start)
	}
}

// waited fills in what the questions to the DNS tell.
func (s *Stages) waited(exchanges []dns.Exchange) { s.DNS = dns.Elapsed(exchanges) }
