package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
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

// Upstream is the MTA behind the proxy, on one host or on several. Its fields
// are set before it is used and not changed after.
type Upstream struct {
	Address   string      // host:port or unix:/path of the only host
	Hosts     []Host      // several, in place of Address
	Hostname  string      // said in EHLO
	LMTP      bool        // RFC 2033 in place of SMTP
	Forward   Forward     // how the MTA learns of the client; ForwardAuto by default
	TLS       TLSMode     // TLSNone by default
	TLSConfig *tls.Config // CA, name and our certificate; the name is the host's by default
	Times     Times
	Reuse     Reuse
	Patience  Patience
	Partial   *Partial         // of LMTP, to be shared by those that follow one another; its own by default
	Now       func() time.Time // time.Now by default

	dial   func(context.Context) (net.Conn, error) // in place of an address; for tests
	random func(n int) int                         // rand.IntN by default
	once   sync.Once
	hosts  []*host

	writers sync.Pool // of *bufio.Writer, between messages
}

// Host is one of several.
type Host struct {
	Address  string // host:port or unix:/path
	Priority int    // the lowest comes first, the others when it fails, as with MX
	Weight   int    // share among hosts of one priority; 1 if not positive
}

func (u *Upstream) setUp() {
	if u.Partial == nil {
		u.Partial = &Partial{}
	}
	all := u.Hosts
	if len(all) == 0 {
		all = []Host{{Address: u.Address}}
	}
	for _, h := range all {
		u.hosts = append(u.hosts, &host{Host: h, upstream: u, breaker: breaker{patience: u.Patience.withDefaults()}})
	}
}

func (u *Upstream) every() []*host {
	u.once.Do(u.setUp)
	return u.hosts
}

func (u *Upstream) now() time.Time {
	if u.Now == nil {
		return time.Now()
	}
	return u.Now()
}

// Status is what became of the last Probe of a host.
type Status struct {
	Address string
	Err     error // nil: it answers
}

// ProbeAll asks each host whether it is there: connect, EHLO, NOOP, QUIT. It also
// learns what they offer, which the proxy then offers to clients who connect
// later. Call it before serving and then now and again.
func (u *Upstream) ProbeAll(ctx context.Context) []Status {
	all := make([]Status, len(u.every()))
	var wg sync.WaitGroup
	for i, h := range u.every() {
		wg.Go(func() { all[i] = Status{h.Address, h.probe(ctx)} })
	}
	wg.Wait()
	return all
}

// Probe is ProbeAll for who only wants to know whether mail would flow: an error
// if no host answers.
func (u *Upstream) Probe(ctx context.Context) error {
	var errs []error
	for _, s := range u.ProbeAll(ctx) {
		if s.Err == nil {
			return nil
		}
		errs = append(errs, s.Err)
	}
	return errors.Join(errs...)
}

// known tells whether every host offered an extension when it was last asked.
func (u *Upstream) known(keyword string) bool {
	some := false
	for _, h := range u.every() {
		o := h.offered.Load()
		if o == nil {
			continue // never met
		}
		if !o.has(keyword) {
			return false
		}
		some = true
	}
	return some
}

// smallest gives the least number that the hosts name behind a keyword, or less
// if none does: SIZE 1000, LIMITS RCPTMAX=5.
func (u *Upstream) smallest(less int64, keyword, prefix string) int64 {
	for _, h := range u.every() {
		o := h.offered.Load()
		if o == nil {
			continue
		}
		for word := range strings.FieldsSeq((*o)[keyword]) {
			number, ok := strings.CutPrefix(strings.ToUpper(word), prefix)
			if n, err := strconv.ParseInt(number, 10, 64); ok && err == nil && n > 0 {
				less = min(less, n)
			}
		}
	}
	return less
}

// close ends the connections that wait to be used again, for good.
func (u *Upstream) close() {
	for _, h := range u.every() {
		h.close()
	}
}

// network splits an address into what net.Dial wants.
func network(address string) (string, string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// begin takes a new connection up to the last EHLO of our own.
func (h *host) begin(l *link, mode TLSMode) error {
	if err := l.conn.SetDeadline(time.Now().Add(l.times.Greeting)); err != nil {
		return l.fail(TroubleLost, "greeting", err)
	}
	r, err := l.answer("greeting")
	if err != nil {
		return err
	}
	if r.code != 220 && r.negative() && l.bound { // it means the client
		l.drop()
		return &refusedError{r}
	}
	if r.code != 220 {
		return l.fail(TroubleGreeting, "greeting", r.asError())
	}
	if err := h.hello(l); err != nil {
		return err
	}
	if mode == TLSNone || mode == "" || mode == TLSOpportunistic && !l.offers.has("STARTTLS") {
		return nil
	}
	if err := h.startTLS(l, mode); err != nil {
		return err
	}
	return h.hello(l)
}

// hello introduces us. RFC 5321 section 3.2: HELO where EHLO is not known.
func (h *host) hello(l *link) error {
	name := h.upstream.Hostname
	r, err := l.hello(name)
	if err == nil && r.code/100 == 5 && !l.lmtp {
		r, err = l.expect(l.times.Greeting, "HELO "+name)
	}
	if err == nil && !r.positive() {
		err = l.fail(TroubleGreeting, "EHLO", r.asError())
	}
	l.own = l.offers
	return err
}

func (h *host) startTLS(l *link, mode TLSMode) error {
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
	c := tls.Client(l.conn, h.clientTLS(mode))
	if err := c.Handshake(); err != nil {
		return l.fail(TroubleTLS, "TLS handshake", err)
	}
	l.use(c)
	return nil
}

func (h *host) clientTLS(mode TLSMode) *tls.Config {
	config := &tls.Config{}
	if h.upstream.TLSConfig != nil {
		config = h.upstream.TLSConfig.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(h.Address)
	}
	config.InsecureSkipVerify = mode != TLSVerified
	return config
}
