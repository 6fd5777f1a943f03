package proxy

import (
	"context"
	"errors"
	"slices"

	"github.com/emersion/go-smtp"
)

// search finds a connection for one transaction: first the one that the client
// has, then those that wait, then new ones, host by host.
type search struct {
	ctx   context.Context
	who   introduction
	held  *link
	hosts []*host     // still to be asked
	note  func(error) // is told of trouble on the way
	last  error       // trouble, or why the search is over
}

// next gives a connection, and whether it has served before: then its end means
// nothing. Without one it gives why there is none any more.
func (s *search) next() (l *link, old bool, err error) {
	if l, s.held = s.held, nil; l != nil {
		return l, true, nil
	}
	for len(s.hosts) > 0 {
		h := s.hosts[0]
		if l := h.take(s.ctx, s.who); l != nil {
			return l, true, nil
		}
		s.hosts = s.hosts[1:]
		if !h.breaker.allow(h.upstream.now()) {
			continue
		}
		l, err := h.connect(s.ctx, s.who)
		h.report(s.ctx, err)
		if err == nil {
			return l, false, nil
		}
		s.failed(err)
		var refused *refusedError
		if s.ctx.Err() != nil || errors.As(err, &refused) {
			break
		}
	}
	if s.last == nil {
		s.failed(&linkError{kind: TroubleOpen, step: "connect", err: errors.New("no host has answered lately")})
	}
	return nil, false, s.last
}

// leave gives a host up with all its connections that wait, each of which might
// cost the client as much time again.
func (s *search) leave(h *host, err error) {
	h.report(s.ctx, err)
	s.hosts = slices.DeleteFunc(s.hosts, func(other *host) bool { return other == h })
	s.failed(err)
}

func (s *search) failed(err error) {
	s.last = err
	s.note(err)
}

// mailUpstream says MAIL to the MTA. A host that is lost by then costs nothing:
// the next one is asked, avoid the last.
func (x *session) mailUpstream(tx *transaction, avoid *host) reply {
	s := search{ctx: x.ctx, who: x.introduction(), held: x.link, hosts: x.server.Upstream.route(avoid), note: x.troubled}
	x.link = nil
	var said reply
	for {
		l, old, err := s.next()
		if err != nil {
			return x.nowhere(said, err)
		}
		r, err := l.begin(s.who, tx)
		switch {
		case err == nil && !l.broken:
			x.link, tx.host = l, l.host.Address
			return silent(r)
		case old && timedOut(err): // it did not die of age: the host hangs
			s.leave(l.host, err)
		case old: // it died of age
		case err != nil:
			s.failed(err)
		case r.code != 421: // the MTA does not want this client
			return r
		default:
			said = r
		}
		l.drop()
	}
}

// nowhere is the reply when no host is left: what the MTA said, if it said
// anything.
func (x *session) nowhere(said reply, err error) reply {
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return refused.reply
	case said.code != 0:
		return said
	}
	return x.troubleReply(err)
}

// begin opens a transaction. A positive reply is the MTA's to MAIL.
func (l *link) begin(who introduction, tx *transaction) (reply, error) {
	if r, err := l.introduce(who); err != nil || r.code != 0 {
		return r, err
	}
	if r, lacking := lacks(tx.asked, l.offers); lacking {
		return r, nil
	}
	return l.mail(tx.env.MailFrom, mailParams(tx.asked, l.offers))
}

// rcptUpstream says RCPT to the MTA. Where it is lost before it has taken any
// recipient, the transaction moves to another host, once.
func (x *session) rcptUpstream(tx *transaction, forward string, o *smtp.RcptOptions) (reply, error) {
	lost := x.link.host
	r, err := x.link.rcpt(forward, rcptParams(o, tx.env.SMTPUTF8, x.link.offers))
	if err == nil || len(tx.env.Rcpts) > 0 || tx.moved || timedOut(err) || x.ctx.Err() != nil {
		return r, err
	}
	x.troubled(err)
	tx.moved = true
	x.link = nil
	if r := x.mailUpstream(tx, lost); r.code != 0 {
		tx.lost = r
		return r, nil
	}
	return x.link.rcpt(forward, rcptParams(o, tx.env.SMTPUTF8, x.link.offers))
}

// timedOut: the client has waited long enough.
func timedOut(err error) bool {
	var le *linkError
	return errors.As(err, &le) && le.kind == TroubleTimeout
}
