package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// TLSMode is how the connection to the MTA is protected.
type TLSMode string

// The modes.
const (
	TLSNone          TLSMode = "none"          // never
	TLSOpportunistic TLSMode = "opportunistic" // where the MTA offers it, in clear where it fails; no name is checked
	TLSRequired      TLSMode = "required"      // or not at all; no name is checked
	TLSVerified      TLSMode = "verified"      // with a certificate for the MTA's name
)

// Times bound the steps of a conversation with the MTA. The zero value means
// the defaults named here.
type Times struct {
	Connect  time.Duration // until the TCP connection stands; 10 s
	Greeting time.Duration // for the greeting, EHLO and the TLS handshake, each; 30 s
	Command  time.Duration // for each reply but the last; 2 min
	Data     time.Duration // for the MTA to take one block of the message; 3 min
	Final    time.Duration // for the reply to the whole message; 9 min
}

func (t Times) withDefaults() Times {
	return Times{
		Connect:  or(t.Connect, 10*time.Second),
		Greeting: or(t.Greeting, 30*time.Second),
		Command:  or(t.Command, 2*time.Minute),
		Data:     or(t.Data, 3*time.Minute),
		// RFC 5321 section 4.5.3.2.6: the client waits ten minutes. Giving up
		// before the MTA does means a second copy.
		Final: or(t.Final, 9*time.Minute),
	}
}

// Upstream is the MTA behind the proxy.
type Upstream struct {
	Network   string      // "tcp" by default
	Address   string      // host:port
	Hostname  string      // said in EHLO; Server.Hostname by default
	TLS       TLSMode     // TLSNone by default
	TLSConfig *tls.Config // CA and name for TLSVerified; the host of Address by default
	Times     Times

	dial    func(context.Context) (net.Conn, error) // in place of Address; for tests
	offered atomic.Pointer[offers]                  // by the MTA, the last time somebody asked
}

// Probe asks whether the MTA is there: connect, EHLO, NOOP, QUIT. It also
// learns what the MTA offers, which the proxy then offers to clients who
// connect later. Call it before serving and then now and again.
func (u *Upstream) Probe(ctx context.Context) error {
	l, err := u.connect(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	r, err := l.ask(l.times.Greeting, "NOOP")
	if err == nil && !r.positive() {
		err = &linkError{kind: TroubleProtocol, step: "NOOP", err: fmt.Errorf("answered with %d", r.code)}
	}
	return err
}

// known tells whether the MTA offered an extension when it was last asked.
func (u *Upstream) known(keyword string) bool {
	o := u.offered.Load()
	return o != nil && o.has(keyword)
}

// connect makes a connection on which the MTA has answered EHLO. It lives no
// longer than ctx.
func (u *Upstream) connect(ctx context.Context) (*link, error) {
	l, err := u.open(ctx, u.TLS)
	var le *linkError
	if u.TLS == TLSOpportunistic && errors.As(err, &le) && le.kind == TroubleTLS {
		l, err = u.open(ctx, TLSNone)
	}
	if err != nil {
		return nil, err
	}
	u.offered.Store(&l.offers)
	return l, nil
}

func (u *Upstream) open(ctx context.Context, mode TLSMode) (*link, error) {
	times := u.Times.withDefaults()
	dial := u.dial
	if dial == nil {
		dial = u.dialAddress
	}
	dialing, cancel := context.WithTimeout(ctx, times.Connect)
	defer cancel()
	c, err := dial(dialing)
	if err != nil {
		return nil, &linkError{kind: TroubleConnect, step: "connect", err: err}
	}
	l := newLink(ctx, c, times)
	if err := u.begin(l, mode); err != nil {
		l.drop()
		return nil, err
	}
	return l, nil
}

func (u *Upstream) dialAddress(ctx context.Context) (net.Conn, error) {
	network := u.Network
	if network == "" {
		network = "tcp"
	}
	var d net.Dialer
	return d.DialContext(ctx, network, u.Address)
}

// begin takes a new connection up to the last EHLO.
func (u *Upstream) begin(l *link, mode TLSMode) error {
	if err := l.conn.SetDeadline(time.Now().Add(l.times.Greeting)); err != nil {
		return l.fail(TroubleLost, "greeting", err)
	}
	r, err := l.answer("greeting")
	if err != nil {
		return err
	}
	if r.code != 220 {
		return l.fail(TroubleGreeting, "greeting", fmt.Errorf("%d %s", r.code, strings.Join(r.lines, " ")))
	}
	if err := u.hello(l); err != nil {
		return err
	}
	if mode == TLSNone || mode == "" || mode == TLSOpportunistic && !l.offers.has("STARTTLS") {
		return nil
	}
	if err := u.startTLS(l, mode); err != nil {
		return err
	}
	return u.hello(l)
}

// hello introduces us. RFC 5321 section 3.2: HELO where EHLO is not known.
func (u *Upstream) hello(l *link) error {
	r, err := l.expect(l.times.Greeting, "EHLO "+u.Hostname)
	if err != nil {
		return err
	}
	l.offers = offers{}
	if r.positive() {
		for _, line := range r.lines[1:] {
			keyword, params, _ := strings.Cut(line, " ")
			l.offers[strings.ToUpper(keyword)] = params
		}
		return nil
	}
	if r.code/100 == 5 {
		r, err = l.expect(l.times.Greeting, "HELO "+u.Hostname)
	}
	if err == nil && !r.positive() {
		err = l.fail(TroubleGreeting, "EHLO", fmt.Errorf("%d %s", r.code, strings.Join(r.lines, " ")))
	}
	return err
}

func (u *Upstream) startTLS(l *link, mode TLSMode) error {
	if !l.offers.has("STARTTLS") {
		return l.fail(TroubleTLS, "STARTTLS", errors.New("not offered"))
	}
	r, err := l.expect(l.times.Greeting, "STARTTLS")
	if err != nil {
		return err
	}
	if r.code != 220 {
		return l.fail(TroubleTLS, "STARTTLS", fmt.Errorf("answered with %d", r.code))
	}
	// What comes in clear behind the 220 may be an attacker's (RFC 3207 section 6).
	if err := l.quiet("STARTTLS"); err != nil {
		return err
	}
	c := tls.Client(l.conn, u.clientTLS(mode))
	if err := c.Handshake(); err != nil {
		return l.fail(TroubleTLS, "TLS handshake", err)
	}
	l.use(c)
	return nil
}

func (u *Upstream) clientTLS(mode TLSMode) *tls.Config {
	config := &tls.Config{}
	if u.TLSConfig != nil {
		config = u.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(u.Address)
	}
	config.InsecureSkipVerify = mode != TLSVerified
	return config
}
