package dns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"sekimori/testdata/peer"
)

// echo answers TXT questions with their names, in the letters that were asked.
func echo(t testing.TB, q *mdns.Msg) []byte {
	rr := &mdns.TXT{Hdr: mdns.RR_Header{Name: q.Question[0].Name, Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: 60},
		Txt: []string{strings.ToLower(q.Question[0].Name)}}
	return pack(t, answerTo(q, 0, []mdns.RR{rr}), false, nil)
}

// sockets counts what this process has open beside files.
func sockets(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	peer.Require(t, err == nil, "there is no /proc here")
	n := 0
	for _, f := range all {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

// Sockets are used again, several questions at a time, each of which gets its
// own answer; and none of them outlives Close.
func TestLinesAreShared(t *testing.T) {
	var mu sync.Mutex
	ports := map[string]int{}
	udp, tcp := listen(t)
	defer tcp.Close()
	defer udp.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			q := new(mdns.Msg)
			if q.Unpack(buf[:n]) == nil {
				mu.Lock()
				ports[from.String()]++
				mu.Unlock()
				_, _ = udp.WriteToUDPAddrPort(echo(t, q), from)
			}
		}
	}()
	before, routines := sockets(t), runtime.NumGoroutine()
	c := &Client{Servers: []netip.AddrPort{netip.MustParseAddrPort(tcp.Addr().String())}, Timeout: 5 * time.Second}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 50 {
				name := fmt.Sprintf("n%d-%d.example", i, j)
				if a := c.Query(context.Background(), Question{name, TXT}); a.Outcome != Found || a.TXT[0] != name+"." {
					t.Errorf("%s: %s %q %v", name, a.Outcome, a.TXT, a.Err)
				}
			}
		})
	}
	wg.Wait()
	mu.Lock()
	most := 0
	for _, n := range ports {
		most = max(most, n)
	}
	if len(ports) < 2000/lineQuestions || len(ports) > 200 || most > lineQuestions {
		t.Errorf("2000 questions came from %d ports, %d from one", len(ports), most)
	}
	mu.Unlock()
	if n := sockets(t) - before; n > maxLines {
		t.Errorf("%d sockets are open", n)
	}
	c.Close()
	until(t, "all sockets closed", func() bool { return sockets(t) <= before })
	until(t, "all loops ended", func() bool { return runtime.NumGoroutine() <= routines })
	if a := c.Query(t.Context(), Question{"after.example", TXT}); a.Outcome != Found {
		t.Errorf("after Close: %s %v", a.Outcome, a.Err)
	}
	until(t, "the socket after Close closed by its age", func() bool { return sockets(t) <= before })
}

// An answer that comes too late is no guess: the line stays, and the answer
// goes to nobody.
func TestLateAnswers(t *testing.T) {
	late := make(chan func(), 100)
	udp, tcp := listen(t)
	defer tcp.Close()
	defer udp.Close()
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			q := new(mdns.Msg)
			_ = q.Unpack(buf[:n])
			if strings.HasPrefix(q.Question[0].Name, "late") {
				late <- func() { _, _ = udp.WriteToUDPAddrPort(echo(t, q), from) }
				continue
			}
			_, _ = udp.WriteToUDPAddrPort(echo(t, q), from)
		}
	}()
	l, err := openLine(t.Context(), tcp.Addr().String(), randomly)
	if err != nil {
		t.Fatal(err)
	}
	defer l.retire()
	ask := func(name string) *call {
		on := newChain(Question{name, TXT})
		q := newInquiry(&on, form{edns: true})
		c, err, ok := l.ask(&q)
		if err != nil || !ok {
			t.Fatal(err, ok)
		}
		return c
	}
	for i := range maxStrays + 5 {
		l.leave(ask(fmt.Sprint("late", i, ".x")))
	}
	for range maxStrays + 5 {
		(<-late)()
	}
	if p := <-ask("good.x").got; p.fit != belongs || p.err != nil {
		t.Errorf("%+v", p)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.strays != 0 || l.waiting != 0 || l.retired {
		t.Errorf("%d strays, %d waiting, retired %v", l.strays, l.waiting, l.retired)
	}
}

// The letters are random, and what comes back in others is asked for by TCP. A
// server that loses them there too is found out and asked as ever.
func TestMixedCase(t *testing.T) {
	var mixed, plain atomic.Int64
	counted := func(q *mdns.Msg) {
		if q.Question[0].Name != strings.ToLower(q.Question[0].Name) {
			mixed.Add(1)
		} else {
			plain.Add(1)
		}
	}
	const name = "abcdefghijklmnopqrstuvwxyz.example"
	query := func(d *double) (*Client, Answer) {
		mixed.Store(0)
		plain.Store(0)
		c := clientOf(t, d)
		c.MixCase = true
		for range 2 {
			expect(t, c.Query(t.Context(), Question{name, TXT}), Found, name+".")
		}
		return c, c.Query(t.Context(), Question{name, TXT})
	}
	keeps := misbehave(t, func(q *mdns.Msg, _ bool) [][]byte { counted(q); return [][]byte{echo(t, q)} })
	if _, a := query(keeps); a.Outcome != Found || mixed.Load() != 3 || keeps.tcp.Load() != 0 {
		t.Errorf("%s, %d mixed, %d by TCP", a.Outcome, mixed.Load(), keeps.tcp.Load())
	}
	lower := func(q *mdns.Msg) { q.Question[0].Name = strings.ToLower(q.Question[0].Name) }
	folds := misbehave(t, func(q *mdns.Msg, _ bool) [][]byte { counted(q); lower(q); return [][]byte{echo(t, q)} })
	if c, _ := query(folds); !c.servers()[0].folds.Load() || plain.Load() != 2 || folds.tcp.Load() != 1 {
		t.Errorf("it folds: %v, %d plain, %d by TCP", c.servers()[0].folds.Load(), plain.Load(), folds.tcp.Load())
	}
	// A forger who guessed id and port, but not the letters.
	forged := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		counted(q)
		if tcp {
			return [][]byte{echo(t, q)}
		}
		evil := q.Copy()
		lower(evil)
		return [][]byte{pack(t, answerTo(evil, 0, records(t, name+`. 60 TXT "evil"`)), false, nil), echo(t, q)}
	})
	if c, _ := query(forged); c.servers()[0].folds.Load() || mixed.Load() != 6 || forged.tcp.Load() != 3 {
		t.Errorf("a forger switched the letters off: %d mixed, %d by TCP", mixed.Load(), forged.tcp.Load())
	}
}

// RFC 7766 section 6.2.1: a TCP connection serves several questions, and one
// that the server has closed meanwhile is no failure.
func TestTCPReuse(t *testing.T) {
	z := exampleOf(t)
	d := serveZone(t, z)
	c := clientOf(t, d)
	s := c.servers()[0]
	ask := func() {
		t.Helper()
		on := newChain(Question{"example.com", TXT})
		q := newInquiry(&on, form{edns: true})
		if m, fit, err := c.overTCP(t.Context(), s, &q); err != nil || fit != belongs || len(m.Answer) != 1 {
			t.Errorf("%v %v %v", m, fit, err)
		}
	}
	ask()
	first := s.idle.conn
	ask()
	if first == nil || s.idle.conn != first {
		t.Error("the connection was not used again")
	}
	_ = first.Close()
	ask()
	if s.idle.conn == nil || s.idle.conn == first {
		t.Error("no new connection in place of the one that was closed")
	}
	c.Close()
	if s.idle.conn != nil {
		t.Error("a connection is left")
	}
}
