package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// A connection that began with a client's PROXY header serves no other client,
// even if the first has no address to be told by.
func TestPROXYConnectionIsNeverPassedOn(t *testing.T) {
	mta, heard := listenPROXY(t)
	s := &Server{Hostname: "mx.example", Upstream: &Upstream{Address: mta, Hostname: "mx.example", Forward: ForwardPROXY, Reuse: Reuse{Idle: 3}}}
	socket := filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"unix": socket, "tcp": "127.0.0.1:0"} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(t.Context(), network, l)
		if network == "tcp" {
			defer func() { wantHeard(t, l.Addr().String(), heard, "tcp", "local=false") }()
		}
	}
	wantHeard(t, socket, heard, "unix", "local=true")
}

func wantHeard(t *testing.T, address string, heard chan string, network, want string) {
	t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, line := range []string{"", "HELO c.example\r\n", "MAIL FROM:<a@x.example>\r\n", "RSET\r\n", "QUIT\r\n"} {
		io.WriteString(c, line)
		if reply, err := r.ReadString('\n'); err != nil || reply[0] != '2' {
			t.Fatalf("%q: %q %v", line, reply, err)
		}
	}
	if got := <-heard; got != want {
		t.Errorf("a client by %s is told with %s, want %s", network, got, want)
	}
}

// listenPROXY is an MTA that tells of each MAIL how its connection began.
func listenPROXY(t *testing.T) (address string, heard chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heard = make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerPROXY(c, heard)
		}
	}()
	return l.Addr().String(), heard
}

func answerPROXY(c net.Conn, heard chan string) {
	defer c.Close()
	r := bufio.NewReader(c)
	h, err := proxyproto.Read(r)
	if err != nil {
		return
	}
	io.WriteString(c, "220 mta\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "MAIL") {
			heard <- fmt.Sprint("local=", h.Command.IsLocal())
		}
		io.WriteString(c, "250 ok\r\n")
	}
}

// What a balancer says of the destination is what the MTA is told.
func TestDestinationIsTheClients(t *testing.T) {
	d := newDoor(t, func(s *Server) {
		s.Listeners = map[string]Listener{"test": {Balancers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
	})
	d.mta.offers = append(d.mta.offers, "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT")
	c, err := net.Dial("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	k := &client{t: t, c: c, r: bufio.NewReader(c)}
	k.raw("PROXY TCP4 203.0.113.9 198.51.100.25 4000 25\r\n")
	k.ready()
	k.say("MAIL FROM:<a@x.example>", "250")
	told := slices.ContainsFunc(d.mta.heard(), func(line string) bool {
		return strings.Contains(line, "DESTADDR=198.51.100.25") && strings.Contains(line, "DESTPORT=25")
	})
	if !told {
		t.Errorf("the MTA heard %q", d.mta.heard())
	}
}

// A host that hangs costs a client one timeout, however many connections to it
// wait.
func TestHungHostCostsOneTimeout(t *testing.T) {
	d := newDoor(t, func(s *Server) {
		s.Upstream.Times.Command = 300 * time.Millisecond
		s.Upstream.Reuse = Reuse{Idle: 10}
	})
	var all []*client
	for range 6 {
		k := d.dial().ready()
		k.say("MAIL FROM:<a@x.example>", "250")
		all = append(all, k)
	}
	for _, k := range all {
		k.say("RSET", "250")
	}
	mails := func() int {
		n := 0
		for _, line := range d.mta.heard() {
			if strings.HasPrefix(line, "MAIL") {
				n++
			}
		}
		return n
	}
	before := mails()
	d.mta.do("MAIL", misdeed{hang: true})
	d.dial().ready().say("MAIL FROM:<b@x.example>", "451 4.4")
	if n := mails() - before; n != 1 {
		t.Errorf("%d connections were tried, each for a whole timeout", n)
	}
}

// A message in chunks that ended early still talks to the MTA about its end: the
// next transaction waits for that.
func TestNextTransactionWaitsForTheLast(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Upstream.Reuse = Reuse{Idle: 3} })
	d.mta.do("RSET", misdeed{late: true, once: true})
	k := d.dial().ready()
	k.say("MAIL FROM:<one@sender.example>", "250")
	k.say("RCPT TO:<one@rcpt.example>", "250")
	chunk := strings.Repeat("A: b\r\n", 1001) // one field too many
	k.raw(fmt.Sprintf("BDAT %d\r\n%s", len(chunk), chunk))
	k.hear()
	k.say("RSET", "250")
	k.say("MAIL FROM:<two@sender.example>", "250")
	k.say("RCPT TO:<two@rcpt.example>", "250")
	k.raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(letterText), letterText))
	if got := k.hear(); got != accepted {
		t.Errorf("reply %q", got)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.records) != 2 || d.panics != 0 {
		t.Errorf("%d records for 2 messages, %d panics", len(d.records), d.panics)
	}
}

// The memory of partial deliveries is bounded, and its oldest goes first.
func TestPartialIsBounded(t *testing.T) {
	p := &Partial{}
	now := time.Now()
	for i := range partialMost + 100 {
		p.keep(now, receipt{from: "a", to: fmt.Sprint(i)}, reply{code: 250})
	}
	_, first := p.find(now, receipt{from: "a", to: "0"})
	_, last := p.find(now, receipt{from: "a", to: fmt.Sprint(partialMost + 99)})
	if first || !last || len(p.have) != partialMost || len(p.order) != partialMost {
		t.Errorf("first %v, last %v, %d and %d entries", first, last, len(p.have), len(p.order))
	}
}

// Who is told once that the MTA has a message may be told again for an hour, and
// not after that: the same octets are another message then.
func TestPartialIsToldForAnHour(t *testing.T) {
	p := &Partial{}
	now := time.Now()
	r := receipt{from: "a", to: "b"}
	p.keep(now, r, reply{code: 250})
	for _, step := range []struct {
		at   time.Duration
		want bool
	}{{time.Hour * 30, true}, {time.Hour*30 + 59*time.Minute, true}, {time.Hour * 32, false}} {
		if _, ok := p.take(now.Add(step.at), r); ok != step.want {
			t.Errorf("after %v: %v", step.at, ok)
		}
	}
}
