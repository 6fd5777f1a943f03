package proxy

import (
	"sync"
	"time"
)

// Patience is how long a host that fails is asked again and again. The zero
// value means the defaults named here.
type Patience struct {
	Failures int           // connections in a row that come to nothing, then the host is left alone; 3
	Pause    time.Duration // for this long; then one connection tries it; 1 s
}

func (p Patience) withDefaults() Patience {
	return Patience{Failures: or(p.Failures, 3), Pause: or(p.Pause, time.Second)}
}

// breaker keeps clients from waiting for a host that is down. What follows
// EHLO does not count: it may be the client's doing.
type breaker struct {
	patience Patience

	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // left alone so long
	trying   bool      // one tries whether the host is back
}

// allow tells whether the host may be asked at this time. Who is told yes
// reports how it went, by succeeded, failed or withdrew.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < b.patience.Failures {
		return true
	}
	if b.trying || now.Before(b.until) {
		return false
	}
	b.trying = true
	return true
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.trying = 0, false
}

func (b *breaker) failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = min(b.failures+1, b.patience.Failures)
	b.until, b.trying = now.Add(b.patience.Pause), false
}

// withdrew: nothing was learned.
func (b *breaker) withdrew() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}
