package proxy

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// who is open stops the server with that much time.
func (d *door) shutdown(after time.Duration) chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), after)
	go func() { defer cancel(); done <- d.server.Shutdown(ctx) }()
	return done
}

func TestShutdown(t *testing.T) {
	d := newDoor(t, withTLS(t))
	idle := d.dial().ready()
	secure := d.dial().ready().secure()
	secure.say("EHLO x.example", "250")
	silent := d.dial()
	silent.want("220", "connecting")
	busy := d.dial().ready().envelope()
	early := d.dial().ready()
	early.say("MAIL FROM:<a@sender.example>", "250")

	done := d.shutdown(5 * time.Second)
	idle.want("421 4.3.2 ", "shutdown")
	idle.over()
	secure.want("421 4.3.2 ", "shutdown")
	secure.over()
	silent.over()
	if c, err := net.Dial("tcp", d.address); err == nil {
		c.Close()
		t.Error("connections are still accepted")
	}
	busy.raw(letterText + ".\r\n")
	busy.want(accepted, "the end")
	busy.want("421 4.3.2 ", "the end")
	busy.over()
	early.say("RCPT TO:<b@rcpt.example>", "250")
	early.say("DATA", "354")
	early.raw(letterText + ".\r\nMAIL FROM:<a@b.example>\r\n")
	early.want(accepted, "the end")
	early.want("421 4.3.2 ", "another MAIL")
	early.over()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(d.mta.got()); n != 2 {
		t.Errorf("%d messages", n)
	}
	if err := d.server.Serve(t.Context(), "late", noListener{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve after Shutdown: %v", err)
	}
}

type noListener struct{ net.Listener }

func (noListener) Close() error { return nil }

// What is not finished in time is told 421, is on record and not at the MTA.
func TestShutdownOutOfTime(t *testing.T) {
	release := make(chan bool)
	d := newDoor(t, func(s *Server) {
		s.Check = func(ctx context.Context, _ *mail.Message) filter.Verdict {
			<-ctx.Done()
			close(release)
			return filter.Verdict{Action: filter.Accept}
		}
	})
	sending := d.dial().ready().envelope()
	sending.raw(letterText)
	judged := d.dial().ready().envelope()
	judged.raw(letterText + ".\r\n")
	open := d.dial().ready()
	open.say("MAIL FROM:<a@sender.example>", "250")
	eventually(t, func() bool { return len(d.mta.heard()) >= 8 })
	time.Sleep(20 * time.Millisecond)
	if err := <-d.shutdown(20 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	<-release
	sending.want("421 4.3.2 ", "out of time")
	judged.want("421 4.3.2 ", "out of time")
	open.over()
	d.record(2)
	for _, r := range d.records {
		if r.Outcome != filter.Refused || r.Judged {
			t.Errorf("record %+v", r)
		}
	}
	if len(d.mta.got()) != 0 {
		t.Error("a message came of it")
	}
}

// A client that takes no replies holds nobody up.
func TestShutdownWithDeafClient(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	go func() {
		for range 2000 {
			if _, err := k.c.Write([]byte(strings.Repeat("NOOP\r\n", 1000))); err != nil {
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	<-d.shutdown(20 * time.Millisecond)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}
