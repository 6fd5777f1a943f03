package proxy

import (
	"io"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

// impatient makes every step with the MTA fail fast.
func impatient(s *Server) {
	const d = 150 * time.Millisecond
	s.Upstream.Times = Times{Connect: time.Second, Greeting: d, Command: d, Data: d, Final: d}
}

// The MTA misbehaves in every way at every step. Whatever it does: the client
// gets 250 for the message only if the MTA said so, our trouble is always 4xx,
// and once the MTA behaves again so do we.
func TestMTAMisbehaves(t *testing.T) {
	deeds := map[string]misdeed{
		"closes":           {close: true},
		"resets":           {reset: true},
		"hangs":            {hang: true},
		"garbage":          {say: "hello?\r\n"},
		"zero code":        {say: "000 x\r\n"},
		"half a reply":     {say: "250 o", close: true},
		"half a long one":  {say: "250-2.0.0 ok\r\n", close: true},
		"mixed codes":      {say: "250-ok\r\n550 no\r\n"},
		"one code, cut":    {say: "250", close: true},
		"endless line":     {say: "250 " + strings.Repeat("x", 1<<16)},
		"endless reply":    {say: strings.Repeat("250-x\r\n", 200)},
		"3xx":              {say: "399 more\r\n"},
		"binary":           {say: "\x16\x03\x01\x00\x05"},
		"421 and goes":     {say: "421 4.3.2 going down\r\n", close: true},
		"refuses for now":  {say: "450 4.7.1 not now\r\n"},
		"refuses for good": {say: "554 5.7.1 never\r\n"},
	}
	for _, step := range []string{"connect", "EHLO", "MAIL", "RCPT", "DATA", "body", "end"} {
		for name, deed := range deeds {
			if step == "EHLO" && name == "refuses for good" {
				continue // then it is asked with HELO
			}
			t.Run(step+"/"+name, func(t *testing.T) {
				misbehave(t, step, deed)
			})
		}
	}
}

func misbehave(t *testing.T, step string, deed misdeed) {
	d := newDoor(t, impatient)
	d.mta.do(step, deed)
	k := d.dial().ready()
	refused := ""
	for _, line := range []string{"MAIL FROM:<a@sender.example>", "RCPT TO:<b@rcpt.example>", "DATA"} {
		k.raw(line + "\r\n")
		if got := k.hear(); !strings.HasPrefix(got, "250 ") && !strings.HasPrefix(got, "354 ") {
			refused = got
			break
		}
	}
	if refused == "" {
		k.raw(letterText + ".\r\n")
		refused = k.hear()
		d.record(1)
	}
	if len(d.mta.got()) != 0 {
		t.Fatalf("the MTA holds a message after %q", refused)
	}
	if want := verbatim(step, deed); want != "" && (refused != want && step != "body") {
		t.Errorf("reply %q, want the MTA's own %q", refused, want)
	} else if refused != want && !strings.HasPrefix(refused, "451 4.4.") && !strings.HasPrefix(refused, "421 4.3.2") {
		t.Errorf("reply %q: our trouble is to be temporary", refused)
	}
	d.mta.behave()
	if got := d.dial().ready().send(letterText); got != accepted || len(d.mta.got()) != 1 {
		t.Errorf("no recovery: %q, %d messages", got, len(d.mta.got()))
	}
}

// verbatim is the MTA's own refusal where it must reach the client, or may if it
// comes in the midst of the message. While the
// connection is set up a refusal is trouble between the MTA and us.
func verbatim(step string, deed misdeed) string {
	reply := strings.TrimSuffix(deed.say, "\r\n")
	code := strings.HasPrefix(reply, "450") || strings.HasPrefix(reply, "554") || strings.HasPrefix(reply, "421")
	if code && (step == "MAIL" || step == "RCPT" || step == "DATA" || step == "body" || step == "end") {
		return reply
	}
	return ""
}

// The MTA has taken the message on but its reply is lost: the client keeps it
// too. A second copy is allowed, a loss is not (SM-18).
func TestReplyLostAfterTheMessage(t *testing.T) {
	for name, deed := range map[string]misdeed{
		"closes":      {close: true, keep: true},
		"hangs":       {hang: true, keep: true},
		"half of 250": {say: "250 2.0.0 Ok: que", close: true, keep: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, impatient)
			d.mta.do("end", deed)
			k := d.dial().ready()
			if got := k.send(letterText); !strings.HasPrefix(got, "451 4.4.2 ") {
				t.Errorf("reply %q", got)
			}
			if r := d.record(1); r.Outcome != filter.UpstreamFailed || r.Err == "" || !r.Judged {
				t.Errorf("record %+v", r)
			}
			k.say("NOOP", "250")
		})
	}
}

