package proxy

import (
	"crypto/tls"
	"net"
	"net/netip"
	"time"
)

// Listener says how clients are received at one place. It is not changed after
// the first Serve.
type Listener struct {
	TLS      *tls.Config // nil: none
	TLSReady func() bool // tells whether TLS has its certificate by now; nil: always
	Implicit bool        // TLS from the first octet on (RFC 8314 section 3), not by STARTTLS
	Limits   Limits
	Rates    Rates

	// Balancers are peers who begin with a PROXY header that names their client.
	// From them it is required, from all others refused.
	Balancers []netip.Prefix
	// AllBalancers makes one of every peer: for unix sockets, where peers have no
	// address.
	AllBalancers bool

	// GreetDelay is how long clients wait for the greeting. One that speaks
	// earlier is turned away. 0: no wait and no such test.
	GreetDelay time.Duration

	// Exempt are clients without Rates, GreetDelay and tarpit.
	Exempt []netip.Prefix

	// Normalize makes each bare CR and LF within a message CR LF, before anybody
	// looks at it. Without, such a message is refused.
	Normalize bool
}

// gate is a Listener at work.
type gate struct {
	Listener
	name                              string
	connections, messages, recipients *meter
	slow                              chan struct{} // holds one of each connection in the tarpit

	// under Server.mu
	open    int
	clients map[netip.Prefix]int
}

func newGate(name string, l Listener, now func() time.Time) *gate {
	l.Limits = l.Limits.withDefaults()
	return &gate{
		Listener:    l,
		name:        name,
		connections: newMeter(l.Rates.Connections, l.Rates.Clients, now),
		messages:    newMeter(l.Rates.Messages, l.Rates.Clients, now),
		recipients:  newMeter(l.Rates.Recipients, l.Rates.Clients, now),
		slow:        make(chan struct{}, l.Limits.Tarpitted),
		clients:     map[netip.Prefix]int{},
	}
}

// gate finds the Listener of a name, or makes one of what the Server has for all.
func (s *Server) gate(name string) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[name]
	if g == nil {
		l, ok := s.Listeners[name]
		if !ok {
			l = Listener{TLS: s.TLS, Limits: s.Limits}
		}
		g = newGate(name, l, s.now)
		s.gates[name] = g
	}
	return g
}

// offersTLS tells whether STARTTLS can succeed.
func (g *gate) offersTLS() bool {
	return g.TLS != nil && !g.Implicit && (g.TLSReady == nil || g.TLSReady())
}

func (g *gate) isBalancer(a netip.Addr) bool { return g.AllBalancers || within(g.Balancers, a) }

func within(networks []netip.Prefix, a netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// admit takes a connection in, or tells it why not. What waits for the client
// is done in a goroutine of the connection.
func (s *Server) admit(at *gate, raw net.Conn) {
	c := newConn(raw, at)
	c.onClose = func() { s.release(c) }
	c.onRefused = func(why Refusal) { s.Events.refused(at.name, why) }
	if why := s.enter(c); why != "" {
		s.Events.refused(at.name, why)
		_ = raw.SetDeadline(time.Now().Add(expelTime))
		if !at.Implicit {
			_, _ = raw.Write([]byte(why.reply()))
		}
		_ = raw.Close()
		return
	}
	s.Events.opened(at.name)
	go s.receive(c)
}

// enter counts a connection in, whoever it comes from.
func (s *Server) enter(c *conn) Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
		return RefusedShutdown
	case c.gate.open >= c.limits.Connections:
		return RefusedTotal
	}
	s.conns[c] = struct{}{}
	c.gate.open++
	return ""
}

// receive brings a connection to its greeting, or tells it why not.
func (s *Server) receive(c *conn) {
	var top net.Conn = c
	defer func() {
		if v := recover(); v != nil {
			s.contain(v)
			_ = c.Conn.Close()
			_ = top.Close()
		}
	}()
	why := s.recognize(c)
	if why == "" && c.gate.Implicit {
		top, why = c.secure()
	}
	if why == "" {
		why = c.await(top)
	}
	if why != "" {
		s.turnAway(c, top, why)
		return
	}
	s.Events.accepted(c.gate.name)
	s.newTalk(c, top).serve()
}

// recognize finds out who the client is and what it may still have.
func (s *Server) recognize(c *conn) Refusal {
	if c.gate.isBalancer(c.client.Addr()) {
		if why := c.introduce(); why != "" {
			return why
		}
	}
	c.exempt = c.ownCheck || within(c.gate.Exempt, c.client.Addr())
	if !s.countClient(c) {
		return RefusedClient
	}
	if !c.exempt && !c.gate.connections.allow(c.client.Addr()) {
		return RefusedRate
	}
	return ""
}

// countClient adds a connection to those of its client, unless they are too
// many. Who has no address is not counted.
func (s *Server) countClient(c *conn) bool {
	key := clientKey(c.client.Addr())
	if !key.IsValid() || c.ownCheck {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.gate.clients[key] >= c.limits.ConnectionsPerClient {
		return false
	}
	c.gate.clients[key]++
	c.counted = key
	return true
}

// turnAway refuses a connection before its greeting. Where TLS was to come
// first and did not, the guard keeps the words back: nobody would understand them.
func (s *Server) turnAway(c *conn, top net.Conn, why Refusal) {
	if c.shuttingDown() {
		why = RefusedShutdown
	}
	s.Events.refused(c.gate.name, why)
	if text := why.reply(); text != "" {
		c.hangUp()
		_, _ = top.Write([]byte(text))
	}
	_ = top.Close()
}

// clientKey is who counts as one client: an IPv4 address or an IPv6 network.
func clientKey(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the invalid Prefix for an invalid address
	return p
}

func (s *Server) release(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	at := c.gate
	at.open--
	if c.counted.IsValid() {
		if at.clients[c.counted]--; at.clients[c.counted] <= 0 {
			delete(at.clients, c.counted)
		}
	}
	if s.draining && len(s.conns) == 0 {
		s.emptied()
	}
	s.mu.Unlock()
	s.Events.closed(at.name)
}
