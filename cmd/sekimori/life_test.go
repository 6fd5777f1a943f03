package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// After SIGTERM the message in flight is finished, nobody else gets in, and the
// process ends well.
func TestSIGTERM(t *testing.T) {
	l := newLife(t)
	p := l.start(nil)
	idle, busy := l.dial(), l.dial()
	busy.half(t)
	p.signal(syscall.SIGTERM)
	waitFor(t, "nobody listens", func() bool { return refused(l.addr) })
	if got := idle.read(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("to who has nothing in flight: %q", got)
	}
	if got := p.wait(0); got != "late" {
		t.Fatalf("it has ended before the message: %s", got)
	}
	if got := busy.rest(t); !positive(got) {
		t.Errorf("reply %q", got)
	}
	if got := p.wait(10 * time.Second); got != "exit status 0" {
		t.Error(got)
	}
	if n := l.mta.received(); n != 1 || !strings.HasSuffix(string(l.mta.last().data), "first half\r\nsecond half\r\n") {
		t.Errorf("the MTA has %d messages, the last of them %q", n, l.mta.last().data)
	}
}

// What has not ended within the time is cut off, and that is no failure.
func TestShutdownTimeout(t *testing.T) {
	l := newLife(t)
	l.write(`shutdown_timeout = "1s"`)
	p := l.start(nil)
	busy := l.dial()
	busy.half(t)
	p.signal(syscall.SIGTERM)
	if got := p.wait(10 * time.Second); got != "exit status 0" {
		t.Error(got)
	}
	if got := busy.read(); !strings.HasPrefix(got, "421 ") {
		t.Errorf("reply %q", got)
	}
	if n := l.mta.received(); n != 0 {
		t.Errorf("the MTA has %d messages", n)
	}
}

// A second signal ends it at once; the client owns what it was sending.
func TestSecondSIGTERM(t *testing.T) {
	l := newLife(t)
	p := l.start(nil)
	busy := l.dial()
	busy.half(t)
	p.signal(syscall.SIGTERM)
	waitFor(t, "the first signal acts", func() bool { return strings.Contains(p.log.String(), "shutting down") })
	p.signal(syscall.SIGTERM)
	if got := p.wait(5 * time.Second); got != "signal: terminated" {
		t.Error(got)
	}
	if n := l.mta.received(); n != 0 {
		t.Errorf("the MTA has %d messages", n)
	}
}

// Two processes on one socket that is not theirs: while the old one finishes
// what it has, the new one takes what comes, and nobody is refused.
func TestHandover(t *testing.T) {
	l := newLife(t)
	door, err := net.Listen("tcp", l.addr)
	if err != nil {
		t.Fatal(err)
	}
	file, err := door.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close(); door.Close() })
	old := l.start([]string{"LISTEN_FDNAMES=smtp"}, file)
	busy := l.dial()
	busy.half(t)

	flow := &flow{life: l, stop: make(chan struct{})}
	flow.start(t, 4)
	waitFor(t, "mail flows", func() bool { return l.mta.received() > 20 })
	l.admin = freeAddr(t) // the old one's outlives its door
	l.write("")
	next := l.start(nil, file)
	old.signal(syscall.SIGTERM)
	waitFor(t, "the old one leaves", func() bool { return strings.Contains(old.log.String(), "shutting down") })
	before := l.mta.received()
	waitFor(t, "mail flows on", func() bool { return l.mta.received() > before+20 })
	if got := old.wait(0); got != "late" {
		t.Fatalf("the old one has ended before its message: %s", got)
	}
	if got := busy.rest(t); !positive(got) {
		t.Errorf("reply %q", got)
	}
	if got := old.wait(10 * time.Second); got != "exit status 0" {
		t.Error(got)
	}
	flow.end()
	if n := l.mta.received(); n != flow.sent+1 {
		t.Errorf("%d messages were taken, the MTA has %d", flow.sent+1, n)
	}
	next.signal(syscall.SIGTERM)
	if got := next.wait(10 * time.Second); got != "exit status 0" {
		t.Error(got)
	}
	if refused(l.addr) {
		t.Error("the socket was closed with its last user")
	}
}

// flow is clients who come without end, each with one message.
type flow struct {
	life *life
	stop chan struct{}
	wait sync.WaitGroup

	mu   sync.Mutex
	sent int
}

