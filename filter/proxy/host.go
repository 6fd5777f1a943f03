package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

// host is one host of the MTA: what is known of it and what waits to be used
// again.
type host struct {
	Host
	upstream *Upstream
	breaker  breaker
	pool     pool
	offered  atomic.Pointer[offers] // to us, the last time somebody asked
}

// refusedError is an MTA that does not want this client: its words are the
// client's to hear, and say nothing of the MTA's health.
type refusedError struct{ reply reply }

func (e *refusedError) Error() string { return "MTA: " + e.reply.asError().Error() }

// probe asks whether the host is there.
func (h *host) probe(ctx context.Context) error {
	l, err := h.connect(ctx, introduction{})
	if err != nil {
		h.report(ctx, err)
		return err
	}
	defer l.close()
	r, err := l.ask(l.times.Greeting, "NOOP")
	if err == nil && !r.positive() {
		err = &linkError{kind: TroubleProtocol, step: "NOOP", err: r.asError()}
	}
	if err == nil {
		_, err = h.upstream.way(l)
	}
	h.report(ctx, err)
	return err
}

// report tells the breaker how a connection went.
func (h *host) report(ctx context.Context, err error) {
	var refused *refusedError
	switch {
	case err == nil, errors.As(err, &refused):
		h.breaker.succeeded()
	case ctx.Err() != nil: // whoever wanted it has gone
		h.breaker.withdrew()
	default:
		h.breaker.failed(h.upstream.now())
	}
}

// connect makes a connection on which the MTA has answered our EHLO. It lives no
// longer than ctx. who is whom it is for, where the first octets must say so.
func (h *host) connect(ctx context.Context, who introduction) (*link, error) {
	mode := h.upstream.TLS
	l, err := h.open(ctx, who, mode)
	var le *linkError
	if mode == TLSOpportunistic && errors.As(err, &le) && le.kind == TroubleTLS {
		l, err = h.open(ctx, who, TLSNone)
	}
	if err != nil {
		return nil, err
	}
	offered := l.offers
	h.offered.Store(&offered)
	return l, nil
}

func (h *host) open(ctx context.Context, who introduction, mode TLSMode) (*link, error) {
	times := h.upstream.Times.withDefaults()
	dialing, cancel := context.WithTimeout(ctx, times.Connect)
	defer cancel()
	c, err := h.dial(dialing)
	if err != nil {
		return nil, &linkError{kind: TroubleConnect, step: "connect", err: err}
	}
	l := newLink(ctx, c, times)
	l.host, l.lmtp, l.born = h, h.upstream.LMTP, h.upstream.now()
	if h.upstream.Forward == ForwardPROXY {
		err = l.present(who)
	}
	if err == nil {
		err = h.begin(l, mode)
	}
	if err != nil {
		l.drop()
		return nil, err
	}
	return l, nil
}

func (h *host) dial(ctx context.Context) (net.Conn, error) {
	if h.upstream.dial != nil {
		return h.upstream.dial(ctx)
	}
	var d net.Dialer
	kind, address := network(h.Address)
	return d.DialContext(ctx, kind, address)
}

// present writes the PROXY header: the connection is this client's from now on,
// even if he has no address to be told by.
func (l *link) present(who introduction) error {
	l.as, l.bound = who, true
	if err := l.conn.SetDeadline(time.Now().Add(l.times.Greeting)); err != nil {
		return l.fail(TroubleLost, "PROXY", err)
	}
	if _, err := who.proxyHeader().WriteTo(l.conn); err != nil {
		return l.fail(TroubleLost, "PROXY", err)
	}
	return nil
}

// route is the order in which hosts are asked: by priority, and within one by
// chance according to weight. avoid comes last.
func (u *Upstream) route(avoid *host) []*host {
	random := u.random
	if random == nil {
		random = rand.IntN
	}
	rest := slices.Clone(u.every())
	order := make([]*host, 0, len(rest))
	for len(rest) > 0 {
		first := slices.MinFunc(rest, func(a, b *host) int { return a.Priority - b.Priority }).Priority
		i := draw(rest, first, random)
		order = append(order, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	if i := slices.Index(order, avoid); i >= 0 {
		order = append(slices.Delete(order, i, i+1), avoid)
	}
	return order
}

// draw picks one host of a priority.
func draw(all []*host, priority int, random func(int) int) int {
	total := 0
	for _, h := range all {
		if h.Priority == priority {
			total += max(h.Weight, 1)
		}
	}
	lot := random(total)
	for i, h := range all {
		if h.Priority != priority {
			continue
		}
		if lot -= max(h.Weight, 1); lot < 0 {
			return i
		}
	}
	panic(fmt.Sprint("no host for lot ", lot))
}
