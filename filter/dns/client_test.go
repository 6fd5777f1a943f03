package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

var question = Question{"q.x", TXT}

func good(t testing.TB) []mdns.RR { return records(t, `q.x. 60 TXT "good"`) }

func expect(t *testing.T, a Answer, want Outcome, text string) {
	t.Helper()
	if a.Outcome != want || strings.Join(a.TXT, "|") != text {
		t.Errorf("%s %q (%v), want %s %q", a.Outcome, a.TXT, a.Err, want, text)
	}
}

// DN-1.
func TestClientOutcomes(t *testing.T) {
	for rcode, want := range map[int]Outcome{
		mdns.RcodeSuccess:       NoData,
		mdns.RcodeNameError:     NXDomain,
		mdns.RcodeServerFailure: ServFail,
		mdns.RcodeRefused:       Refused,
		mdns.RcodeFormatError:   Refused,
		mdns.RcodeYXDomain:      Refused,
	} {
		d := answering(t, rcode, nil, nil)
		a := clientOf(t, d).Query(t.Context(), question)
		expect(t, a, want, "")
		if a.Server != d.addr {
			t.Errorf("%s: server is %q, want %s", want, a.Server, d.addr)
		}
	}
	expect(t, clientOf(t, answering(t, 0, good(t), nil)).Query(t.Context(), Question{"Q.X.", TXT}), Found, "good")
	expect(t, clientOf(t, silent(t)).Query(t.Context(), question), Timeout, "")
	expect(t, (&Client{}).Query(t.Context(), question), Timeout, "")
}

func TestClientAsksAsItShould(t *testing.T) {
	var mu sync.Mutex
	var ids []uint16
	d := misbehave(t, func(q *mdns.Msg, _ bool) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, q.Id)
		opt := q.IsEdns0()
		if !q.RecursionDesired || opt == nil || opt.UDPSize() != 1232 || q.AuthenticatedData || len(q.Question) != 1 || q.Question[0].Name != "q.x." {
			t.Errorf("asked %v", q)
		}
		return [][]byte{pack(t, answerTo(q, 0, good(t)), false, nil)}
	})
	c := clientOf(t, d)
	for range 20 {
		expect(t, c.Query(t.Context(), question), Found, "good")
	}
	different := map[uint16]bool{}
	for _, id := range ids {
		different[id] = true
	}
	if len(different) < 15 {
		t.Errorf("%d different ids among 20: %v", len(different), ids)
	}
}

// RFC 2181 section 11: any byte may stand in a label.
func TestClientAsksForOddNames(t *testing.T) {
	name := "a@b \"c\\;\x00\xff._spf.x"
	d := misbehave(t, func(q *mdns.Msg, _ bool) [][]byte {
		if got, ok := parseName(q.Question[0].Name); !ok || got != name {
			t.Errorf("asked for %q, want %q", got, name)
		}
		rr := record(t, "q.x. 60 A 127.0.0.2")
		rr.Header().Name = q.Question[0].Name
		return [][]byte{pack(t, answerTo(q, 0, []mdns.RR{rr}), false, nil)}
	})
	expect(t, clientOf(t, d).Query(t.Context(), Question{name, A}), Found, "")
}

// DM-019: what cannot be asked for causes no packet.
func TestClientRefusesNames(t *testing.T) {
	d := answering(t, 0, nil, nil)
	for _, name := range []string{"", ".", "a..b", strings.Repeat("a", 64) + ".x", "_dmarc." + strings.Repeat("a.", 124) + "x"} {
		a := clientOf(t, d).Query(t.Context(), Question{name, TXT})
		expect(t, a, Malformed, "")
		if !errors.Is(a.Err, ErrName) {
			t.Errorf("%.20q: %v, want ErrName", name, a.Err)
		}
	}
	expect(t, clientOf(t, d).Query(t.Context(), Question{"q.x", "ANY"}), Malformed, "")
	if n := d.udp.Load(); n != 0 {
		t.Errorf("%d packets were sent", n)
	}
}