// The MTA's replies reach the client word for word, with every line (SM-17).
func TestRepliesWordForWord(t *testing.T) {
	long := "550-5.1.1 <b@rcpt.example>: Recipient address rejected:\r\n550-5.1.1 User unknown in local recipient table\r\n550 5.1.1 " + strings.Repeat("y", 600) + "\r\n"
	for _, step := range []string{"MAIL", "RCPT", "DATA", "end"} {
		t.Run(step, func(t *testing.T) {
			d := newDoor(t)
			d.mta.do(step, misdeed{say: long})
			k := d.dial().ready()
			var got string
			for _, line := range []string{"MAIL FROM:<a@sender.example>", "RCPT TO:<b@rcpt.example>", "DATA"} {
				if got = k.say(line, ""); strings.HasPrefix(got, "550") {
					break
				}
			}
			if strings.HasPrefix(got, "354") {
				k.raw(letterText + ".\r\n")
				got = k.hear()
				if r := d.record(1); r.Outcome != filter.UpstreamRefused || r.Reply.Code != 550 || r.Reply.Enhanced != "5.1.1" || len(r.Reply.Text) > 512 {
					t.Errorf("record %+v", r)
				}
			}
			if want := strings.TrimSuffix(strings.ReplaceAll(long, "\r\n", "|"), "|"); got != want {
				t.Errorf("reply %q", got)
			}
		})
	}
}

func TestReplyForms(t *testing.T) {
	for name, c := range map[string]struct{ say, want string }{
		"no enhanced code": {"450 later\r\n", "450 later"},
		"no text":          {"450\r\n", "450 "},
		"bare LF":          {"450 later\n", "450 later"},
		"control octets":   {"450 a\x00b\x1b[31m\r\n", "450 a?b?[31m"},
		"UTF-8":            {"450 4.1.0 \u3042\r\n", "450 4.1.0 \u3042"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			d.mta.do("RCPT", misdeed{say: c.say})
			k := d.dial().ready()
			k.say("MAIL FROM:<a@b.example>", "250")
			if got := k.say("RCPT TO:<a@b.example>", ""); got != c.want {
				t.Errorf("reply %q, want %q", got, c.want)
			}
		})
	}
}

// A reply too many must never be taken for the answer to a later step.
func TestUnaskedReplies(t *testing.T) {
	for _, step := range []string{"connect", "EHLO", "MAIL", "RCPT", "DATA"} {
		t.Run(step, func(t *testing.T) {
			d := newDoor(t)
			say := map[string]string{"connect": "220 hi\r\n", "DATA": "354 go\r\n"}[step]
			if say == "" {
				say = "250 ok\r\n"
			}
			d.mta.do(step, misdeed{say: say + "250 2.0.0 Ok: queued as FALSE\r\n"})
			d.mta.do("end", misdeed{say: "554 5.0.0 no\r\n"})
			k := d.dial().ready()
			got := ""
			for _, line := range []string{"MAIL FROM:<a@sender.example>", "RCPT TO:<b@rcpt.example>", "DATA"} {
				if got = k.say(line, ""); got[0] != '2' && got[0] != '3' {
					break
				}
			}
			if got[0] == '3' {
				k.raw(letterText + ".\r\n")
				got = k.hear()
			}
			if !strings.HasPrefix(got, "451 4.4.") {
				t.Errorf("reply %q", got)
			}
		})
	}
}

