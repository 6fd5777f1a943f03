package proxy

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
)

// lmtp is a double of an LMTP server that answers for each recipient as it is
// told to.
type lmtp struct {
	l net.Listener

	mu      sync.Mutex
	replies map[string]string // after the message, by recipient; "" ends the connection
	boxes   map[string]int    // messages by recipient
	heard   []string
	wg      sync.WaitGroup
}

func newLMTP(t *testing.T) *lmtp {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &lmtp{l: l, replies: map[string]string{}, boxes: map[string]int{}}
	m.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.wg.Go(func() { m.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); m.wg.Wait() })
	return m
}

func (m *lmtp) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	io.WriteString(c, "220 lmtp.example LMTP\r\n")
	var rcpts []string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		m.mu.Lock()
		m.heard = append(m.heard, line)
		m.mu.Unlock()
		switch verb, arg, _ := strings.Cut(line, " "); verb {
		case "LHLO":
			io.WriteString(c, "250-lmtp.example\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
		case "MAIL", "RSET":
			rcpts = nil
			io.WriteString(c, "250 2.0.0 ok\r\n")
		case "RCPT":
			rcpts = append(rcpts, strings.TrimSuffix(strings.TrimPrefix(arg, "TO:<"), "@rcpt.example>"))
			io.WriteString(c, "250 2.1.5 ok\r\n")
		case "DATA":
			io.WriteString(c, "354 go on\r\n")
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			if !m.deliver(c, rcpts) {
				return
			}
		case "QUIT":
			io.WriteString(c, "221 2.0.0 bye\r\n")
			return
		case "NOOP":
			io.WriteString(c, "250 2.0.0 ok\r\n")
		default:
			io.WriteString(c, "500 5.5.1 this is LMTP\r\n")
		}
	}
}

func (m *lmtp) deliver(c net.Conn, rcpts []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, rcpt := range rcpts {
		reply, told := m.replies[rcpt]
		if !told {
			reply = "250 2.0.0 <" + rcpt + "> saved"
		}
		if reply == "" {
			return false
		}
		if reply[0] == '2' {
			m.boxes[rcpt]++
		}
		io.WriteString(c, reply+"\r\n")
	}
	return true
}

func (m *lmtp) tell(replies map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.replies = replies
}

func (m *lmtp) held() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint(m.boxes)
}

func lmtpDoor(t *testing.T) (*door, *lmtp) {
	t.Helper()
	m := newLMTP(t)
	d := newDoor(t)
	d.server.Upstream.every()[0].Address = m.l.Addr().String()
	d.server.Upstream.LMTP = true
	if err := d.server.Upstream.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d, m
}

// to sends one message to these and gives the replies to RCPT that are not 250,
// and the last one.
func (k *client) to(text string, rcpts ...string) (refused []string, final string) {
	k.t.Helper()
	k.say("MAIL FROM:<a@sender.example>", "250")
	for _, r := range rcpts {
		k.raw("RCPT TO:<" + r + "@rcpt.example>\r\n")
		if got := k.hear(); !strings.HasPrefix(got, "250") {
			refused = append(refused, r+" "+got[:9])
		}
	}
	k.say("DATA", "354")
	k.raw(text + ".\r\n")
	return refused, k.hear()
}

// RFC 2033: where all recipients fare alike, that is the reply.
func TestLMTP(t *testing.T) {
	for name, c := range map[string]struct {
		replies     map[string]string
		final, held string
	}{
		"all":             {nil, "250 2.0.0 <x> saved", "map[x:1 y:1]"},
		"none now":        {map[string]string{"x": "451 4.2.0 x later", "y": "451 4.2.0 y later"}, "451 4.2.0 x later", "map[]"},
		"none ever":       {map[string]string{"x": "552 5.2.2 x is full", "y": "550 5.1.1 no y"}, "552 5.2.2 x is full", "map[]"},
		"none, some ever": {map[string]string{"x": "552 5.2.2 x is full", "y": "451 4.2.0 y later"}, "451 4.2.0 y later", "map[]"},
		"lost at once":    {map[string]string{"x": ""}, "451 4.4.2 the mail server behind this host was lost, try again later", "map[]"},
	} {
		t.Run(name, func(t *testing.T) {
			d, m := lmtpDoor(t)
			m.tell(c.replies)
			refused, final := d.dial().ready().to(letterText, "x", "y")
			if len(refused) > 0 || final != c.final || m.held() != c.held {
				t.Errorf("refused %q, reply %q, held %s", refused, final, m.held())
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.heard[0] != "LHLO mx.example" {
				t.Errorf("heard %q", m.heard)
			}
		})
	}
}

// Where they fare differently, each gets its own answer in the end, nobody two
// copies for one 250, and nobody none.
func TestLMTPPartly(t *testing.T) {
	for name, bad := range map[string]string{
		"for now":  "451 4.2.0 later",
		"for good": "552 5.2.2 full",
		"lost":     "",
	} {
		t.Run(name, func(t *testing.T) {
			d, m := lmtpDoor(t)
			m.tell(map[string]string{"y": bad})
			k := d.dial().ready()
			_, final := k.to(letterText, "x", "y")
			if !strings.HasPrefix(final, "451 4.5.3 ") || m.held() != "map[x:1]" {
				t.Fatalf("reply %q, held %s", final, m.held())
			}
			if r := d.record(1); r.Outcome != filter.UpstreamRefused || !strings.HasPrefix(r.Err, "1 of 2 recipients") {
				t.Errorf("record %+v", r)
			}
			k = d.dial().ready()
			refused, final := k.to(letterText, "x", "y", "z")
			if len(refused) != 2 || refused[0] != "y 452 4.5.3" || refused[1] != "z 452 4.5.3" || final != "250 2.0.0 <x> saved" {
				t.Errorf("refused %q, reply %q", refused, final)
			}
			// Behind others it has to come alone too.
			refused, _ = k.to("Subject: another\r\n\r\n", "z", "y")
			if len(refused) != 1 || m.held() != "map[x:1 z:1]" {
				t.Errorf("refused %q, held %s", refused, m.held())
			}
			if _, final = k.to(letterText, "y"); bad != "" && final != bad {
				t.Errorf("reply %q", final)
			}
			m.tell(nil)
			_, final = d.dial().ready().to("Received: on another way\r\n"+letterText, "y")
			if final != "250 2.0.0 <y> saved" {
				t.Errorf("reply %q", final)
			}
			_, again := d.dial().ready().to(letterText, "x")
			if again != "250 2.0.0 <x> saved" || m.held() != "map[x:1 y:1 z:1]" {
				t.Errorf("reply %q, held %s", again, m.held())
			}
			// Another message is another message.
			if _, final = d.dial().ready().to("Subject: new\r\n"+letterText, "x"); m.held() != "map[x:2 y:1 z:1]" {
				t.Errorf("reply %q, held %s", final, m.held())
			}
		})
	}
}

func TestPartialForgets(t *testing.T) {
	var p Partial
	now := time.Unix(1e9, 0)
	first := receipt{to: "first"}
	p.keep(now, first, own(250, "2.0.0", "ok"))
	if _, ok := p.find(now.Add(partialTime-1), first); !ok {
		t.Error("forgotten too early")
	}
	if _, ok := p.find(now.Add(partialTime), first); ok {
		t.Error("remembered too long")
	}
	for i := range partialMost {
		p.keep(now.Add(time.Second), receipt{content: sha256.Sum256(fmt.Append(nil, i))}, reply{})
	}
	if _, ok := p.find(now, first); ok || len(p.have) != partialMost {
		t.Errorf("%d remembered", len(p.have))
	}
}
