package proxy

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

// What go-smtp v0.25.1 does that a server on port 25 must not do, and that it
// does not get to do behind the guard. The tests named Limit hold what cannot
// be mended from outside: when one fails, upstream has mended it.

func quick(s *Server) {
	s.Limits.CommandTime = 150 * time.Millisecond
	s.Limits.DataIdle = 80 * time.Millisecond
	s.Limits.DataWindow = 100 * time.Millisecond
}

// After a timeout within a message its rest is not read as commands.
func TestBodyIsNeverCommands(t *testing.T) {
	smuggled := "RSET\r\nMAIL FROM:<ceo@bank.example>\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\nFrom: ceo@bank.example\r\n\r\nx\r\n.\r\n"
	for name, begin := range map[string]string{"DATA": "DATA\r\n", "BDAT": "BDAT 10000 LAST\r\n"} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, quick)
			k := d.dial().ready()
			k.say("MAIL FROM:<a@sender.example>", "250")
			k.say("RCPT TO:<b@rcpt.example>", "250")
			k.raw(begin + "Subject: slow\r\n\r\n")
			time.Sleep(200 * time.Millisecond)
			k.raw(smuggled)
			for reply := k.hear(); reply != ""; reply = k.hear() {
				if reply[0] == '2' {
					t.Errorf("%q after a timeout", reply)
				}
			}
			k.over()
			if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
				t.Errorf("record %+v", r)
			}
			if heard := strings.Join(d.mta.heard(), "|"); strings.Contains(heard, "ceo@") {
				t.Errorf("the MTA heard %q", heard)
			}
		})
	}
}

// BDAT LAST that the end of the connection cuts short is no message.
func TestChunkCutByTheEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT 1000 LAST\r\n" + letterText)
	k.c.(*net.TCPConn).CloseWrite()
	if got := k.hear(); strings.HasPrefix(got, "2") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
		t.Errorf("record %+v", r)
	}
}

func TestChunks(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	half := len(letterText) / 2
	for range 2 {
		k.say("MAIL FROM:<a@sender.example>", "250")
		k.say("RCPT TO:<b@rcpt.example>", "250")
		k.raw("BDAT 20\r\n" + letterText[:20])
		k.want("250", "BDAT")
		k.raw("BDAT " + strconv.Itoa(half-20) + "\r\n" + letterText[20:half])
		k.want("250", "BDAT")
		k.raw("BDAT " + strconv.Itoa(len(letterText)-half) + " LAST\r\n" + letterText[half:] + "NOOP\r\n")
		k.want(accepted, "BDAT LAST")
		k.want("250", "NOOP")
	}
	for _, l := range d.mta.got() {
		if !strings.HasSuffix(l.data, letterText) {
			t.Errorf("the MTA got %q", l.data)
		}
	}
	// No dots are unstuffed here, and the end needs no line end (SM-03, SM-04).
	dots := "A: b\r\n\r\n.\r\n..\r\n.x"
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT " + strconv.Itoa(len(dots)) + " LAST\r\n" + dots)
	k.want(accepted, "BDAT LAST")
	if got := d.mta.got()[2].data; !strings.HasSuffix(got, dots+"\r\n") {
		t.Errorf("the MTA got %q", got)
	}
}

// RSET between chunks gives the message up; the next one is another.
func TestResetBetweenChunks(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	for i := range 20 {
		k.say("MAIL FROM:<old@sender.example>", "250")
		k.say("RCPT TO:<old@rcpt.example>", "250")
		k.raw("BDAT 9\r\nold: text")
		k.want("250", "BDAT")
		k.say("RSET", "250")
		if r := d.record(i + 1); r.Outcome != filter.ClientLost {
			t.Fatalf("record %+v", r)
		}
	}
	if got := k.send(letterText); got != accepted {
		t.Fatalf("reply %q", got)
	}
	letters := d.mta.got()
	if len(letters) != 1 || strings.Contains(letters[0].data, "old") || letters[0].to[0] != "TO:<b@rcpt.example>" {
		t.Errorf("the MTA holds %+v", letters)
	}
}

// CR CR LF . CR LF is an end of data, and dots behind CR CR LF are stuffed.
func TestEndAfterTwoReturns(t *testing.T) {
	for name, c := range map[string]struct{ sent, content string }{
		"end":          {"A: b\r\n\r\ntext\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n"},
		"four":         {"A: b\r\n\r\ntext\r\r\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\r\r\n"},
		"stuffed":      {"A: b\r\n\r\ntext\r\r\n..\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n.\r\n"},
		"stuffed word": {"A: b\r\n\r\ntext\r\r\n..dot\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n.dot\r\n"},
		"odd":          {"A: b\r\n\r\ntext\r\r\r\n..\r\n.\r\n", "A: b\r\n\r\ntext\r\r\r\n.\r\n"},
		"dot return":   {"A: b\r\n\r\ntext\r\r\n.\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n\r\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			k := d.dial().ready().envelope()
			k.raw(c.sent)
			k.want("550 5.6.11 ", "the end")
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.seen[0] != c.content {
				t.Errorf("Check saw %q, want %q", d.seen[0], c.content)
			}
		})
	}
}

