package proxy

import (
	"crypto/tls"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

// Whole transactions in one write: each message ends where it ends, and what
// follows it is the next command, whatever came in one block with it.
func TestTransactionsInOneWrite(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	const start = "MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\n"
	text := letterText + "..\r\n..NOOP\r\n"
	chunk := "A: b\r\n\r\nSTARTTLS\r\nBDAT 5\r\nEHLO x\r\n.\r\n"
	k.raw(start + "DATA\r\n" + text + ".\r\n" + start + "BDAT " + strconv.Itoa(len(chunk)) + " LAST\r\n" + chunk +
		start + "DATA\r\n.\r\n" + start + "bdat\t0 last\r\nNOOP\r\n")
	for _, want := range []string{
		"250", "250", "354", accepted, "250", "250", accepted, "250", "250", "354", accepted, "250", "250", accepted, "250 2.0.0 I have",
	} {
		k.want(want, "the group")
	}
	for i, want := range []string{letterText + ".\r\n.NOOP\r\n", chunk, "", ""} {
		if got := d.mta.got()[i].data; !strings.HasSuffix(got, want) || want == "" && !strings.HasSuffix(got, "+0000\r\n") && strings.Contains(got, "From:") {
			t.Errorf("message %d is %q", i, got)
		}
	}
}

// Replies to a group of commands leave in one piece (RFC 2920 section 3.2).
func TestRepliesLeaveTogether(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.raw("MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\n")
	time.Sleep(100 * time.Millisecond)
	b := make([]byte, 4096)
	n, _ := k.c.Read(b)
	if got := string(b[:n]); strings.Count(got, "\r\n") != 3 || !strings.Contains(got, "\r\n354 ") {
		t.Errorf("one read gives %q", got)
	}
}

// A chunk whose size cannot be told ends the connection: what follows is content.
func TestChunkOfNoSize(t *testing.T) {
	for _, line := range []string{"BDAT", "BDAT x", "BDAT -1 LAST", "BDAT 1 FIRST", "BDAT 5 LAST x", "BDAT 99999999999 LAST", "bdat +5", "BDAT\tx", "BDATA"} {
		d := newDoor(t)
		k := d.dial().ready()
		k.say("MAIL FROM:<a@sender.example>", "250")
		k.say("RCPT TO:<b@rcpt.example>", "250")
		k.raw(line + "\r\nRSET\r\nMAIL FROM:<c@d.example>\r\n")
		k.want("501", line)
		k.over()
	}
}

// A command that is too long is refused and ends the connection; no part of it
// is a command of its own.
func TestLongCommand(t *testing.T) {
	for _, n := range []int{commandLine, 4 << 10, 5000, 64 << 10} {
		d := newDoor(t)
		k := d.dial().ready()
		k.raw("NOOP " + strings.Repeat("x", n) + "\r\nMAIL FROM:<a@b.example>\r\n")
		k.want("500 ", "a long line")
		k.over()
	}
	d := newDoor(t)
	k := d.dial().ready()
	k.say("NOOP "+strings.Repeat("x", commandLine-10), "250")
}

// The library is never asked about TLS, in whatever way the word is written.
func TestSTARTTLSWords(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial()
	k.want("220", "connecting")
	if got := k.say("EHLO x", "250-mx.example|"); !strings.Contains(got, "|250-STARTTLS|") {
		t.Errorf("EHLO: %q", got)
	}
	k.say("STARTTLS now", "501 5.5.4")
	k.say("\u017fTARTTLS", "502")
	k.say("starttls ", "220")
	c := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	plain := newDoor(t).dial().ready()
	plain.say("STARTTLS", "502")
}

// Within TLS there is no second TLS, and HELO is not EHLO.
func TestWithinTLS(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial().ready().secure()
	k.say("EHLO x.example", "250-mx.example|250-PIPELINING|")
	k.say("STARTTLS", "502")
	k.say("HELO x.example", "250 mx.example")
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Envelope.ESMTP || r.Envelope.TLS.Version == "" {
		t.Errorf("record %+v", r.Envelope)
	}
}

// A refused message is passed over up to its end, and the connection goes on.
func TestRestOfARefusedMessage(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Spool.Header.Line = 1000 })
	k := d.dial().ready()
	if got := k.send("X: " + strings.Repeat("y", 2000) + "\r\n\r\n" + strings.Repeat("MAIL FROM:<x@y.example>\r\n..\r\n", 3000)); !strings.HasPrefix(got, "552 5.6.0") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.Refused {
		t.Errorf("record %+v", r)
	}
	if got := k.send(letterText); got != accepted || len(d.mta.got()) != 1 {
		t.Errorf("reply %q", got)
	}
}