// RFC 5452 section 9.1: what does not belong to the question is passed over.
func TestClientPassesOverStrays(t *testing.T) {
	evil := records(t, `q.x. 60 TXT "evil"`)
	strays := map[string]func(m *mdns.Msg, tcp bool){
		"wrong id":       func(m *mdns.Msg, _ bool) { m.Id++ },
		"wrong name":     func(m *mdns.Msg, _ bool) { m.Question[0].Name = "p.x." },
		"wrong type":     func(m *mdns.Msg, _ bool) { m.Question[0].Qtype = mdns.TypeMX },
		"wrong class":    func(m *mdns.Msg, _ bool) { m.Question[0].Qclass = mdns.ClassCHAOS },
		"no question":    func(m *mdns.Msg, _ bool) { m.Question = nil },
		"two questions":  func(m *mdns.Msg, _ bool) { m.Question = append(m.Question, m.Question[0]) },
		"not a response": func(m *mdns.Msg, _ bool) { m.Response = false },
		"another opcode": func(m *mdns.Msg, _ bool) { m.Opcode = mdns.OpcodeNotify },
	}
	for name, change := range strays {
		t.Run(name, func(t *testing.T) {
			expect(t, clientOf(t, answering(t, 0, evil, change)).Query(t.Context(), question), Timeout, "")
			both := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
				return [][]byte{{}, {1}, pack(t, answerTo(q, 0, evil), tcp, change), pack(t, answerTo(q, 0, good(t)), tcp, nil)}
			})
			expect(t, clientOf(t, both).Query(t.Context(), question), Found, "good")
		})
	}
}

// RFC 5452 section 9.2: under a rain of guesses UDP is given up for TCP.
func TestClientFloodOfStrays(t *testing.T) {
	flood := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		if tcp {
			return [][]byte{pack(t, answerTo(q, 0, good(t)), tcp, nil)}
		}
		guesses := make([][]byte, 2*maxStrays)
		for i := range guesses {
			guesses[i] = pack(t, answerTo(q, 0, nil), tcp, func(m *mdns.Msg, _ bool) { m.Id += uint16(i + 1) })
		}
		return guesses
	})
	expect(t, clientOf(t, flood).Query(t.Context(), question), Found, "good")
	if flood.tcp.Load() != 1 {
		t.Error("TCP was not used")
	}
}

func TestClientGarbage(t *testing.T) {
	garbage := func(change func(p []byte) []byte) *double {
		return misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
			return [][]byte{change(pack(t, answerTo(q, 0, good(t)), tcp, nil))}
		})
	}
	cut := garbage(func(p []byte) []byte { return p[:len(p)-3] })
	noise := garbage(func(p []byte) []byte {
		for i := 12 + len(question.Name) + 2 + 4; i < len(p); i++ {
			p[i] = 0xbf
		}
		return p
	})
	lie := garbage(func(p []byte) []byte { p[7] = 9; return p }) // nine records, it says
	for _, d := range []*double{cut, noise, lie} {
		a := clientOf(t, d).Query(t.Context(), question)
		expect(t, a, Malformed, "")
		if e := (&Error{question, a.Outcome, a.Err}); !e.Temporary() || e.NotFound() {
			t.Error("an unreadable answer must be temporary: it is not the sender's fault")
		}
		expect(t, clientOf(t, d, answering(t, 0, good(t), nil)).Query(t.Context(), question), Found, "good")
	}
}

// RFC 7766 section 5 (DN-2): a truncated answer is asked for again by TCP, and
// nothing of it is believed.
func TestClientTruncated(t *testing.T) {
	truncate := func(m *mdns.Msg, tcp bool) {
		if !tcp {
			m.Truncated = true
			m.Answer = m.Answer[:1]
		}
	}
	d := answering(t, 0, append(good(t), record(t, `q.x. 60 TXT "second"`)), truncate)
	expect(t, clientOf(t, d).Query(t.Context(), question), Found, "good|second")
	if d.udp.Load() != 1 || d.tcp.Load() != 1 {
		t.Errorf("asked %d times by UDP, %d times by TCP", d.udp.Load(), d.tcp.Load())
	}

	always := answering(t, 0, good(t), func(m *mdns.Msg, _ bool) { m.Truncated = true })
	expect(t, clientOf(t, always).Query(t.Context(), question), Malformed, "")

	mute := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		if tcp {
			return nil
		}
		return [][]byte{pack(t, answerTo(q, 0, good(t)), tcp, truncate)}
	})
	expect(t, clientOf(t, mute).Query(t.Context(), question), Timeout, "")

	wrong := answering(t, 0, good(t), func(m *mdns.Msg, tcp bool) {
		m.Truncated = !tcp
		if tcp {
			m.Question[0].Name = "p.x."
		}
	})
	expect(t, clientOf(t, wrong).Query(t.Context(), question), Malformed, "")
}

