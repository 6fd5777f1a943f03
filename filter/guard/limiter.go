package guard

import (
	"net/netip"
	"sync"
	"time"
)

// rate is how many within a time.
type rate struct {
	n   int
	per time.Duration
}

// every is the time in which one is earned.
func (r rate) every() time.Duration { return r.per / time.Duration(max(1, r.n)) }

// together is how many times the share of one client all may have. It also
// bounds how many clients are remembered.
const together = 12

// limiter lets each client have so many in a time, and all of them together
// some times as many. The zero value is ready.
type limiter struct {
	mu   sync.Mutex
	all  time.Time                  // when what was taken will all have been earned again
	each map[netip.Prefix]time.Time // the same by client
	last rate                       // of the last take
}

// take takes one, or tells after what time there will be one.
func (l *limiter) take(client netip.Prefix, r rate, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.each == nil {
		l.each = map[netip.Prefix]time.Time{}
	}
	for c, full := range l.each {
		if !full.After(now) {
			delete(l.each, c)
		}
	}
	l.last = r
	own, all := later(l.each[client], now).Add(r.every()), later(l.all, now).Add(r.every()/together)
	if wait = max(own.Sub(now), all.Sub(now)) - r.per; wait > 0 {
		return wait, false
	}
	l.each[client], l.all = own, all
	return 0, true
}

// giveBack undoes one take.
func (l *limiter) giveBack(client netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.each[client] = l.each[client].Add(-l.last.every())
	l.all = l.all.Add(-l.last.every() / together)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
