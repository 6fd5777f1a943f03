package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// data sees one message through, from its first octet to the final reply.
func (x *session) data(r io.Reader) reply {
	if !chunked(r) {
		r = x.talk.message()
	}
	tx := x.claim(r)
	if tx == nil {
		return own(503, "5.5.1", "MAIL and RCPT first")
	}
	defer close(tx.data)
	rec := filter.Record{Start: tx.start, Envelope: tx.env, Listener: x.listener, Upstream: tx.host}
	e := x.see(tx, r, &rec)
	x.guard.data(false)
	x.guard.progress()
	x.close(tx)
	x.finish(&rec, e)
	return e.reply
}

// finish hands the Record over, once for each transaction that reached DATA.
func (x *session) finish(rec *filter.Record, e ending) {
	rec.Outcome, rec.Reply, rec.Err = e.outcome, e.reply.record(), e.err
	rec.Total = x.server.now().Sub(rec.Start)
	if x.server.Done == nil {
		return
	}
	_ = x.contained(func() reply { x.server.Done(*rec); return reply{} })
}

// see is the way of one message: hold it, judge it, carry the verdict out.
func (x *session) see(tx *transaction, r io.Reader, rec *filter.Record) (e ending) {
	defer func() {
		if v := recover(); v != nil {
			x.server.contain(v)
			e = failed(fmt.Sprint("panic: ", v))
		}
	}()
	x.guard.data(true)
	if tx.lost.code != 0 {
		return ending{filter.UpstreamFailed, tx.lost, "the MTA was lost before DATA"}
	}
	m, e := x.receive(tx, r, rec)
	if m == nil {
		return e
	}
	defer m.Close()
	if hops(m.Header) > x.guard.limits.Hops {
		return ending{outcome: filter.Refused, reply: own(554, "5.4.6", "too many hops, this is a mail loop ("+tx.env.ID+")")}
	}
	began := x.server.now()
	v := x.server.Check(tx.ctx, m)
	rec.Check = x.server.now().Sub(began)
	if tx.ctx.Err() != nil { // what was judged in a hurry does not count
		return ending{outcome: filter.Refused, reply: shuttingDown()}
	}
	rec.Verdict, rec.Judged = v, true
	return x.apply(tx, m, rec)
}

func chunked(r io.Reader) bool {
	_, ok := r.(*io.PipeReader)
	return ok
}

// receive takes the message in. Without a message it gives the ending.
func (x *session) receive(tx *transaction, r io.Reader, rec *filter.Record) (*mail.Message, ending) {
	whole := !chunked(r)
	if x.guard.gate.Normalize {
		r = &newlines{r: r}
	}
	src := &source{r: r}
	o := x.server.Spool
	o.MaxSize = x.guard.limits.MessageSize
	o.OnHeader = func(h mail.Header) { x.server.prefetch(tx, &h) }
	m, err := mail.Read(tx.env, src, o)
	if whole && x.talk.text.unsure {
		x.guard.hangUp() // what follows may be its rest
	}
	rec.Size = src.n
	if err != nil {
		return nil, x.refused(err, src.err)
	}
	rec.Size = m.Size()
	return m, ending{}
}

// refused tells what became of a message that could not be taken in.
func (x *session) refused(err, read error) ending {
	var limit *mail.LimitError
	var spool *mail.SpoolError
	switch {
	case errors.As(err, &limit) && !limit.Header:
		return ending{outcome: filter.Refused, reply: tooLarge(x.guard.limits.MessageSize)}
	case limit != nil:
		return ending{outcome: filter.Refused, reply: own(552, "5.6.0", "the header of the message is too large")}
	case errors.As(err, &spool):
		return ending{filter.Refused, noSpace(), err.Error()}
	case read == nil:
		return failed(err.Error())
	}
	return x.cutOff(read)
}

func noSpace() reply { return own(452, "4.3.1", "no space to hold the message, try again later") }