// An MTA that went away between two messages costs nothing.
func TestStaleConnection(t *testing.T) {
	for name, deed := range map[string]misdeed{
		"421":    {say: "421 4.4.2 timeout\r\n", close: true, once: true},
		"closed": {close: true, once: true},
		"reset":  {reset: true, once: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			k := d.dial().ready()
			k.send(letterText)
			d.mta.do("MAIL", deed)
			if got := k.send(letterText); got != accepted {
				t.Errorf("reply %q", got)
			}
			if n := d.mta.connections(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// A message that cannot be sent to its end is not sent at all.
func TestMessageGivenUpHalfway(t *testing.T) {
	for name, write := range map[string]func(io.Writer) error{
		"error": func(w io.Writer) error { io.WriteString(w, letterText); return io.ErrUnexpectedEOF },
		"bare":  func(w io.Writer) error { _, err := io.WriteString(w, letterText+"x\n.\n"); return err },
		"panic": func(w io.Writer) error { io.WriteString(w, letterText); panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			l, err := d.server.Upstream.every()[0].connect(t.Context(), introduction{})
			if err != nil {
				t.Fatal(err)
			}
			l.mail("a@b.example", nil)
			l.rcpt("a@b.example", nil)
			func() {
				defer func() { recover() }()
				if _, err := l.data(write); err == nil {
					t.Error("no error")
				}
			}()
			if !l.broken {
				t.Error("the connection is still in use")
			}
			d.mta.stop()
			if len(d.mta.got()) != 0 {
				t.Error("the MTA took a part for the whole")
			}
		})
	}
}

// The client leaves at every step: nothing reaches the MTA as a message, and
// what reached DATA is on record.
func TestClientVanishes(t *testing.T) {
	steps := []string{
		"", "NOO", "P\r\n", "EHLO c.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<b@rcpt.example>\r\n",
		"DATA\r\n", "From: a@b.example\r\n", "\r\nbody\r\n", ".", "\r",
	}
	for i := range steps {
		for _, rst := range []bool{false, true} {
			d := newDoor(t)
			k := d.dial()
			k.want("220", "connecting")
			for _, s := range steps[:i+1] {
				k.raw(s)
				if strings.HasSuffix(s, "\r\n") && !strings.Contains(s, "From:") && !strings.Contains(s, "body") {
					k.hear()
				}
			}
			if rst {
				k.c.(interface{ SetLinger(int) error }).SetLinger(0)
			}
			k.c.Close()
			if i >= 6 {
				if r := d.record(1); r.Outcome != filter.ClientLost || r.Judged {
					t.Errorf("step %d: record %+v", i, r)
				}
			}
			eventually(t, func() bool { d.server.mu.Lock(); defer d.server.mu.Unlock(); return len(d.server.conns) == 0 })
			if len(d.mta.got()) != 0 || len(d.seen) != 0 {
				t.Errorf("step %d: a message came of it", i)
			}
		}
	}
}

// The client leaves while the message is judged: it has sent all of it, so that
// the MTA may have it.
func TestClientVanishesAfterTheEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready().envelope()
	k.raw(letterText + ".\r\n")
	k.c.Close()
	if r := d.record(1); r.Outcome != filter.Delivered || len(d.mta.got()) != 1 {
		t.Errorf("record %+v", r)
	}
}

// MTA down at MAIL: temporary, at once, and over when it is back.
func TestMTADown(t *testing.T) {
	d := newDoor(t)
	d.mta.stop()
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "451 4.4.1 ")
	if err := d.server.Upstream.Probe(t.Context()); err == nil {
		t.Error("the probe does not see it")
	}
	if !d.happened("upstream connect") {
		t.Error("no event")
	}
	k.say("RCPT TO:<a@b.example>", "502")
}
