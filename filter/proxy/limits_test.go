package proxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sekimori/filter"
)

func TestConnectionLimits(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.ConnectionsPerClient = 2 })
	one, two := d.dial().ready(), d.dial().ready()
	three := d.dial()
	three.want("421 4.7.0 too many connections from your address", "connecting")
	three.over()
	one.say("QUIT", "221")
	one.over()
	eventually(t, func() bool { d.server.mu.Lock(); defer d.server.mu.Unlock(); return len(d.server.conns) == 1 })
	d.dial().ready()
	two.say("NOOP", "250")
	if !d.happened("refused per_client") {
		t.Error("no event")
	}
	d = newDoor(t, func(s *Server) { s.Limits.Connections = 1 })
	d.dial().ready()
	d.dial().want("421 4.3.2 too many connections", "connecting")
}

func TestBoundRecipients(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.Recipients = 2 })
	k := d.dial()
	k.want("220", "connecting")
	if got := k.say("EHLO x", "250"); !strings.Contains(got, "LIMITS RCPTMAX=2") {
		t.Errorf("EHLO %q", got)
	}
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("RCPT TO:<1@b.example>", "250")
	k.say("RCPT TO:<2@b.example>", "250")
	k.say("RCPT TO:<3@b.example>", "452 4.5.3")
	k.say("DATA", "354")
}

func TestBoundRefusedRecipients(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.Faults = 3 })
	d.mta.do("RCPT", misdeed{say: "550 5.1.1 unknown\r\n"})
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("RCPT TO:<1@b.example>", "550 5.1.1 unknown")
	k.say("RCPT TO:<2@b.example>", "550 5.1.1 unknown")
	k.say("RCPT TO:<3@b.example>", "550 5.1.1 unknown")
	k.say("RCPT TO:<4@b.example>", "421 4.7.0 too many errors")
	k.over()
}

func TestBoundUnknownCommands(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	for range 10 {
		k.raw("EVIL x\r\n")
	}
	for reply := k.hear(); reply != ""; reply = k.hear() {
		if reply[0] != '5' {
			t.Errorf("%q", reply)
		}
	}
	k.over()
}

func TestBoundIdleTalk(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.Turns = 10 })
	k := d.dial().ready()
	last := ""
	for range 20 {
		k.raw("NOOP\r\n")
		if got := k.hear(); got != "" {
			last = got
		}
	}
	if !strings.HasPrefix(last, "421 4.7.0 too many commands") {
		t.Errorf("last words %q", last)
	}
	k.over()
}

func TestBoundSize(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.MessageSize = 1000 })
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example> SIZE=1002", "552 5.3.4")
	k.say("MAIL FROM:<a@b.example> SIZE=1001", "552 5.3.4")
	k.say("MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME", "250")
	if heard := d.mta.heard(); heard[len(heard)-1] != "MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME" {
		t.Errorf("the MTA heard %q", heard)
	}
	k.say("RSET", "250")
	just := "A: b\r\n\r\n" + strings.Repeat("x", 990) + "\r\n"
	if got := k.send(just); got != accepted {
		t.Errorf("reply %q", got)
	}
	if got := k.send("x" + just); got != "552 5.3.4 the message is larger than 1000 octets" {
		t.Errorf("reply %q", got)
	}
	if r := d.record(2); r.Outcome != filter.Refused || r.Judged {
		t.Errorf("record %+v", r)
	}
	k.say("NOOP", "250")
	k.envelope()
	k.raw(strings.Repeat(strings.Repeat("y", 98)+"\r\n", 100))
	k.want("552 5.3.4", "too much")
	k.over()
}

func TestBoundHops(t *testing.T) {
	d := newDoor(t)
	hop := "received: from a by b; now\r\n"
	k := d.dial().ready()
	if got := k.send(strings.Repeat(hop, 100) + letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
	if got := k.send(strings.Repeat(hop, 101) + letterText); !strings.HasPrefix(got, "554 5.4.6 ") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(2); r.Outcome != filter.Refused {
		t.Errorf("record %+v", r)
	}
}

// Too many open files is waited out.
func TestAcceptErrors(t *testing.T) {
	d := newDoor(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flaky := &flakyListener{Listener: l}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(ctx, "flaky", flaky) }()
	d.address = l.Addr().String()
	d.dial().ready()
	if flaky.failed.Load() < 3 {
		t.Error("it did not fail")
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	gone, _ := net.Listen("tcp", "127.0.0.1:0")
	gone.Close()
	if err := d.server.Serve(t.Context(), "gone", gone); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve of a closed listener: %v", err)
	}
}

type flakyListener struct {
	net.Listener
	failed atomic.Int32
}

func (l *flakyListener) Accept() (net.Conn, error) {
	if l.failed.Add(1) <= 3 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// SMTPUTF8 is offered only if the MTA offers it.
func TestSMTPUTF8(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<\u3042@b\u00fccher.example> SMTPUTF8", "250")
	k.say("RCPT TO:<\u3042@b\u00fccher.example>", "250")
	k.say("DATA", "354")
	k.raw(letterText + ".\r\n")
	k.want(accepted, "the end")
	if l := d.mta.got()[0]; l.from != "FROM:<\u3042@b\u00fccher.example> SMTPUTF8" || !strings.Contains(l.data, " with UTF8SMTP id ") {
		t.Errorf("the MTA holds %+v", l)
	}
	d.mta.mu.Lock()
	d.mta.offers = []string{"8BITMIME"}
	d.mta.mu.Unlock()
	other := d.dial().ready()
	other.say("MAIL FROM:<a@b.example> SMTPUTF8", "550 5.6.7") // it was offered still
	if err := d.server.Upstream.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	k = d.dial()
	k.want("220", "connecting")
	if got := k.say("EHLO x", "250"); strings.Contains(got, "SMTPUTF8") {
		t.Errorf("offered: %q", got)
	}
	k.say("MAIL FROM:<a@b.example> SMTPUTF8", "504")
}
