package dns

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// resolver answers "good" after a delay that a test changes; negative: never.
func resolver(t *testing.T) (*double, *atomic.Int64) {
	var delay atomic.Int64
	d := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		wait := time.Duration(delay.Load())
		if wait < 0 {
			return nil
		}
		time.Sleep(wait)
		return [][]byte{pack(t, answerTo(q, 0, good(t)), tcp, nil)}
	})
	return d, &delay
}

// A dead first server costs a moment once, not its whole timeout; and when it is
// back, it is noticed.
func TestRaceDeadFirst(t *testing.T) {
	first, delay := resolver(t)
	second, _ := resolver(t)
	c := clientOf(t, first, second)
	c.Timeout = 20 * time.Second
	delay.Store(-1)
	start := time.Now()
	for range 20 {
		expect(t, c.Query(t.Context(), question), Found, "good")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	if n := first.udp.Load(); n != 1 {
		t.Errorf("the dead server was asked %d times", n)
	}
	s := c.servers()[0]
	if s.rank() <= c.servers()[1].rank() {
		t.Error("the dead server is still first")
	}
	delay.Store(0)
	s.mu.Lock()
	s.probe = time.Now() // its time has come
	s.mu.Unlock()
	expect(t, c.Query(t.Context(), question), Found, "good")
	until(t, "the first server is first again", func() bool { return s.rank() <= c.servers()[1].rank() })
	asked := second.udp.Load()
	for range 5 {
		expect(t, c.Query(t.Context(), question), Found, "good")
	}
	if n := second.udp.Load() - asked; n > 2 {
		t.Errorf("the second server was asked %d times of 5", n)
	}
}

// Both are slow, for the domain's own servers are: nobody is blamed.
func TestRaceSlowDomain(t *testing.T) {
	first, a := resolver(t)
	second, b := resolver(t)
	c := clientOf(t, first, second)
	c.Timeout = 20 * time.Second
	a.Store(int64(400 * time.Millisecond))
	b.Store(int64(400 * time.Millisecond))
	expect(t, c.Query(t.Context(), question), Found, "good")
	if c.servers()[0].silent > 0 || c.servers()[1].silent > 0 {
		t.Error("a server is blamed for a slow domain")
	}
}

// The first good answer wins; a failure of the faster does not.
func TestRaceFailureDoesNotWin(t *testing.T) {
	fails := answering(t, mdns.RcodeServerFailure, nil, nil)
	slow, delay := resolver(t)
	delay.Store(int64(100 * time.Millisecond))
	c := clientOf(t, fails, slow)
	c.Timeout = 10 * time.Second
	expect(t, c.Query(t.Context(), question), Found, "good")
}

// A panic in a try is the caller's, as everywhere.
func TestRaceCarriesPanics(t *testing.T) {
	c := clientOf(t, silent(t))
	c.Random = func([]byte) { panic("boom") }
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
	}()
	c.Query(t.Context(), question)
}

// A server that was dead from the start and comes up is used.
func TestRaceServerComesUp(t *testing.T) {
	addr := unusedPort(t)
	c := clientOf(t, &double{addr: addr})
	expect(t, c.Query(t.Context(), question), Timeout, "")
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &mdns.Server{PacketConn: conn, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		_ = w.WriteMsg(answerTo(q, 0, good(t)))
	})}
	go func() { _ = s.ActivateAndServe() }()
	defer conn.Close()
	until(t, "an answer", func() bool { return c.Query(t.Context(), question).Outcome == Found })
}

func TestServerRank(t *testing.T) {
	a, b, c := &server{}, &server{}, &server{}
	a.answered(5 * time.Millisecond)
	b.answered(time.Millisecond)
	if a.rank() != b.rank() {
		t.Error("a few milliseconds are held against the operator's order")
	}
	for range 100 {
		a.answered(200 * time.Millisecond)
	}
	if a.rank() <= b.rank() {
		t.Error("a slow server is not behind a fast one")
	}
	if d := a.delay(); d < 200*time.Millisecond || d > mostDelay {
		t.Errorf("after answers of 200 ms the next is asked after %v", d)
	}
	if d := b.delay(); d != leastDelay {
		t.Errorf("after an answer of 1 ms the next is asked after %v", d)
	}
	now := time.Now()
	c.unanswered(now)
	if c.rank() <= a.rank() || c.due(now) || !c.due(now.Add(firstProbe)) || c.due(now.Add(firstProbe)) {
		t.Error("a silent server is not last, or not tried again once")
	}
	c.answered(time.Millisecond)
	if c.rank() != b.rank() || c.due(now.Add(time.Hour)) {
		t.Error("a server that is back is not as before")
	}
}
