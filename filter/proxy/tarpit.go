package proxy

import "time"

// hold keeps a refusal back from a client that has failed often, which costs it
// time and us a goroutine: so only so many are held at once, the others get
// their answer.
func (x *session) hold() {
	at := x.guard.gate
	if at.Limits.TarpitAfter <= 0 || x.faults <= at.Limits.TarpitAfter || x.guard.exempt {
		return
	}
	select {
	case at.slow <- struct{}{}:
	default:
		return
	}
	defer func() { <-at.slow }()
	x.server.Events.limited(at.name, LimitTarpit)
	patience := time.NewTimer(at.Limits.TarpitTime)
	defer patience.Stop()
	select {
	case <-patience.C:
	case <-x.server.quit:
	case <-x.ctx.Done():
	}
}

// sparing tells whether the client may still open a transaction.
func (x *session) sparing() (reply, bool) {
	switch {
	case x.guard.ownCheck:
		return own(450, "4.7.0", "the balancer has named no client for this connection"), false
	case !x.within(x.guard.gate.messages, LimitMessages):
		return own(450, "4.7.0", "too many messages from your network, try again later"), false
	}
	return reply{}, true
}

// within counts one event of the client and tells whether it may have it.
func (x *session) within(m *meter, what Limit) bool {
	if x.guard.exempt || m.allow(x.guard.client.Addr()) {
		return true
	}
	x.server.Events.limited(x.listener, what)
	return false
}