// What follows such an end is not executed: where it began is not certain.
func TestNothingFollowsAnUnsureEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready().envelope()
	k.raw("A: b\r\n\r\ntext\r\r\n.\r\nx\r\n.\r\nMAIL FROM:<c@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n")
	k.want("550 5.6.11 ", "the end")
	for reply := k.hear(); reply != ""; reply = k.hear() {
		if reply[0] == '2' {
			t.Errorf("%q", reply)
		}
	}
	if n := len(d.mta.got()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// No text of ours but the one meant for clients ever reaches one.
func TestNothingInternalLeaks(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Spool.Memory, s.Spool.Directory = 1, "/nonexistent/secret" })
	k := d.dial().ready()
	if got := k.send(letterText + strings.Repeat("x\r\n", 100000)); got != "452 4.3.1 no space to hold the message, try again later" {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.Refused || !strings.Contains(r.Err, "secret") || r.Judged {
		t.Errorf("record %+v", r)
	}
	k.say("NOOP", "250")
}

// A panic in Logout would end the process.
func TestLogoutContainsPanics(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Events.Upstream = func(Trouble) { panic("boom") } })
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "250")
	d.mta.do("RSET", misdeed{close: true})
	k.c.Close()
	eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.panics == 1 })
}

// A steady sender is not cut off for being long, a slow one is.
func TestSpeed(t *testing.T) {
	d := newDoor(t, quick, func(s *Server) {
		s.Limits.DataRate, s.Limits.DataWindow, s.Limits.DataIdle = 200, 200*time.Millisecond, 400*time.Millisecond
	})
	k := d.dial().ready().envelope()
	for range 12 {
		k.raw("Subject: " + strings.Repeat("x", 20) + "\r\n")
		time.Sleep(20 * time.Millisecond)
	}
	k.raw("\r\n.\r\n")
	k.want("250", "a steady message")
	k.envelope()
	began := time.Now()
	go func() {
		for range 40 {
			k.c.Write([]byte("x"))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	k.want("421 4.4.2 ", "a slow message")
	if took := time.Since(began); took > 700*time.Millisecond {
		t.Errorf("it was endured for %s", took)
	}
	k.over()
}

// One octet now and then does not prolong a command.
func TestSlowCommand(t *testing.T) {
	d := newDoor(t, quick)
	k := d.dial().ready()
	go func() {
		for range 20 {
			k.c.Write([]byte("N"))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	k.want("421 ", "a slow command")
	k.over()
}

// A command that the end of the connection cuts short is none.
func TestCommandCutByTheEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT 9\r\nold: text")
	k.want("250", "BDAT")
	k.raw("BDAT 0 LAST")
	k.c.(*net.TCPConn).CloseWrite()
	if got := k.hear(); strings.HasPrefix(got, "2") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
		t.Errorf("record %+v", r)
	}
}

// Lines beyond the library's 2000 octets are real mail.
func TestLongLines(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	if got := k.send("Subject: x\r\n\r\n" + strings.Repeat("y", 500000) + "\r\n"); got != accepted {
		t.Errorf("reply %q", got)
	}
	if got := k.send("Subject: x\r\n\r\n" + strings.Repeat("y", 2<<20) + "\r\n"); got != accepted {
		t.Errorf("reply %q", got)
	}
}

func TestNestedMail(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("MAIL FROM:<c@d.example>", "503 5.5.1")
	k.say("RCPT TO:<a@b.example>", "250")
	k.say("MAIL FROM:<c@d.example>", "503 5.5.1")
	k.say("DATA", "354")
	k.raw(letterText + ".\r\n")
	k.want(accepted, ".")
	if l := d.mta.got()[0]; l.from != "FROM:<a@b.example>" {
		t.Errorf("sent as %q", l.from)
	}
}

// The HELO name is the latest one (SM-14), and HELO is not EHLO.
func TestHelo(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	k.want("220 mx.example", "connecting")
	k.say("HELO one.example", "250")
	k.send(letterText)
	k.say("EHLO two.example", "250")
	k.send(letterText)
	k.say("EHLO bad\x01name", "250")
	k.say("MAIL FROM:<a@b.example>", "501 5.5.4")
	for n, want := range []string{"Received: from one.example ([127.0.0.1])\r\n\tby mx.example (Sekimori) with SMTP id", "Received: from two.example ([127.0.0.1])\r\n\tby mx.example (Sekimori) with ESMTP id"} {
		if got := d.mta.got()[n].data; !strings.HasPrefix(got, want) {
			t.Errorf("message %d: %.100q", n, got)
		}
	}
	bad := d.dial()
	bad.want("220", "connecting")
	bad.say("EHLO \x01", "501 5.5.4")
	bad.say("AUTH PLAIN", "502")
}