func (f *flow) start(t *testing.T, clients int) {
	for range clients {
		f.wait.Go(func() {
			for {
				select {
				case <-f.stop:
					return
				default:
				}
				if err := f.one(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	t.Cleanup(f.end)
}

func (f *flow) one() error {
	s, err := dialSender(f.life.addr, netipNone, "mx.example.com")
	if err != nil {
		return err
	}
	defer s.close()
	if got := s.send("a@example.com", []string{"user@example.net"}, []byte(letterHead)); !positive(got) {
		return fmt.Errorf("reply %q", got)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	return nil
}

func (f *flow) end() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.wait.Wait()
}

// A socket that no listener is for would leave its clients waiting: we say so
// and do not start.
func TestForeignSocket(t *testing.T) {
	l := newLife(t)
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	file, err := door.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := l.run(nil, file)
	if got := p.wait(10 * time.Second); got != "exit status 1" || !strings.Contains(p.log.String(), "gave us a socket on "+door.Addr().String()) {
		t.Errorf("%s\n%s", got, p.log)
	}
}

// notes are what a service manager was told.
type notes struct {
	socket *net.UnixConn
	mu     sync.Mutex
	all    []string
}

func newNotes(t *testing.T) *notes {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") // a short path
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/n", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	n := &notes{socket: c}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [4096]byte
		for {
			k, err := c.Read(b[:])
			if err != nil {
				return
			}
			n.mu.Lock()
			n.all = append(n.all, string(b[:k]))
			n.mu.Unlock()
		}
	}()
	t.Cleanup(func() { c.Close(); <-done; os.RemoveAll(dir) })
	return n
}

func (n *notes) env() string { return "NOTIFY_SOCKET=" + n.socket.LocalAddr().String() }

// told lists all but the watchdog's, with numbers as N.
func (n *notes) told() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, s := range n.all {
		if key, _, ok := strings.Cut(s, "MONOTONIC_USEC="); ok {
			s = key + "MONOTONIC_USEC=N"
		}
		if s != "WATCHDOG=1" {
			all = append(all, strings.ReplaceAll(s, "\n", " "))
		}
	}
	return strings.Join(all, "; ")
}

func (n *notes) count(state string) (c int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.all {
		if s == state {
			c++
		}
	}
	return c
}

func TestServiceManagerIsTold(t *testing.T) {
	l, n := newLife(t), newNotes(t)
	p := l.start([]string{n.env(), "WATCHDOG_USEC=400000"})
	waitFor(t, "READY", func() bool { return n.told() == "READY=1" })
	if refused(l.addr) {
		t.Error("it is ready and does not listen")
	}
	waitFor(t, "the watchdog is fed", func() bool { return n.count("WATCHDOG=1") > 3 })
	l.write("policy.mode = \"shadow\"\n")
	p.signal(syscall.SIGHUP)
	waitFor(t, "reloaded", func() bool { return n.told() == "READY=1; RELOADING=1 MONOTONIC_USEC=N; READY=1" })
	l.write("policy.mode = \"shadowy\"\n")
	p.signal(syscall.SIGHUP)
	waitFor(t, "not reloaded, and back", func() bool { return strings.Count(n.told(), "READY=1") == 3 })
	before := n.count("WATCHDOG=1")
	waitFor(t, "the watchdog is still fed", func() bool { return n.count("WATCHDOG=1") > before+3 })
	p.signal(syscall.SIGTERM)
	if got := p.wait(10 * time.Second); got != "exit status 0" {
		t.Error(got)
	}
	if told := n.told(); !strings.HasSuffix(told, "; STOPPING=1") || strings.Count(told, "STOPPING") != 1 {
		t.Errorf("told %s", told)
	}
}

// The watchdog starves when nobody accepts any more.
func TestWatchdogStarves(t *testing.T) {
	n := newNotes(t)
	key, value, _ := strings.Cut(n.env(), "=")
	t.Setenv(key, value)
	t.Setenv("WATCHDOG_USEC", "100000")
	log := &lockedBuffer{}
	var mu sync.Mutex
	var trouble error
	ended := make(chan struct{})
	ctx, cancel := timed(t)
	go func() {
		defer close(ended)
		manager{newLog(log, "info")}.feed(ctx, func(time.Duration) error { mu.Lock(); defer mu.Unlock(); return trouble })
	}()
	waitFor(t, "it is fed", func() bool { return n.count("WATCHDOG=1") > 1 })
	mu.Lock()
	trouble = fmt.Errorf("listener smtp has not accepted for 1m0s")
	mu.Unlock()
	waitFor(t, "we say why it is not", func() bool { return strings.Contains(log.String(), "has not accepted for 1m0s") })
	before := n.count("WATCHDOG=1")
	time.Sleep(200 * time.Millisecond)
	if n.count("WATCHDOG=1") != before {
		t.Error("it is fed all the same")
	}
	cancel()
	<-ended
}
