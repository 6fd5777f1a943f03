package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sekimori/filter/mail"
)

// session is one client's conversation from its first EHLO, or from the one
// after STARTTLS, to its end. The library calls it from the goroutine of the
// connection, but for Data of a message in chunks, which has its own.
type session struct {
	server   *Server
	listener string
	guard    *conn
	talk     *talk
	smtp     *smtp.Conn
	ctx      context.Context // ends with the session
	cancel   context.CancelFunc
	tls      mail.TLS

	helo   string
	faults int
	link   *link       // to the MTA; nil outside of transactions, unless it is kept for this client
	name   *ClientName // of the client, once somebody wanted to know

	mu      sync.Mutex
	tx      *transaction   // nil if none is open
	chunks  *io.PipeReader // what the last Data reads, if it came in chunks
	running chan struct{}  // closed when the last Data is done; nil once that was waited for
	closing bool           // the client was told 421
}

func newSession(s *Server, listener string, c *smtp.Conn) (*session, error) {
	if !hello(c.Hostname()) {
		return nil, own(501, "5.5.4", "bad name in HELO or EHLO").wire()
	}
	t := c.Conn().(*talk)
	x := &session{server: s, listener: listener, guard: t.guard, talk: t, smtp: c, helo: c.Hostname()}
	x.ctx, x.cancel = context.WithCancel(s.base)
	if state := t.tls; state != nil {
		x.tls = mail.TLS{
			Version: versionWord(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite),
			Client: clientCertificate(*state, t.guard.gate.TLS.ClientCAs, s.now()),
		}
		s.Events.tls(x.tls.Version)
	}
	t.guard.onLeave(x.farewell)
	return x, nil
}

// versionWord is tls.VersionName without its space.
func versionWord(v uint16) string {
	switch v {
	case tls.VersionTLS12:
		return "TLS1.2"
	case tls.VersionTLS13:
		return "TLS1.3"
	}
	return "TLS"
}

// farewell says why the connection ends. It is called by whoever reads for the
// library, so that nothing else is being written.
func (x *session) farewell(draining bool) {
	r := own(421, "4.7.0", "too many commands without a message")
	if draining {
		r = shuttingDown()
	}
	for _, line := range r.lines { // of replies of ours this short there is one
		_, _ = io.WriteString(x.talk, "421 "+line+"\r\n")
	}
}

// call is the only way out of a session: it contains panics, and every error it
// gives is one that the library takes to the client word for word. After a 421
// the connection is over (RFC 5321 section 3.8).
func (x *session) call(f func() reply) error {
	r := x.contained(f)
	if r.code == 421 {
		x.mu.Lock()
		x.closing = true
		x.mu.Unlock()
		x.guard.hangUp()
	}
	return r.wire()
}

func (x *session) contained(f func() reply) (r reply) {
	defer func() {
		if v := recover(); v != nil {
			x.server.contain(v)
			r = trouble()
		}
	}()
	return f()
}

// Mail opens a transaction here and at the MTA.
func (x *session) Mail(from string, o *smtp.MailOptions) error {
	return x.call(func() reply { return x.fault(x.mail(from, o)) })
}

// Rcpt adds a recipient if the MTA takes it.
func (x *session) Rcpt(to string, o *smtp.RcptOptions) error {
	return x.call(func() reply { return x.fault(x.rcpt(to, o)) })
}

// Data takes the message in and sees it through.
func (x *session) Data(r io.Reader) error {
	return x.call(func() reply { return x.data(r) })
}

// Reset gives up the open transaction. The library calls it after RSET, EHLO and
// each message, and while Data still runs when chunks break off.
func (x *session) Reset() {
	_ = x.call(func() reply {
		if name := x.smtp.Hostname(); name != x.helo {
			x.helo = name
		}
		x.abandon()
		return reply{}
	})
}

// Logout gives up everything. A panic in it would end the process.
func (x *session) Logout() error {
	return x.call(func() reply {
		defer x.cancel()
		x.abandon()
		if x.link != nil {
			x.link.close()
			x.link = nil
		}
		return reply{}
	})
}

// AuthMechanisms: there are none, so AUTH is not offered.
func (x *session) AuthMechanisms() []string { return nil }