func TestClientTruncatedAndNoTCP(t *testing.T) {
	udp, tcp := listen(t)
	addr := tcp.Addr().String()
	_ = tcp.Close()
	s := &mdns.Server{PacketConn: udp, Handler: mdns.HandlerFunc(func(w mdns.ResponseWriter, q *mdns.Msg) {
		m := answerTo(q, 0, good(t))
		m.Truncated = true
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	defer udp.Close()
	a := clientOf(t, &double{addr: addr}).Query(t.Context(), question)
	expect(t, a, Timeout, "")
	if want := addr + ": truncated, then TCP: connect: connection refused"; fmt.Sprint(a.Err) != want {
		t.Errorf("said %q, want %q", a.Err, want)
	}
}

// When servers differ, the next is asked until one knows; what is reported else
// is what tells most.
func TestClientServersDiffer(t *testing.T) {
	knows := answering(t, 0, good(t), nil)
	nx := answering(t, mdns.RcodeNameError, nil, nil)
	fails := answering(t, mdns.RcodeServerFailure, nil, nil)
	refuses := answering(t, mdns.RcodeRefused, nil, nil)
	mute := silent(t)
	gone := &double{addr: unusedPort(t)}
	for i, c := range []struct {
		servers []*double
		want    Outcome
		text    string
	}{
		{[]*double{fails, knows}, Found, "good"},
		{[]*double{refuses, knows}, Found, "good"},
		{[]*double{mute, knows}, Found, "good"},
		{[]*double{gone, knows}, Found, "good"},
		{[]*double{fails, nx}, NXDomain, ""},
		{[]*double{nx, knows}, NXDomain, ""}, // one that knows is believed
		{[]*double{mute, fails}, ServFail, ""},
		{[]*double{fails, refuses}, ServFail, ""},
		{[]*double{refuses, mute}, Refused, ""},
		{[]*double{gone, gone}, Timeout, ""},
	} {
		a := clientOf(t, c.servers...).Query(t.Context(), question)
		if a.Outcome != c.want || strings.Join(a.TXT, "|") != c.text {
			t.Errorf("case %d: %s %q (%v), want %s", i, a.Outcome, a.TXT, a.Err, c.want)
		}
	}
	a := clientOf(t, fails, gone).Query(t.Context(), question)
	if want := fails.addr + ": SERVFAIL; " + gone.addr + ": connection refused"; !strings.HasPrefix(fmt.Sprint(a.Err), fails.addr+": SERVFAIL; "+gone.addr+": ") {
		t.Errorf("said %q, want %q", a.Err, want)
	}
}

func unusedPort(t *testing.T) string {
	udp, tcp := listen(t)
	_, _ = udp.Close(), tcp.Close()
	return tcp.Addr().String()
}

// Rounds are for packets that get lost; what a server said is not asked again.
func TestClientAttempts(t *testing.T) {
	n := 0
	third := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		if n++; n < 3 {
			return nil
		}
		return [][]byte{pack(t, answerTo(q, 0, good(t)), tcp, nil)}
	})
	c := clientOf(t, third)
	c.Timeout, c.Attempts = 500*time.Millisecond, 20 // a late answer is another lost packet
	expect(t, c.Query(t.Context(), question), Found, "good")
	mute := silent(t)
	c = clientOf(t, mute)
	c.Timeout, c.Attempts = 50*time.Millisecond, 3
	expect(t, c.Query(t.Context(), question), Timeout, "")
	if n := mute.udp.Load(); n > 3 {
		t.Errorf("who is silent was asked %d times", n)
	}
	fails := answering(t, mdns.RcodeServerFailure, nil, nil)
	c = clientOf(t, fails)
	c.Attempts = 3
	expect(t, c.Query(t.Context(), question), ServFail, "")
	if n := fails.udp.Load(); n != 1 {
		t.Errorf("SERVFAIL was asked for %d times", n)
	}
}

// A dead first server delays one question, not each.
func TestClientRemembersWhoAnswers(t *testing.T) {
	mute, knows := silent(t), answering(t, 0, good(t), nil)
	c := clientOf(t, mute, knows)
	for range 5 {
		expect(t, c.Query(t.Context(), question), Found, "good")
	}
	if n := mute.udp.Load(); n != 1 {
		t.Errorf("the silent server was asked %d times", n)
	}
}

// RFC 6891 section 7.
func TestClientWithoutEDNS(t *testing.T) {
	for _, rcode := range []int{mdns.RcodeFormatError, mdns.RcodeNotImplemented} {
		old := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
			if q.IsEdns0() != nil {
				return [][]byte{pack(t, answerTo(q, rcode, nil), tcp, func(m *mdns.Msg, _ bool) { m.Question = nil })}
			}
			return [][]byte{pack(t, answerTo(q, 0, good(t)), tcp, nil)}
		})
		expect(t, clientOf(t, old).Query(t.Context(), question), Found, "good")
	}
}