// cutOff: the message broke off. Whatever the client sends now must not be
// taken for commands.
func (x *session) cutOff(read error) ending {
	if errors.Is(read, smtp.ErrDataReset) || errors.Is(read, io.ErrClosedPipe) { // between two chunks, by RSET or because the client is gone
		return ending{outcome: filter.ClientLost, reply: own(451, "4.4.2", "the message was given up")}
	}
	x.guard.hangUp()
	if x.guard.shuttingDown() {
		return ending{outcome: filter.Refused, reply: shuttingDown()}
	}
	e := clientLost()
	var ne net.Error
	if errors.As(read, &ne) && ne.Timeout() {
		e.reply = own(421, "4.4.2", "timeout while waiting for the message")
	}
	return e
}

func clientLost() ending {
	return ending{outcome: filter.ClientLost, reply: own(421, "4.4.2", "the message broke off")}
}

func failed(why string) ending { return ending{filter.Failed, trouble(), why} }

func tooLarge(limit int64) reply {
	// RFC 1870 section 6.2.
	return own(552, "5.3.4", fmt.Sprintf("the message is larger than %d octets", limit))
}

// hops counts Received fields (RFC 5321 section 6.3).
func hops(h mail.Header) int {
	n := 0
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, "Received") {
			n++
		}
	}
	return n
}

// apply carries the verdict out.
func (x *session) apply(tx *transaction, m *mail.Message, rec *filter.Record) ending {
	v := rec.Verdict
	switch act := v.Enforced(); {
	case act == filter.Reject:
		x.leaveUnclean(m)
		return ending{outcome: filter.Rejected, reply: judged(v, tx.env.ID)}
	case !act.Delivers():
		return ending{outcome: filter.Deferred, reply: judged(v, tx.env.ID)}
	}
	// RFC 5321 section 2.3.8: a bare CR or LF is never sent. An MTA that takes one
	// for a line end would see more messages than were judged, and it trusts us.
	if m.Has(mail.BareNewline) {
		x.leaveUnclean(m)
		return ending{outcome: filter.Refused, reply: bareNewline(tx.env.ID)}
	}
	began := x.server.now()
	e := x.deliver(tx, m, v)
	rec.Delivery = x.server.now().Sub(began)
	return e
}

func bareNewline(id string) reply {
	return own(550, "5.6.11", "the message has a bare CR or LF ("+id+")")
}

// leaveUnclean ends a connection on which somebody may see other messages than
// we do.
func (x *session) leaveUnclean(m *mail.Message) {
	if m.Has(mail.BareNewline) {
		x.guard.hangUp()
	}
}

// deliver sends the message to the MTA, whose reply is the client's.
func (x *session) deliver(tx *transaction, m *mail.Message, v filter.Verdict) ending {
	top := append(append([]string{}, v.Edit.Prepend...), x.trace(tx))
	e, err := newEdition(m, top, v.Edit.Drop)
	if err != nil {
		return failed(err.Error())
	}
	// RFC 6152 section 3: what we may not convert, and must not send.
	if tx.asked.Body == smtp.Body8BitMIME && !x.link.offers.has("8BITMIME") && eightBit(m) {
		return ending{outcome: filter.Refused, reply: own(554, "5.6.3", "8BITMIME is not supported behind this host")}
	}
	if x.link.lmtp {
		return x.deliverEach(tx, m, e)
	}
	r, err := x.link.data(e.write)
	return x.delivered(tx.env.ID, r, err)
}

// delivered tells what became of a message that was sent on.
func (x *session) delivered(id string, r reply, err error) ending {
	switch {
	case errors.Is(err, errBareNewline):
		return ending{outcome: filter.Refused, reply: bareNewline(id)}
	case errors.Is(err, errHiddenDot):
		return ending{outcome: filter.Refused, reply: own(550, "5.6.11", "the message has a line that begins with NUL and a dot ("+id+")")}
	case err != nil:
		return x.undelivered(err)
	case r.positive():
		return ending{outcome: filter.Delivered, reply: r}
	}
	return ending{outcome: filter.UpstreamRefused, reply: r}
}

// undelivered: the MTA did not say that it has the message, so the client keeps
// it, even if that means a second copy (RFC 5321 section 6.1).
func (x *session) undelivered(err error) ending {
	var le *linkError
	if !errors.As(err, &le) {
		return failed(err.Error())
	}
	if x.ctx.Err() != nil {
		return ending{filter.UpstreamFailed, shuttingDown(), err.Error()}
	}
	return ending{filter.UpstreamFailed, x.upstreamTrouble(err), err.Error()}
}
