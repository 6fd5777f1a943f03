package proxy

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// pooled has connections to the MTA used again.
func pooled(s *Server) { s.Upstream.Reuse = Reuse{Idle: 4} }

// waiting tells how many connections wait at the first host.
func (d *door) waiting() int {
	p := &d.server.Upstream.every()[0].pool
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// one sends a message from a client that comes and goes.
func (d *door) one(want string) {
	d.t.Helper()
	k := d.dial().ready()
	if got := k.send(letterText); got != want {
		d.t.Fatalf("reply %q, want %q", got, want)
	}
	k.say("QUIT", "221")
	k.c.Close()
}

// Clients who come one after the other share a connection; each is introduced.
func TestReuse(t *testing.T) {
	d := newDoor(t, pooled)
	d.offer(xclient)
	ports := map[string]bool{}
	for range 5 {
		d.one(accepted)
		eventually(t, func() bool { return d.waiting() == 1 })
	}
	for _, c := range d.heardOf("XCLIENT") {
		_, port, _ := strings.Cut(c, " PORT=")
		port, _, _ = strings.Cut(port, " ")
		ports[port] = true
	}
	if n := d.mta.connections(); n != 1 || len(ports) != 5 || len(d.mta.got()) != 5 {
		t.Errorf("%d connections, %d clients, %d messages", n, len(ports), len(d.mta.got()))
	}
}

// Between two messages of a client its connection serves others.
func TestReuseBetweenMessages(t *testing.T) {
	d := newDoor(t, pooled)
	k := d.dial().ready()
	k.send(letterText)
	d.one(accepted)
	if got := k.send(letterText); got != accepted || d.mta.connections() != 1 {
		t.Errorf("reply %q, %d connections", got, d.mta.connections())
	}
	k.envelope()
	d.one(accepted) // not on that of an open transaction
	if n := d.mta.connections(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// What the MTA may hold against one client is not the next one's burden.
func TestReuseNotAfterRefusal(t *testing.T) {
	for step, deed := range map[string]misdeed{
		"MAIL":  {say: "450 4.7.1 not now\r\n", once: true},
		"RCPT":  {say: "550 5.1.1 nobody\r\n", once: true},
		"end":   {say: "554 5.7.1 spam\r\n", once: true},
		"RSET":  {say: "500 what\r\n", once: true},
		"DATA":  {say: "451 4.3.0 later\r\n", once: true},
		"close": {},
	} {
		t.Run(step, func(t *testing.T) {
			d := newDoor(t, pooled)
			d.mta.do(step, deed)
			k := d.dial().ready()
			for _, line := range []string{"MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "DATA"} {
				k.raw(line + "\r\n")
				k.hear()
			}
			if step == "end" || step == "DATA" {
				k.raw(letterText + ".\r\n")
				k.hear()
			} else {
				k.c.Close() // in the midst of it, so that there is RSET
			}
			d.mta.do("end", misdeed{})
			if step != "close" {
				d.one(accepted)
				if n := d.mta.connections(); n != 2 {
					t.Errorf("%d connections", n)
				}
			}
		})
	}
}

// A connection on which anything is unread is not used again: the octets would
// be taken for the reply to another's message.
func TestReuseNotWithOctetsLeft(t *testing.T) {
	for name, late := range map[string]bool{"with the reply": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, pooled)
			if !late {
				d.mta.do("end", misdeed{say: "250 2.0.0 Ok: queued as 4XYZ\r\n250 2.0.0 and more\r\n", keep: true, once: true})
			}
			d.one(accepted)
			if late {
				d.mta.mu.Lock()
				for c := range d.mta.conns {
					io.WriteString(c, "250 2.0.0 and more\r\n")
				}
				d.mta.mu.Unlock()
			}
			eventually(t, func() bool { return d.waiting() == 0 })
			d.mta.do("MAIL", misdeed{say: "450 4.7.1 not now\r\n"})
			d.dial().ready().say("MAIL FROM:<a@b.example>", "450 4.7.1 not now")
			if n := d.mta.connections(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// What has waited too long, is too old or has served enough is closed with QUIT.
func TestReuseEnds(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		d := newDoor(t, func(s *Server) { s.Upstream.Reuse = Reuse{Idle: 4, IdleTime: 50 * time.Millisecond} })
		d.one(accepted)
		eventually(t, func() bool { return len(d.heardOf("QUIT")) == 1 && d.waiting() == 0 })
	})
	t.Run("messages", func(t *testing.T) {
		d := newDoor(t, func(s *Server) { s.Upstream.Reuse = Reuse{Idle: 4, Messages: 2} })
		for range 4 {
			d.one(accepted)
		}
		if n := d.mta.connections(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("age", func(t *testing.T) {
		var mu sync.Mutex
		now := time.Unix(1e9, 0)
		d := newDoor(t, func(s *Server) {
			s.Upstream.Reuse = Reuse{Idle: 4, Age: time.Minute}
			s.Upstream.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		})
		d.one(accepted)
		d.one(accepted)
		mu.Lock()
		now = now.Add(time.Minute)
		mu.Unlock()
		d.one(accepted)
		if n := d.mta.connections(); n != 2 {
			t.Errorf("%d connections", n)
		}
	})
	t.Run("full", func(t *testing.T) {
		d := newDoor(t, func(s *Server) { s.Upstream.Reuse = Reuse{Idle: 1} })
		one, two := d.dial().ready().envelope(), d.dial().ready().envelope()
		for _, k := range []*client{one, two} {
			k.raw(letterText + ".\r\n")
			k.want(accepted, "the end")
		}
		eventually(t, func() bool { return len(d.heardOf("QUIT")) == 1 && d.waiting() == 1 })
	})
	t.Run("closed by the MTA", func(t *testing.T) {
		d := newDoor(t, pooled)
		d.one(accepted)
		d.mta.mu.Lock()
		for c := range d.mta.conns {
			c.Close()
		}
		d.mta.mu.Unlock()
		eventually(t, func() bool { return d.waiting() == 0 })
		d.one(accepted)
		if d.happened("upstream lost") {
			t.Error("that was no trouble")
		}
	})
}

// A connection that XCLIENT has bound to its client serves no other.
func TestReuseNotWhereBound(t *testing.T) {
	d := newDoor(t, pooled)
	d.mta.binding = true
	d.offer(xclient)
	k := d.dial().ready()
	k.send(letterText)
	d.one(accepted)
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
	if n := len(d.heardOf("XCLIENT")); n != 2 || d.mta.connections() != 2 || d.waiting() != 0 {
		t.Errorf("%d XCLIENT, %d connections, %d wait", n, d.mta.connections(), d.waiting())
	}
	k.say("EHLO other.example", "250")
	if got := k.send(letterText); got != accepted || d.mta.connections() != 3 {
		t.Errorf("reply %q, %d connections", got, d.mta.connections())
	}
	if d.happened("upstream forward") {
		t.Error("that was no trouble")
	}
}

// Many clients at once on few connections: to each its own.
func TestReuseMany(t *testing.T) {
	d := newDoor(t, pooled)
	d.offer(xclient)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			k := d.dial().ready()
			for range 10 {
				k.raw("MAIL FROM:<" + portValue(clientOf(k.c.LocalAddr())) + "@b.example>\r\n")
				k.hear()
				k.raw("RCPT TO:<a@b.example>\r\n")
				k.hear()
				k.raw("DATA\r\n")
				k.hear()
				k.raw(letterText + ".\r\n")
				if got := k.hear(); got != accepted {
					t.Errorf("reply %q", got)
				}
			}
		})
	}
	wg.Wait()
	letters := d.mta.got()
	for _, l := range letters {
		port, _, _ := strings.Cut(strings.TrimPrefix(l.from, "FROM:<"), "@")
		if !strings.Contains(l.as, " PORT="+port+" ") {
			t.Errorf("the mail of %s came as that of %s", port, l.as)
		}
	}
	if len(letters) != 80 {
		t.Errorf("%d messages", len(letters))
	}
}

func TestUpstreamOnUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "mta")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	m := newMTAOn(t, l)
	u := &Upstream{Address: "unix:" + socket, Hostname: "mx.example"}
	if err := u.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !u.known("SMTPUTF8") || m.connections() != 1 {
		t.Error("it was not asked")
	}
}
