package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Many clients at once, in every way a message can end: each gets what is its
// own, and the ledger holds: what clients were told is what the MTA has.
func TestClientsNeverMix(t *testing.T) {
	d := newDoor(t)
	d.judge(func(m *mail.Message) filter.Verdict {
		if strings.Contains(m.Envelope.MailFrom, "spoof") {
			return filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 550, Enhanced: "5.7.26", Text: m.Envelope.MailFrom}}
		}
		return filter.Verdict{Action: filter.Accept, Edit: filter.Edit{Prepend: []string{"X-From: " + m.Envelope.MailFrom + "\r\n"}}}
	})
	var wg sync.WaitGroup
	for n := range 10 {
		k := d.dial()
		wg.Go(func() { k.manyMessages(n) })
	}
	wg.Wait()
	letters := d.mta.got()
	if len(letters) != 50 {
		t.Errorf("%d messages, clients were told of 50", len(letters))
	}
	for _, l := range letters {
		who := strings.TrimSuffix(strings.TrimPrefix(l.from, "FROM:<"), "@sender.example>")
		if len(l.to) != 1 || l.to[0] != "TO:<"+who+"@rcpt.example>" || strings.Count(l.data, who) != 3 || strings.Contains(who, "spoof") {
			t.Errorf("mixed: %+v", l)
		}
	}
	d.record(100)
}

// manyMessages sends five good messages and five others. It must not end the test.
func (k *client) manyMessages(n int) {
	k.hear()
	k.raw(fmt.Sprintf("EHLO client-%d.example\r\n", n))
	k.hear()
	for i := range 10 {
		who, want := fmt.Sprintf("u%d-%d", n, i), accepted
		if i%2 == 1 {
			who = "spoof-" + who
			want = "550 5.7.26 " + who + "@sender.example"
		}
		k.raw("MAIL FROM:<" + who + "@sender.example>\r\n")
		k.hear()
		k.raw("RCPT TO:<" + who + "@rcpt.example>\r\n")
		k.hear()
		text := "From: " + who + "@sender.example\r\n\r\n" + who + "\r\n"
		if i%3 == 0 {
			k.raw(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text))
		} else {
			k.raw("DATA\r\n")
			k.hear()
			k.raw(text + ".\r\n")
		}
		if got := k.hear(); got != want {
			k.t.Errorf("%s: %q", who, got)
		}
	}
}

// Prefetch is told of the envelope first, then of the header while the body
// still comes, and neither its slowness nor its panics are anybody's trouble.
func TestPrefetch(t *testing.T) {
	type call struct {
		env    mail.Envelope
		fields int
	}
	calls := make(chan call, 10)
	d := newDoor(t, func(s *Server) {
		s.Prefetch = func(ctx context.Context, env mail.Envelope, h *mail.Header) {
			c := call{env: env, fields: -1}
			if h != nil {
				c.fields = len(h.Fields)
			}
			calls <- c
			<-ctx.Done()
			panic("boom")
		}
	})
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	if c := <-calls; c.fields != -1 || c.env.MailFrom != "a@sender.example" || c.env.Helo != "client.example" || c.env.Client != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("at MAIL %+v", c)
	}
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.say("DATA", "354")
	k.raw("From: a@sender.example\r\nSubject: x\r\n\r\n" + strings.Repeat("body\r\n", 1000))
	if c := <-calls; c.fields != 2 || len(c.env.Rcpts) != 1 {
		t.Errorf("at the header %+v", c)
	}
	k.raw(".\r\n")
	k.want(accepted, "the end")
	eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.panics == 2 })
}

func TestPace(t *testing.T) {
	p := pace{window: time.Second, rate: 100}
	for i, c := range []struct {
		n  int
		d  time.Duration
		ok bool
	}{
		{50, 500 * time.Millisecond, true},
		{49, 499 * time.Millisecond, true},
		{1, time.Millisecond, true},                // 100 in one second
		{0, 999 * time.Millisecond, true},          // not over yet
		{99, time.Millisecond, false},              // 99 in one second
		{1000, 3 * time.Second, true},              // a new window
		{0, time.Minute, false},                    // silence
		{1 << 30, 0, true}, {0, time.Second, true}, // work of ours takes no time of the client's
	} {
		if ok := p.note(c.n, c.d); ok != c.ok {
			t.Errorf("step %d: %v", i, ok)
		}
	}
}

func TestTraceNames(t *testing.T) {
	for said, want := range map[string]string{
		"mail.example": "mail.example", "[192.0.2.1]": "[192.0.2.1]", "[IPv6:2001:db8::1]": "[IPv6:2001:db8::1]",
		"": "unknown", "a b": "unknown", "a(b)": "unknown", "a\r\nX: y": "unknown", "b\u00fccher.example": "unknown", "a;b": "unknown",
		strings.Repeat("x", 256): "unknown",
	} {
		if got := traceName(said); got != want {
			t.Errorf("%q gives %q", said, got)
		}
	}
	for a, want := range map[string]string{"192.0.2.1": "[192.0.2.1]", "2001:db8::1": "[IPv6:2001:db8::1]"} {
		if got := traceAddress(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s gives %s", a, got)
		}
	}
	if got := traceAddress(netip.Addr{}); got != "local" {
		t.Errorf("no address gives %s", got)
	}
}

func TestClientKey(t *testing.T) {
	for a, want := range map[string]string{"192.0.2.1": "192.0.2.1/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := clientKey(netip.MustParseAddr(a)).String(); got != want {
			t.Errorf("%s counts as %s", a, got)
		}
	}
}

func TestRandomID(t *testing.T) {
	a, b := randomID(), randomID()
	if a == b || len(a) != 16 || strings.Trim(a, "0123456789abcdefghijklmnopqrstuv") != "" {
		t.Errorf("%q, %q", a, b)
	}
}
