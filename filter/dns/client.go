package dns

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// Client asks resolvers on the network. NewClient or SystemClient makes one;
// the fields may be changed before its first question.
type Client struct {
	Servers  []netip.AddrPort // recursive resolvers; of those that do equally well, the first is asked first
	Timeout  time.Duration    // of one try by UDP, and once more by TCP; 2 s
	Attempts int              // rounds through Servers; 3
	InFlight int              // questions at once, the others wait; 512
	// TrustAD: the servers validate (DNSSEC), and the way to them is safe, so
	// that their AD bit means something (RFC 6840 section 5.7).
	TrustAD bool
	// MixCase asks in letters of random case, and wants the same back: the more
	// letters a name has, the more a forger has to guess. A server that does
	// not give them back is found out by TCP, and asked as ever then.
	MixCase bool
	Random  func(p []byte) // fills p; a cryptographic generator

	limit   sync.Once
	places  chan struct{}
	begin   sync.Once
	runners []*server
}

// NewClient takes addresses of resolvers: "192.0.2.1", "[2001:db8::1]:53".
func NewClient(servers ...string) (*Client, error) {
	if len(servers) == 0 {
		return nil, errors.New("no DNS server is given")
	}
	c := &Client{}
	for _, s := range servers {
		server, err := parseServer(s)
		if err != nil {
			return nil, err
		}
		c.Servers = append(c.Servers, server)
	}
	return c, nil
}

func parseServer(s string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(addr, 53), nil
	}
	server, err := netip.ParseAddrPort(s)
	if err != nil || server.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("DNS server %q: give an IP address, or an address and port as 192.0.2.1:53 or [2001:db8::1]:53", s)
	}
	return server, nil
}

// SystemClient takes the resolvers that a resolv.conf(5) file names; of its
// other lines nothing is used, least of all the search list.
func SystemClient(path string) (*Client, error) {
	conf, err := mdns.ClientConfigFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("finding the system's DNS servers: %w", err)
	}
	if len(conf.Servers) == 0 {
		return nil, fmt.Errorf("%s names no DNS server: add a line \"nameserver ADDRESS\" or give the servers in the configuration", path)
	}
	c, err := NewClient(conf.Servers...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *Client) timeout() time.Duration {
	if c.Timeout <= 0 {
		return 2 * time.Second
	}
	return c.Timeout
}

func (c *Client) attempts() int {
	if c.Attempts <= 0 {
		return 3
	}
	return c.Attempts
}

func (c *Client) random(p []byte) {
	if c.Random == nil {
		_, _ = rand.Read(p) // never fails
		return
	}
	c.Random(p)
}

func (c *Client) servers() []*server {
	c.begin.Do(func() {
		for _, s := range c.Servers {
			c.runners = append(c.runners, &server{address: s.String()})
		}
	})
	return c.runners
}

// Close closes the sockets that no question uses. A later one opens its own,
// which closes by itself after a few seconds: whoever still holds the client may
// go on.
func (c *Client) Close() {
	for _, s := range c.servers() {
		s.close()
	}
}

// taken holds one element for each question in flight, so that a flood of mail
// cannot use up the process's sockets.
func (c *Client) taken() chan struct{} {
	c.limit.Do(func() {
		n := c.InFlight
		if n <= 0 {
			n = 512
		}
		c.places = make(chan struct{}, n)
	})
	return c.places
}

// Query asks until ctx ends, but at most Timeout * Attempts for each server,
// CNAMEs included.
func (c *Client) Query(ctx context.Context, q Question) Answer {
	q.Name = canonical(q.Name)
	switch {
	case !askable(q.Name):
		return Answer{Outcome: Malformed, Err: ErrName}
	case typeCode(q.Type) == mdns.TypeNone:
		return Answer{Outcome: Malformed, Err: fmt.Errorf("type %q is not asked for: %w", q.Type, ErrName)}
	case len(c.Servers) == 0:
		return Answer{Outcome: Timeout, Err: errors.New("no DNS server is given")}
	}
	// The wait for a place is not the servers' time, and its end is our own
	// trouble, to be told apart from theirs.
	select {
	case c.taken() <- struct{}{}:
		defer func() { <-c.places }()
	case <-ctx.Done():
		return Answer{Outcome: Busy, Err: fmt.Errorf("waited for a place among %d questions: %w", cap(c.places), context.Cause(ctx))}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout()*time.Duration(c.attempts()*len(c.Servers)))
	defer cancel()
	on := newChain(q)
	for {
		a, more := c.ask(ctx, &on)
		if !more {
			return a
		}
	}
}

// try asks one server.
func (c *Client) try(ctx context.Context, s *server, step *chain) (Answer, bool) {
	m, err := c.exchange(ctx, s, step, true)
	if err == nil && aged(m.Rcode) {
		m, err = c.exchange(ctx, s, step, false)
	}
	var a Answer
	var more bool
	switch {
	case errors.Is(err, errUnreadable):
		a = Answer{Outcome: Malformed, Err: err}
	case err != nil:
		a = Answer{Outcome: Timeout, Err: err}
	default:
		a, more = step.read(m)
	}
	a.Secure = a.Secure && c.TrustAD
	a.Server = s.address
	return a, more
}

// aged: RCODEs of servers that know no EDNS (RFC 6891 section 7).
func aged(rcode int) bool {
	return rcode == mdns.RcodeFormatError || rcode == mdns.RcodeNotImplemented || rcode == mdns.RcodeBadVers
}

// conclusive: no other server needs to be asked.
func conclusive(o Outcome) bool { return o == Found || o == NXDomain || o == NoData }

// telling ranks what is reported when no server knows.
func telling(o Outcome) int {
	switch o {
	case ServFail:
		return 4
	case Refused:
		return 3
	case Malformed:
		return 2
	case Timeout:
		return 1
	}
	return 0
}
