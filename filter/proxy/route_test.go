package proxy

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// twoHosts is a door before two hosts; the second is asked if the first fails.
func twoHosts(t *testing.T, change ...func(*Server)) (*door, *mta) {
	t.Helper()
	second := newMTA(t)
	d := newDoor(t, append([]func(*Server){func(s *Server) {
		s.Upstream.Hosts = []Host{{Address: s.Upstream.Address}, {Address: second.l.Addr().String(), Priority: 1}}
	}}, change...)...)
	return d, second
}

func TestFailover(t *testing.T) {
	for name, break_ := range map[string]func(*mta){
		"down":               func(m *mta) { m.stop() },
		"greets 554":         func(m *mta) { m.do("connect", misdeed{say: "554 5.3.2 no\r\n", close: true}) },
		"greets 421":         func(m *mta) { m.do("connect", misdeed{say: "421 4.3.2 no\r\n", close: true}) },
		"says nothing":       func(m *mta) { m.do("connect", misdeed{hang: true}) },
		"EHLO":               func(m *mta) { m.do("EHLO", misdeed{close: true}) },
		"closes at MAIL":     func(m *mta) { m.do("MAIL", misdeed{close: true}) },
		"hangs at MAIL":      func(m *mta) { m.do("MAIL", misdeed{hang: true}) },
		"421 at MAIL":        func(m *mta) { m.do("MAIL", misdeed{say: "421 4.3.2 going down\r\n", close: true}) },
		"closes at RCPT":     func(m *mta) { m.do("RCPT", misdeed{close: true}) },
		"garbage at RCPT":    func(m *mta) { m.do("RCPT", misdeed{say: "what?\r\n"}) },
		"resets at RCPT":     func(m *mta) { m.do("RCPT", misdeed{reset: true}) },
		"STARTTLS is wanted": func(m *mta) { m.do("MAIL", misdeed{say: "220 what\r\n250 ok\r\n", close: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			d, second := twoHosts(t, impatient)
			break_(d.mta)
			if got := d.dial().ready().send(letterText); got != accepted {
				t.Errorf("reply %q", got)
			}
			if len(second.got()) != 1 || len(d.mta.got()) != 0 {
				t.Errorf("the first has %d, the second %d messages", len(d.mta.got()), len(second.got()))
			}
			if r := d.record(1); r.Upstream != second.l.Addr().String() {
				t.Errorf("the record names %s", r.Upstream)
			}
		})
	}
}

// What an MTA says of a transaction is not another's to correct.
func TestNoFailoverAfterItsWord(t *testing.T) {
	d, second := twoHosts(t, impatient)
	d.mta.do("MAIL", misdeed{say: "450 4.7.1 not now\r\n"})
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "450 4.7.1 not now")
	d.mta.behave()
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("RCPT TO:<a@b.example>", "250")
	d.mta.do("RCPT", misdeed{close: true})
	k.say("RCPT TO:<b@b.example>", "451 4.4.2")
	k.say("RCPT TO:<c@b.example>", "451 4.4.2")
	if len(second.heard()) > 3 { // the probe
		t.Errorf("the second heard %q", second.heard())
	}
}

// A transaction moves once only, and a refusal on the other host is the answer.
func TestFailoverOnce(t *testing.T) {
	d, second := twoHosts(t, impatient)
	d.mta.do("RCPT", misdeed{close: true})
	second.do("RCPT", misdeed{close: true})
	d.dial().ready().one("RCPT TO:<a@b.example>", "451 4.4.2")
	second.behave()
	second.do("MAIL", misdeed{say: "550 5.7.1 no\r\n"})
	k := d.dial().ready()
	k.one("RCPT TO:<a@b.example>", "550 5.7.1 no")
	k.say("RCPT TO:<a@b.example>", "550 5.7.1 no")
	k.say("RSET", "250")
	d.mta.behave()
	second.behave()
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
}

// one says MAIL and then this.
func (k *client) one(line, want string) {
	k.t.Helper()
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say(line, want)
}

