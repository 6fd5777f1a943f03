package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestListenersHaveSettingsOfTheirOwn(t *testing.T) {
	cert, key, _ := writeCertificate(t, t.TempDir(), "mx.example", 1)
	conf := (&Certificate{CertFile: cert, KeyFile: key}).Config()
	d := newDoor(t, func(s *Server) {
		s.Listeners = map[string]Listener{
			"test":   {Limits: Limits{MessageSize: 1000, Connections: 1}},
			"second": {TLS: conf, Limits: Limits{Recipients: 7}},
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d.serveAs("second", l)
	one := d.dial()
	one.want("220", "connecting")
	if got := one.say("EHLO x.example", "250"); !strings.Contains(got, "SIZE 1001") && !strings.Contains(got, "SIZE 1000") || strings.Contains(got, "STARTTLS") {
		t.Errorf("the first: %q", got)
	}
	d.dial().want("421 4.3.2 too many connections", "a second one on the first")
	two := d.call("tcp", l.Addr().String())
	two.want("220", "connecting")
	if got := two.say("EHLO x.example", "250"); !strings.Contains(got, "STARTTLS") || !strings.Contains(got, "RCPTMAX=7") {
		t.Errorf("the second: %q", got)
	}
	if got := two.send(letterText); got != accepted {
		t.Error(got)
	}
	if r := d.record(1); r.Listener != "second" {
		t.Errorf("listener %q", r.Listener)
	}
}

func TestSTARTTLSOnlyWithACertificate(t *testing.T) {
	cert, key, _ := writeCertificate(t, t.TempDir(), "mx.example", 1)
	var ready atomic.Bool
	d := newDoor(t, at(Listener{
		TLS:      (&Certificate{CertFile: cert, KeyFile: key}).Config(),
		TLSReady: ready.Load,
	}))
	for _, offered := range []bool{false, true} {
		k := d.dial()
		k.want("220", "connecting")
		if got := k.say("EHLO x.example", "250"); strings.Contains(got, "STARTTLS") != offered {
			t.Errorf("offered %q, want %v", got, offered)
		}
		ready.Store(true)
	}
	d.dial().ready().secure().say("EHLO x.example", "250")
}

// implicit dials and shakes hands.
func (d *door) implicit(config *tls.Config) *client {
	d.t.Helper()
	k := d.dial()
	c := tls.Client(k.c, config)
	if err := c.Handshake(); err != nil {
		d.t.Fatal(err)
	}
	k.c, k.r = c, bufio.NewReader(c)
	return k
}

func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

func implicitTLS(t *testing.T, l Listener) func(*Server) {
	cert, key, _ := writeCertificate(t, t.TempDir(), "mx.example", 1)
	l.TLS, l.Implicit = (&Certificate{CertFile: cert, KeyFile: key}).Config(), true
	return at(l)
}

func TestImplicitTLS(t *testing.T) {
	d := newDoor(t, implicitTLS(t, Listener{}))
	k := d.implicit(insecure())
	k.want("220", "connecting")
	if got := k.say("EHLO x.example", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("STARTTLS within TLS: %q", got)
	}
	k.say("STARTTLS", "502")
	if got := k.send(letterText); got != accepted {
		t.Error(got)
	}
	if r := d.record(1); r.Envelope.TLS.Version != "TLS1.3" {
		t.Errorf("record %+v", r.Envelope)
	}
	k.say("QUIT", "221")
	k.over()
}

func TestImplicitTLSAndClearText(t *testing.T) {
	d := newDoor(t, implicitTLS(t, Listener{}))
	k := d.dial()
	k.raw("EHLO x.example\r\nMAIL FROM:<a@b.example>\r\n")
	k.c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if got, _ := io.ReadAll(k.r); strings.Contains(string(got), "\r\n") {
		t.Errorf("said in clear: %q", got)
	}
	eventually(t, func() bool { return d.happened("refused tls") })
	if d.happened("accepted") {
		t.Error("counted as accepted")
	}
}

// Where TLS comes first, a refusal before it says nothing in clear.
func TestImplicitTLSRefusals(t *testing.T) {
	for name, l := range map[string]Listener{
		"total":  {Limits: Limits{Connections: 1}},
		"client": {Limits: Limits{ConnectionsPerClient: 1}},
		"header": {Balancers: here(), Limits: Limits{HeaderTime: 50 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, implicitTLS(t, l))
			if name != "header" {
				d.implicit(insecure()).want("220", "connecting")
			}
			k := d.dial()
			k.c.SetReadDeadline(time.Now().Add(3 * time.Second))
			if got, err := io.ReadAll(k.r); len(got) > 0 {
				t.Errorf("said %q, %v", got, err)
			}
			eventually(t, func() bool {
				return d.happened("refused total") || d.happened("refused per_client") || d.happened("refused proxy_header")
			})
		})
	}
}

func TestImplicitTLSBehindBalancer(t *testing.T) {
	d := newDoor(t, implicitTLS(t, Listener{Balancers: here()}))
	k := d.dial()
	k.raw("PROXY TCP4 192.0.2.1 192.0.2.2 12345 465\r\n")
	c := tls.Client(k.c, insecure())
	k.c, k.r = c, bufio.NewReader(c)
	if got := k.ready().send(letterText); got != accepted {
		t.Error(got)
	}
	if r := d.record(1); r.Envelope.Client.String() != "192.0.2.1" || r.Envelope.TLS.Version == "" {
		t.Errorf("record %+v", r.Envelope)
	}
}

func TestImplicitTLSAndShutdown(t *testing.T) {
	d := newDoor(t, implicitTLS(t, Listener{}))
	silent, idle := d.dial(), d.implicit(insecure())
	idle.ready()
	if err := <-d.shutdown(5 * time.Second); err != nil {
		t.Error(err)
	}
	idle.want("421 4.3.2", "a shutdown")
	silent.over()
}

func TestGreetDelay(t *testing.T) {
	const delay = 200 * time.Millisecond
	for _, where := range []string{"clear", "tls"} {
		t.Run(where, func(t *testing.T) {
			change, dial := at(Listener{GreetDelay: delay}), (*door).dial
			if where == "tls" {
				change = implicitTLS(t, Listener{GreetDelay: delay})
				dial = func(d *door) *client { return d.implicit(insecure()) }
			}
			d := newDoor(t, change)
			began := time.Now()
			patient := dial(d)
			patient.want("220", "connecting")
			if took := time.Since(began); took < delay*3/4 {
				t.Errorf("greeted after %v", took)
			}
			patient.say("EHLO x.example", "250")
			if got := patient.send(letterText); got != accepted {
				t.Error(got)
			}
			early := dial(d)
			early.raw("EHLO x.example\r\n")
			early.want("554 5.5.1 you spoke before the greeting", "an early word")
			early.over()
			dial(d).c.Close()
			eventually(t, func() bool { return d.happened("refused early_talker") && d.happened("refused left") })
		})
	}
	t.Run("shutdown", func(t *testing.T) {
		d := newDoor(t, at(Listener{GreetDelay: time.Minute}))
		k := d.dial()
		eventually(t, func() bool { return d.happened("opened") })
		if err := <-d.shutdown(5 * time.Second); err != nil {
			t.Error(err)
		}
		k.want("421 4.3.2 ", "a shutdown")
	})
	t.Run("exempt", func(t *testing.T) {
		d := newDoor(t, at(Listener{GreetDelay: time.Minute, Exempt: here()}))
		k := d.dial()
		k.raw("EHLO x.example\r\n")
		k.want("220", "connecting")
		k.want("250", "EHLO")
	})
	t.Run("STARTTLS waits no second time", func(t *testing.T) {
		cert, key, _ := writeCertificate(t, t.TempDir(), "mx.example", 1)
		d := newDoor(t, at(Listener{GreetDelay: 50 * time.Millisecond, TLS: (&Certificate{CertFile: cert, KeyFile: key}).Config()}))
		k := d.dial().ready().secure()
		k.say("EHLO x.example", "250")
		k.say("NOOP", "250")
	})
}

func TestRates(t *testing.T) {
	t.Run("connections", func(t *testing.T) {
		d := newDoor(t, at(Listener{Rates: Rates{Connections: Rate{2, time.Hour}}}))
		for range 2 {
			d.dial().ready().say("QUIT", "221")
		}
		k := d.dial()
		k.want("421 4.7.0 too many connections from your network", "the third")
		k.over()
		if !d.happened("refused rate") {
			t.Error("no event")
		}
	})
	t.Run("messages", func(t *testing.T) {
		d := newDoor(t, at(Listener{Rates: Rates{Messages: Rate{2, time.Hour}}}))
		k := d.dial().ready()
		for range 2 {
			if got := k.send(letterText); got != accepted {
				t.Error(got)
			}
		}
		k.say("MAIL FROM:<a@sender.example>", "450 4.7.0 too many messages")
		d.dial().ready().say("MAIL FROM:<a@sender.example>", "450 4.7.0 too many messages")
		if !d.happened("limited message_rate") || len(d.mta.got()) != 2 {
			t.Errorf("events %q", d.events)
		}
	})
	t.Run("recipients", func(t *testing.T) {
		d := newDoor(t, at(Listener{Rates: Rates{Recipients: Rate{2, time.Hour}}}))
		k := d.dial().ready()
		k.say("MAIL FROM:<a@sender.example>", "250")
		k.say("RCPT TO:<1@rcpt.example>", "250")
		k.say("RCPT TO:<2@rcpt.example>", "250")
		k.say("RCPT TO:<3@rcpt.example>", "450 4.7.0 too many recipients")
		k.say("DATA", "354")
		k.raw(letterText + ".\r\n")
		k.want(accepted, "the end")
		if l := d.mta.got()[0]; len(l.to) != 2 || !d.happened("limited recipient_rate") {
			t.Errorf("the MTA holds %+v", l)
		}
	})
	t.Run("exempt", func(t *testing.T) {
		once := Rate{1, time.Hour}
		d := newDoor(t, at(Listener{Rates: Rates{Connections: once, Messages: once, Recipients: once}, Exempt: here()}))
		for range 3 {
			if got := d.dial().ready().send(letterText); got != accepted {
				t.Error(got)
			}
		}
	})
}

func TestMeter(t *testing.T) {
	clock := time.Now()
	m := newMeter(Rate{60, time.Minute}, 3, func() time.Time { return clock })
	all := func(client string) (n int) {
		for m.allow(netip.MustParseAddr(client)) {
			n++
		}
		return n
	}
	if n := all("192.0.2.1"); n != 60 {
		t.Errorf("%d at once", n)
	}
	if all("192.0.2.2") != 60 || all("2001:db8::1") != 60 || all("2001:db8::2") != 0 {
		t.Error("an IPv4 address and an IPv6 /64 are one client each")
	}
	clock = clock.Add(1500 * time.Millisecond)
	if n := all("192.0.2.1"); n != 1 {
		t.Errorf("%d after a second and a half", n)
	}
	clock = clock.Add(-time.Hour) // somebody sets the clock
	if n := all("192.0.2.1"); n != 0 {
		t.Errorf("%d after the clock went back", n)
	}
	clock = clock.Add(3 * time.Hour)
	if n := all("192.0.2.1"); n != 60 {
		t.Errorf("%d after hours", n)
	}
	// The table is bounded: who came least recently is forgotten.
	all("192.0.2.4")
	all("192.0.2.5")
	if len(m.clients) != 3 || m.recent.Len() != 3 {
		t.Errorf("%d clients", len(m.clients))
	}
	if all("192.0.2.1") != 0 || all("192.0.2.2") != 60 {
		t.Error("the wrong one was forgotten")
	}
	off := newMeter(Rate{}, 0, time.Now)
	for range 1000 {
		if !off.allow(netip.MustParseAddr("192.0.2.1")) || !m.allow(netip.Addr{}) {
			t.Fatal("refused")
		}
	}
	if len(off.clients) != 0 {
		t.Error("what is off remembers")
	}
}

func TestTarpit(t *testing.T) {
	const delay = 150 * time.Millisecond
	d := newDoor(t, at(Listener{Limits: Limits{TarpitAfter: 2, TarpitTime: delay, Tarpitted: 1, Faults: 4}}))
	refused := func(k *client, want string) time.Duration {
		t.Helper()
		began := time.Now()
		k.say("RCPT TO:<x@rcpt.example>", want)
		return time.Since(began)
	}
	d.mta.do("RCPT", misdeed{say: "550 5.1.1 unknown\r\n"})
	open := func() *client {
		k := d.dial().ready()
		k.say("MAIL FROM:<a@b.example>", "250")
		return k
	}
	k, other := open(), open()
	for range 2 {
		if took := refused(k, "550 5.1.1"); took > delay/2 {
			t.Errorf("held for %v already", took)
		}
		refused(other, "550 5.1.1")
	}
	if took := refused(k, "550 5.1.1"); took < delay*3/4 {
		t.Errorf("held for %v only", took)
	}
	if !d.happened("limited tarpit") {
		t.Error("no event")
	}
	k.raw("RCPT TO:<x@rcpt.example>\r\n")
	time.Sleep(delay / 4)
	if took := refused(other, "550 5.1.1"); took > delay/2 {
		t.Errorf("the second was held for %v, but only one may be", took)
	}
	k.want("550 5.1.1", "the held one")
	k.say("RCPT TO:<x@rcpt.example>", "421 4.7.0 too many errors") // at once: it is to go
	k.over()
}

// A shutdown does not wait for those that are held.
func TestTarpitAndShutdown(t *testing.T) {
	d := newDoor(t, at(Listener{Limits: Limits{TarpitAfter: 1, TarpitTime: time.Minute}}))
	k := d.dial().ready()
	d.mta.do("MAIL", misdeed{say: "550 5.7.1 no\r\n"})
	k.say("MAIL FROM:<a@b.example>", "550 5.7.1 no")
	k.raw("MAIL FROM:<a@b.example>\r\n")
	eventually(t, func() bool { return d.happened("limited tarpit") })
	if err := <-d.shutdown(5 * time.Second); err != nil {
		t.Error(err)
	}
}

// A rate of 0 is no rate, negative ones say so.
func TestMinimumRateOff(t *testing.T) {
	for rate, slow := range map[int64]bool{0: false, -1: true, 50: false} {
		p := pace{window: time.Second, rate: Limits{DataRate: rate}.withDefaults().DataRate}
		if got := p.note(0, 2*time.Second); got != slow {
			t.Errorf("rate %d: a sender without an octet passes: %v", rate, got)
		}
	}
}

func TestClientCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writeCertificate(t, dir, "mx.example", 1)
	good, pool := clientPair(t, "client.example")
	bad, _ := clientPair(t, "other.example\r\nX: y")
	conf := (&Certificate{CertFile: cert, KeyFile: key}).Config()
	conf.ClientAuth, conf.ClientCAs = tls.RequestClientCert, pool
	d := newDoor(t, func(s *Server) { s.TLS = conf })
	for i, c := range []struct {
		shown    []tls.Certificate
		subject  string
		verified bool
	}{
		{nil, "", false},
		{[]tls.Certificate{good}, "CN=client.example", true},
		{[]tls.Certificate{bad}, "CN=other.example", false},
	} {
		k := d.dial().ready()
		k.say("STARTTLS", "220")
		// What is asked for is not what every client has: it shows what it likes.
		s := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c.shown) == 0 {
				return &tls.Certificate{}, nil
			}
			return &c.shown[0], nil
		}})
		k.c, k.r = s, bufio.NewReader(s)
		k.say("EHLO x.example", "250")
		if got := k.send(letterText); got != accepted {
			t.Fatal(got)
		}
		got := d.record(i + 1).Envelope.TLS.Client
		if !strings.HasPrefix(got.Subject, c.subject) || (c.subject == "") != (got.Subject == "") || got.Verified != c.verified || (len(got.Fingerprint) == 64) != (c.subject != "") {
			t.Errorf("%d: recorded %+v", i, got)
		}
	}
}

