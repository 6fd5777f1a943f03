package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// Reuse is about connections to the MTA that serve one client after another. The
// zero value keeps each to its client.
type Reuse struct {
	Idle     int           // connections that wait at one host; 0: none
	IdleTime time.Duration // that they wait; 30 s
	Age      time.Duration // of a connection; 10 min
	Messages int           // transactions on it; 100
}

func (r Reuse) withDefaults() Reuse {
	return Reuse{
		Idle:     r.Idle,
		IdleTime: or(r.IdleTime, 30*time.Second),
		Age:      or(r.Age, 10*time.Minute),
		Messages: or(r.Messages, 100),
	}
}

// pool holds connections of which it is certain that nothing is open on them:
// no transaction, no octet that was not read, no refusal that the MTA might hold
// against the next client.
type pool struct {
	mu     sync.Mutex
	idle   []*link
	closed bool
}

// keep takes l in, or tells that it is to stay with its client. What can be of
// no more use is closed.
func (h *host) keep(l *link) bool {
	reuse := h.upstream.Reuse.withDefaults()
	switch {
	case l.broken:
		return true
	case reuse.Idle <= 0 || l.bound || l.stained:
		return false
	case l.worn(reuse, h.upstream.now()) || l.pending || l.quiet("reuse") != nil:
		l.close()
		return true
	case !l.stop(): // its context has ended, and closes it
		l.drop()
		return true
	}
	l.parked = make(chan struct{})
	if l.conn.SetDeadline(time.Now().Add(reuse.IdleTime)) != nil || !h.pool.put(l, reuse.Idle) {
		l.close()
		return true
	}
	go h.pool.watch(l)
	return true
}

func (l *link) worn(r Reuse, now time.Time) bool {
	return l.used >= r.Messages || now.Sub(l.born) >= r.Age
}

func (p *pool) put(l *link, most int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= most {
		return false
	}
	p.idle = append(p.idle, l)
	return true
}

// watch reads from a connection on which nothing may come. If something does, or
// it ends, or nobody wants it in time, it goes.
func (p *pool) watch(l *link) {
	defer close(l.parked)
	_, err := l.r.Peek(1)
	var ne net.Error
	l.calm = errors.As(err, &ne) && ne.Timeout()
	if !p.remove(l) {
		return // it has been taken, or the pool is closed
	}
	if l.calm {
		l.close()
	} else {
		l.drop()
	}
}

func (p *pool) remove(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.idle, l)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	return i >= 0
}

// take gives a connection, best one that the MTA knows for this client's, or nil.
// It lives no longer than ctx.
func (h *host) take(ctx context.Context, who introduction) *link {
	for {
		l := h.pool.pick(who)
		if l == nil {
			return nil
		}
		if l.wake() && !l.worn(h.upstream.Reuse.withDefaults(), h.upstream.now()) {
			l.bind(ctx)
			return l
		}
		l.close()
	}
}

func (p *pool) pick(who introduction) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	i := len(p.idle) - 1
	if known := slices.IndexFunc(p.idle, func(l *link) bool { return l.as == who }); known >= 0 {
		i = known
	}
	l := p.idle[i]
	p.idle = slices.Delete(p.idle, i, i+1)
	return l
}

// wake ends the watch over a connection that is in no pool any more. False: it
// is of no use.
func (l *link) wake() bool {
	err := l.conn.SetReadDeadline(past())
	<-l.parked
	if err != nil || !l.calm {
		l.drop()
	}
	return !l.broken
}

// close ends what waits and lets nothing in any more.
func (h *host) close() {
	h.pool.mu.Lock()
	idle := h.pool.idle
	h.pool.idle, h.pool.closed = nil, true
	h.pool.mu.Unlock()
	for _, l := range idle {
		l.wake()
		l.close()
	}
}
