package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// acts are what clients do beside sending one message after another. Each has
// two messages at hand, which it may send in whole, in part or not at all.
func acts() map[string]func(c *courier, p, q *page) {
	all := map[string]func(c *courier, p, q *page){
		"both": func(c *courier, p, q *page) { c.deliver(p); c.deliver(q) },
		"in chunks": func(c *courier, p, q *page) {
			c.deliverChunks(p)
			c.deliverChunks(q)
		},
		"RSET after RCPT": func(c *courier, p, q *page) {
			c.envelope(p)
			c.ask("RSET")
			c.deliver(q)
		},
		"nested MAIL": func(c *courier, p, q *page) {
			c.envelope(p)
			c.ask("MAIL FROM:<" + q.nonce + "@sender.example>")
			c.ask("DATA")
			c.end(p)
		},
		"EHLO in the middle": func(c *courier, p, q *page) {
			c.envelope(p)
			c.ask("EHLO " + c.helo)
			c.ask("DATA") // is refused: nothing is open
			c.deliver(q)
		},
		"RCPT and DATA of nobody": func(c *courier, p, q *page) {
			c.ask("RCPT TO:<" + p.nonce + "@rcpt.example>")
			c.ask("DATA")
			c.ask("BDAT 0 LAST")
			c.deliver(q)
		},
		"RSET between chunks": func(c *courier, p, q *page) {
			c.envelope(p)
			c.chunk(p.text[:20], false)
			c.ask("RSET")
			c.deliverChunks(q)
		},
		"EHLO between chunks": func(c *courier, p, q *page) {
			c.envelope(p)
			c.chunk(p.text[:20], false)
			c.ask("EHLO " + c.helo)
			c.deliver(q)
		},
		"MAIL between chunks": func(c *courier, p, q *page) {
			c.envelope(p)
			c.chunk(p.text[:20], false)
			c.ask("MAIL FROM:<" + q.nonce + "@sender.example>")
			c.ask("DATA")
			c.l.ended(p)
			c.l.told(p, c.chunk(p.text[20:], true))
		},
		"pipelined": func(c *courier, p, q *page) {
			c.say(p.transaction() + q.transaction() + "QUIT\r\n")
			for _, p := range []*page{p, q} {
				c.l.ended(p)
				for range 3 {
					c.heard()
				}
				c.l.told(p, c.heard())
			}
		},
		"pipelined with RSET": func(c *courier, p, q *page) {
			open, _, _ := strings.Cut(p.transaction(), "DATA\r\n")
			c.say(open + "RSET\r\n" + q.transaction())
			for range 6 {
				c.heard()
			}
			c.l.ended(q)
			c.l.told(q, c.heard())
		},
		"pipelined and gone": func(c *courier, p, q *page) {
			c.l.ended(p)
			c.l.ended(q)
			c.say(p.transaction() + q.transaction())
			c.leave()
		},
		"too slow": func(c *courier, p, _ *page) {
			c.envelope(p)
			c.ask("DATA")
			for _, b := range []byte(p.stuffed())[:30] {
				c.say(string([]byte{b}))
				time.Sleep(10 * time.Millisecond)
			}
			c.say(p.stuffed()[30:] + ".\r\n")
			c.l.told(p, c.heard())
			c.l.ended(p)
		},
	}
	for i := range stages {
		for _, how := range []string{"FIN", "RST", "half"} {
			all[fmt.Sprintf("leaving by %s at stage %d", how, i)] = func(c *courier, p, _ *page) { c.vanish(p, i, how) }
		}
	}
	return all
}

// stages are how far a client gets before it leaves.
var stages = []func(p *page) string{
	func(p *page) string { return "MAIL FROM:<" + p.nonce },
	func(p *page) string { return "MAIL FROM:<" + p.nonce + "@sender.example>\r\n" },
	func(p *page) string { return p.open() },
	func(p *page) string { return p.open() + "DATA\r\n" },
	func(p *page) string { return p.open() + "DATA\r\n" + p.stuffed()[:len(p.stuffed())/2] },
	func(p *page) string { return p.open() + "DATA\r\n" + p.stuffed() },
	func(p *page) string { return p.open() + "DATA\r\n" + p.stuffed() + "." },
	func(p *page) string { return p.open() + "DATA\r\n" + p.stuffed() + ".\r" },
	func(p *page) string { return p.open() + "DATA\r\n" + p.stuffed() + ".\r\n" },
	func(p *page) string { return p.open() + "BDAT 20\r\n" + p.text[:20] },
	func(p *page) string { return p.open() + fmt.Sprintf("BDAT %d LAST\r\n%s", len(p.text), p.text[:20]) },
	func(p *page) string { return p.open() + fmt.Sprintf("BDAT %d LAST\r\n%s", len(p.text), p.text) },
}