// clientPair is a certificate, and a pool that knows it.
func clientPair(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, key, pool := writeCertificate(t, t.TempDir(), name, 5)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pair, pool
}

// A certificate that is renewed or broken while clients are there drops nobody,
// and those that come get the last good one.
func TestCertificateRenewalDropsNobody(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writeCertificate(t, dir, "mx.example", 1)
	d := newDoor(t, func(s *Server) {
		s.TLS = (&Certificate{CertFile: cert, KeyFile: key, Every: time.Nanosecond}).Config()
	})
	serial := func(k *client) int64 {
		return k.c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	old := d.dial().ready().secure()
	old.say("EHLO x.example", "250")
	writeCertificate(t, dir, "mx.example", 2222)
	renewed := d.dial().ready().secure()
	if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := d.dial().ready().secure()
	for _, k := range []*client{old, renewed, broken} {
		k.say("EHLO x.example", "250")
		if got := k.send(letterText); got != accepted {
			t.Error(got)
		}
	}
	if a, b, c := serial(old), serial(renewed), serial(broken); a != 1 || b != 2222 || c != 2222 {
		t.Errorf("certificates %d, %d, %d", a, b, c)
	}
}

// idleMax is what a connection that waits may cost in memory, with its part of
// the kernel's left out.
const idleMax = 20<<10 + raceCost

// Thousands of idle connections are cheap.
func TestIdleConnections(t *testing.T) {
	const n = 1000
	heap, stack := idle(t, n)
	t.Logf("for each connection %d octets of heap, %d of stacks", heap, stack)
	if heap+stack > idleMax {
		t.Errorf("%d octets of heap and %d of stacks for each idle connection, at most %d are wanted", heap, stack, idleMax)
	}
}

// idle tells what each of n connections that have said EHLO and no more costs.
func idle(tb testing.TB, n int) (heap, stack int64) {
	tb.Helper()
	s := &Server{Hostname: "mx.example", Upstream: &Upstream{Address: takesAll(tb), Hostname: "mx.example"}}
	s.Listeners = map[string]Listener{"pipe": {Limits: Limits{Connections: n}}}
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- s.Serve(context.Background(), "pipe", l) }()
	clients := make([]net.Conn, n)
	greeting := make([]byte, 512)
	heapBefore, stackBefore := memory()
	for i := range clients {
		ours, theirs := net.Pipe()
		clients[i] = ours
		l.conns <- theirs
		if _, err := ours.Read(greeting); err != nil {
			tb.Fatal(err)
		}
		io.WriteString(ours, "EHLO x.example\r\n")
		if _, err := ours.Read(greeting); err != nil {
			tb.Fatal(err)
		}
	}
	heap, stack = memory()
	for _, c := range clients {
		c.Close()
	}
	s.Shutdown(context.Background())
	if err := <-served; err != nil {
		tb.Error(err)
	}
	if n := len(s.open()); n != 0 {
		tb.Errorf("%d connections are left", n)
	}
	return (heap - heapBefore) / int64(n), (stack - stackBefore) / int64(n)
}

// memory is what is in use of heap and of stacks.
func memory() (heap, stack int64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.StackInuse)
}

// pipeListener gives connections that cost the kernel nothing.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{} }

// What goes wrong before the greeting ends one connection only.
func TestPanicBeforeTheGreeting(t *testing.T) {
	d := newDoor(t, func(s *Server) {
		s.Events.Accepted = func(string) { panic("planted") }
	})
	k := d.dial()
	k.over()
	eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.panics == 1 })
	eventually(t, func() bool { return len(d.server.open()) == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := d.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