// DN-4: where an answer stops at a CNAME, its target is asked for.
func TestClientFollowsCNAME(t *testing.T) {
	chain := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		var i int
		name := q.Question[0].Name
		if _, err := fmt.Sscanf(name, "n%d.x.", &i); err != nil {
			t.Errorf("asked for %s", name)
		}
		rr := record(t, fmt.Sprintf("%s 60 CNAME n%d.x.", name, i+1))
		if i == 8 {
			rr = record(t, name+` 60 TXT "end"`)
		}
		return [][]byte{pack(t, answerTo(q, 0, []mdns.RR{rr}), tcp, nil)}
	})
	expect(t, clientOf(t, chain).Query(t.Context(), Question{"n0.x", TXT}), Found, "end")
	expect(t, clientOf(t, chain).Query(t.Context(), Question{"n20.x", TXT}), ServFail, "")
	if n := chain.udp.Load(); n != 9+9 {
		t.Errorf("%d packets, want 18", n)
	}
	loop := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		name := q.Question[0].Name
		target := map[string]string{"q.x.": "r.x.", "r.x.": "q.x."}[name]
		return [][]byte{pack(t, answerTo(q, 0, records(t, name+" 60 CNAME "+target)), tcp, nil)}
	})
	expect(t, clientOf(t, loop).Query(t.Context(), question), ServFail, "")
}

// DN-9: AD counts only from servers trusted for it, and from each message of a chain.
func TestClientSecure(t *testing.T) {
	said := func(m *mdns.Msg, _ bool) { m.AuthenticatedData = true }
	d := answering(t, 0, good(t), said)
	c := clientOf(t, d)
	if a := c.Query(t.Context(), question); a.Secure {
		t.Error("AD of a server that is not trusted for it")
	}
	c.TrustAD = true
	if a := c.Query(t.Context(), question); !a.Secure {
		t.Error("AD of a trusted server is lost")
	}
	half := misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		if q.Question[0].Name == "q.x." {
			return [][]byte{pack(t, answerTo(q, 0, records(t, "q.x. CNAME r.x.")), tcp, nil)}
		}
		return [][]byte{pack(t, answerTo(q, 0, records(t, `r.x. TXT "good"`)), tcp, said)}
	})
	c = clientOf(t, half)
	c.TrustAD = true
	a := c.Query(t.Context(), question)
	expect(t, a, Found, "good")
	if a.Secure {
		t.Error("half a chain was secure")
	}
}

func TestClientHonoursContext(t *testing.T) {
	c := clientOf(t, silent(t))
	c.Timeout = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	expect(t, c.Query(ctx, question), Timeout, "")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	c = clientOf(t, silent(t))
	c.Timeout, c.InFlight = time.Minute, 1
	hold, release := context.WithCancel(t.Context())
	defer release()
	go c.Query(hold, question)
	for len(c.taken()) == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	a := c.Query(ctx, question)
	if expect(t, a, Busy, ""); !strings.Contains(fmt.Sprint(a.Err), "waited for a place") {
		t.Errorf("said %v", a.Err)
	}
}

func TestNewClient(t *testing.T) {
	c, err := NewClient("192.0.2.1", "192.0.2.2:5353", "2001:db8::1", "[2001:db8::2]", "[2001:db8::3]:54", "fe80::1%lo")
	if err != nil {
		t.Fatal(err)
	}
	want := "[192.0.2.1:53 192.0.2.2:5353 [2001:db8::1]:53 [2001:db8::2]:53 [2001:db8::3]:54 [fe80::1%lo]:53]"
	if got := fmt.Sprint(c.Servers); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, s := range []string{"", "dns.example", "192.0.2.1:0", "192.0.2.1:port", "localhost:53"} {
		if _, err := NewClient(s); err == nil {
			t.Errorf("%q is taken for a server", s)
		}
	}
	if _, err := NewClient(); err == nil {
		t.Error("no server is no error")
	}
}

func TestSystemClient(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := SystemClient(file("search example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions ndots:5\n"))
	if err != nil || fmt.Sprint(c.Servers) != "[192.0.2.1:53 [2001:db8::1]:53]" {
		t.Errorf("%v, %v", c, err)
	}
	for text, want := range map[string]string{
		"search x\n":       `names no DNS server: add a line "nameserver ADDRESS"`,
		"nameserver foo\n": `DNS server "foo": give an IP address`,
	} {
		if _, err := SystemClient(file(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := SystemClient(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no file: %v", err)
	}
}

func BenchmarkClientRoundTrip(b *testing.B) {
	d := answering(b, 0, good(b), nil)
	c := &Client{Servers: []netip.AddrPort{netip.MustParseAddrPort(d.addr)}}
	b.ReportAllocs()
	for b.Loop() {
		if a := c.Query(b.Context(), question); a.Outcome != Found {
			b.Fatal(a.Outcome, a.Err)
		}
	}
}