func (p *page) open() string {
	return fmt.Sprintf("MAIL FROM:<%[1]s@sender.example>\r\nRCPT TO:<%[1]s@rcpt.example>\r\n", p.nonce)
}

func (p *page) transaction() string { return p.open() + "DATA\r\n" + p.stuffed() + ".\r\n" }

// vanish sends all up to a stage and leaves.
func (c *courier) vanish(p *page, stage int, how string) {
	said := stages[stage](p)
	whole := strings.HasSuffix(said, p.stuffed()+".\r\n") || strings.HasSuffix(said, "LAST\r\n"+p.text)
	if whole {
		c.l.ended(p)
	}
	c.say(said)
	if c.k == nil {
		return
	}
	raw := c.k.c
	if inner, ok := raw.(interface{ NetConn() net.Conn }); ok {
		raw = inner.NetConn()
	}
	switch how {
	case "RST":
		raw.(*net.TCPConn).SetLinger(0)
	case "half":
		raw.(*net.TCPConn).CloseWrite()
		last := ""
		for got := c.heard(); got != ""; got = c.heard() {
			last = got
		}
		if whole {
			c.l.told(p, last)
		}
	}
	raw.Close()
	c.k = nil
}

// end sends the message after the 354 and books the reply.
func (c *courier) end(p *page) {
	if c.k == nil {
		return
	}
	c.l.ended(p)
	c.say(p.stuffed() + ".\r\n")
	c.l.told(p, c.heard())
}

func (c *courier) chunk(s string, last bool) string {
	word := ""
	if last {
		word = " LAST"
	}
	c.say(fmt.Sprintf("BDAT %d%s\r\n%s", len(s), word, s))
	return c.heard()
}

// Whatever a client does, what it was told is what the MTA holds, of its own
// messages and of the next client's; and nobody stays behind.
func TestLedgerClients(t *testing.T) {
	cert := withTLS(t)
	for _, secure := range []bool{false, true} {
		for name, act := range acts() {
			t.Run(fmt.Sprintf("tls=%v/%s", secure, name), func(t *testing.T) {
				t.Parallel()
				d := newDoor(t, cert, quick, func(s *Server) { s.Upstream.Reuse = Reuse{Idle: 2} })
				d.mta.queue = true
				l := &ledger{}
				c := &courier{d: d, l: l, helo: "strange.example", tls: secure}
				p, q := l.write(c.helo, 40), l.write(c.helo, 4)
				eventually(t, c.connect) // within the little time that it has
				act(c, p, q)
				c.leave()
				next := l.write("next.example", 3)
				for _, fault := range append(l.finish(d, []*page{next, p, q}), l.faults(d.mta.got())...) {
					t.Error(fault)
				}
				eventually(t, func() bool { return len(d.server.open()) == 0 })
				if n := d.bugs(); n > 0 {
					t.Errorf("%d panics", n)
				}
			})
		}
	}
}

func (d *door) bugs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.panics
}

// What is said in clear behind STARTTLS is nobody's, whole messages and all.
func TestLedgerInjection(t *testing.T) {
	d := newDoor(t, withTLS(t))
	d.mta.queue = true
	l := &ledger{}
	for _, inject := range []func(p *page) string{(*page).open, (*page).transaction} {
		evil := l.write("evil.example", 3)
		c := &courier{d: d, l: l, helo: "good.example"}
		if !c.connect() {
			t.Fatal("no connection")
		}
		c.say("STARTTLS\r\nEHLO evil.example\r\n" + inject(evil) + "DATA\r\n")
		if !strings.HasPrefix(c.heard(), "220") || !c.k.shake() || !c.k.agrees("EHLO "+c.helo, "250") {
			c.leave() // as good: the handshake fails on what was injected
		}
		good := l.write(c.helo, 3)
		if got := c.insist(good); !strings.HasPrefix(got, "250") {
			t.Errorf("reply %q", got)
		}
		c.leave()
	}
	l.settle(t, d.mta.got())
	if n := len(d.mta.got()); n != 2 {
		t.Errorf("%d messages", n)
	}
}