// Auth is what an unoffered AUTH comes to.
func (x *session) Auth(string) (sasl.Server, error) {
	return nil, own(502, "5.5.1", "AUTH is not offered").wire()
}

// fault counts what went wrong for the client and ends the patience.
func (x *session) fault(r reply) reply {
	if !r.negative() || r.code == 452 { // RFC 5321 section 4.2.3: room is wanting, for which the client is not to blame
		return r
	}
	x.faults++
	if x.faults > x.guard.limits.Faults {
		return tooManyFaults()
	}
	x.hold()
	return r
}

func (x *session) mail(from string, o *smtp.MailOptions) reply {
	if x.isClosing() {
		return shuttingDown()
	}
	// RFC 5321 section 4.1.4: MAIL within a transaction is out of order.
	if x.current() != nil {
		return own(503, "5.5.1", "a transaction is open already")
	}
	if !hello(x.smtp.Hostname()) {
		return own(501, "5.5.4", "bad name in HELO or EHLO")
	}
	reverse := ""
	if from != "" {
		var refused reply
		if reverse, refused = path(from, o.UTF8, "5.1.7"); refused.code != 0 {
			return refused
		}
	}
	if o.Size > x.guard.limits.MessageSize {
		return tooLarge(x.guard.limits.MessageSize)
	}
	if r, ok := x.sparing(); !ok {
		return r
	}
	// RFC 5321 section 4.2.3: no memory now to hold what would come.
	if !x.server.Spool.Budget.Room() {
		x.server.Events.shed(x.listener)
		return noSpace()
	}
	if !x.guard.begin() {
		return shuttingDown()
	}
	tx := x.open(reverse, o)
	r := x.mailUpstream(tx, nil)
	if r.code != 0 {
		x.close(tx)
		return r
	}
	x.server.prefetch(tx, nil)
	return reply{}
}

// silent leaves a positive reply to the library, which knows no other words for
// MAIL and RCPT than its own.
func silent(r reply) reply {
	if r.positive() {
		return reply{}
	}
	return r
}

func (x *session) rcpt(to string, o *smtp.RcptOptions) reply {
	tx := x.current()
	if x.isClosing() {
		return shuttingDown()
	}
	if tx == nil {
		return own(503, "5.5.1", "MAIL first")
	}
	if tx.lost.code != 0 {
		return tx.lost
	}
	forward, refused := path(to, tx.env.SMTPUTF8, "5.1.3")
	if refused.code != 0 {
		return refused
	}
	rules, apart := x.apart(tx, forward)
	if apart {
		return separately()
	}
	if x.alone(tx, forward) {
		return own(452, "4.5.3", "some have the message already, send to this recipient separately")
	}
	if !x.within(x.guard.gate.recipients, LimitRecipients) {
		return own(450, "4.7.0", "too many recipients from your network, try again later")
	}
	r, err := x.rcptUpstream(tx, forward, o)
	if err != nil {
		tx.lost = x.upstreamTrouble(err)
		return tx.lost
	}
	if r.code == 421 {
		tx.lost = r
	}
	if r.positive() {
		tx.env.Rcpts, tx.rules = append(tx.env.Rcpts, forward), rules
		x.guard.progress()
	}
	return silent(r)
}

// upstreamTrouble is what the client is told when the MTA is not there: to come
// again. What it was stays with us.
func (x *session) upstreamTrouble(err error) reply {
	x.troubled(err)
	return x.troubleReply(err)
}

// troubled takes note of trouble with the MTA.
func (x *session) troubled(err error) {
	var le *linkError
	if errors.As(err, &le) {
		x.server.troubled(le)
	}
}

func (x *session) troubleReply(err error) reply {
	var le *linkError
	if !errors.As(err, &le) {
		return trouble()
	}
	if x.guard.shuttingDown() && x.ctx.Err() != nil {
		return shuttingDown()
	}
	switch le.kind {
	case TroubleConnect, TroubleGreeting, TroubleTLS, TroubleForward, TroubleOpen:
		return own(451, "4.4.1", "the mail server behind this host does not answer, try again later")
	}
	return own(451, "4.4.2", "the mail server behind this host was lost, try again later")
}

func (x *session) isClosing() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.closing
}