func TestRoute(t *testing.T) {
	u := &Upstream{Hosts: []Host{{"a", 10, 1}, {"b", 0, 3}, {"c", 0, 1}, {"d", 10, 0}}}
	count := map[string]int{}
	for lot := range 4 {
		u.random = func(n int) int {
			if n == 4 {
				return lot
			}
			return 0
		}
		order := ""
		for _, h := range u.route(nil) {
			order += h.Address
		}
		count[order]++
	}
	if count["bcad"] != 3 || count["cbad"] != 1 {
		t.Errorf("orders %v", count)
	}
	u.random = nil
	first := u.every()[1]
	order := u.route(first)
	if len(order) != 4 || order[3] != first {
		t.Error("a host to avoid comes last")
	}
}

func TestBreaker(t *testing.T) {
	b := breaker{patience: Patience{Failures: 2, Pause: time.Minute}}
	now := time.Unix(1e9, 0)
	step := func(what string, want bool) {
		t.Helper()
		if got := b.allow(now); got != want {
			t.Errorf("%s: %v", what, got)
		}
	}
	step("new", true)
	b.failed(now)
	step("one failure", true)
	b.succeeded()
	b.failed(now)
	step("not in a row", true)
	b.failed(now)
	step("open", false)
	now = now.Add(time.Minute)
	step("half open", true)
	step("one at a time", false)
	b.failed(now)
	step("open again", false)
	now = now.Add(time.Minute)
	step("half open again", true)
	b.withdrew()
	step("nothing was learned", true)
	b.succeeded()
	step("closed", true)
	step("for all", true)
}

// All hosts down: after a few tries nobody waits for them any more.
func TestAllDown(t *testing.T) {
	var mu sync.Mutex
	var dials atomic.Int32
	now := time.Unix(1e9, 0)
	var down atomic.Bool
	d := newDoor(t, func(s *Server) {
		u := s.Upstream
		u.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		u.Patience = Patience{Failures: 2, Pause: time.Minute}
		address := u.Address
		u.dial = func(ctx context.Context) (net.Conn, error) {
			if !down.Load() {
				return (&net.Dialer{}).DialContext(ctx, "tcp", address)
			}
			dials.Add(1)
			return nil, errors.New("down")
		}
	})
	down.Store(true)
	k := d.dial().ready()
	for range 5 {
		k.say("MAIL FROM:<a@b.example>", "451 4.4.1 ")
	}
	if n := dials.Load(); n != 2 || !d.happened("upstream open") {
		t.Errorf("%d connections were tried", n)
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	k.say("MAIL FROM:<a@b.example>", "451 4.4.1 ")
	k.say("MAIL FROM:<a@b.example>", "451 4.4.1 ")
	if n := dials.Load(); n != 3 {
		t.Errorf("%d connections were tried", n)
	}
	down.Store(false)
	k.say("MAIL FROM:<a@b.example>", "451 4.4.1 ") // nobody has seen it yet
	if err := d.server.Upstream.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
}

// Clients whom the MTA refuses, or who leave, do not make it look dead.
func TestBreakerIsNotTheClients(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Upstream.Patience = Patience{Failures: 1, Pause: time.Hour} })
	d.offer(xclient)
	d.mta.do("XCLIENT", misdeed{say: "554 5.7.1 not you\r\n"})
	d.dial().ready().say("MAIL FROM:<a@b.example>", "554 5.7.1")
	d.mta.behave()
	d.mta.do("connect", misdeed{hang: true, once: true})
	k := d.dial().ready()
	k.raw("MAIL FROM:<a@b.example>\r\n")
	eventually(t, func() bool { return d.mta.connections() == 2 })
	h := d.server.Upstream.every()[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.report(ctx, errors.New("gone"))
	if !h.breaker.allow(time.Now()) {
		t.Error("a client who left opened it")
	}
}

// Each host is known by its own state.
func TestProbeAll(t *testing.T) {
	d, second := twoHosts(t, impatient)
	second.stop()
	all := d.server.Upstream.ProbeAll(t.Context())
	if len(all) != 2 || all[0].Err != nil || all[1].Err == nil || all[1].Address != second.l.Addr().String() {
		t.Errorf("%+v", all)
	}
	if err := d.server.Upstream.Probe(t.Context()); err != nil {
		t.Error("mail flows", err)
	}
	d.mta.do("NOOP", misdeed{say: "500 what\r\n"})
	if err := d.server.Upstream.Probe(t.Context()); err == nil {
		t.Error("no mail flows")
	}
	if !slices.ContainsFunc(all, func(s Status) bool { return s.Err != nil }) {
		t.Error("no host is down")
	}
}
