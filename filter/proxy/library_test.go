package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// The library itself, without the guard: what the limits below are measured on.
func library(t *testing.T, data func(io.Reader) error) net.Conn {
	t.Helper()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return bareSession{data}, nil }))
	ours, theirs := net.Pipe()
	go srv.Serve(&single{conn: theirs})
	t.Cleanup(func() { ours.Close(); srv.Shutdown(context.Background()) })
	ours.SetDeadline(time.Now().Add(5 * time.Second))
	return ours
}

type bareSession struct{ data func(io.Reader) error }

func (bareSession) Reset()                               {}
func (bareSession) Logout() error                        { return nil }
func (bareSession) Mail(string, *smtp.MailOptions) error { return nil }
func (bareSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s bareSession) Data(r io.Reader) error             { return s.data(r) }

// Limit: of a line ".\rX" the library loses the CR.
func TestLimitReturnAfterDotIsLost(t *testing.T) {
	var got string
	var wg sync.WaitGroup
	wg.Add(1)
	c := library(t, func(r io.Reader) error {
		defer wg.Done()
		b, _ := io.ReadAll(r)
		got = string(b)
		return nil
	})
	go io.Copy(io.Discard, c)
	io.WriteString(c, "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n.\rX\r\n.\r\n")
	wg.Wait()
	if got != "X\r\n" {
		t.Errorf("upstream has mended it: %q", got)
	}
}

// Limits of the conversation, each a line of the README.
func TestLimitsOfTheLibrary(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	k.want("220", "connecting")
	// EHLO is answered with the client's name instead of ours.
	k.say("EHLO client.example", "250-Hello client.example|250-PIPELINING|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-CHUNKING|")
	// The MTA's words of success at MAIL and RCPT are not passed on.
	k.say("MAIL FROM:<a@b.example>", "250 2.0.0 Roger")
	d.mta.do("RCPT", misdeed{say: "251 2.1.5 will forward\r\n"})
	k.say("RCPT TO:<a@b.example>", "250 2.0.0 I'll make sure")
	// RFC 5321 section 4.5.1 wants postmaster without a domain.
	k.say("RCPT TO:<postmaster>", "501")
	// An unknown parameter is 555 in RFC 5321 section 4.1.1.11.
	k.say("RCPT TO:<a@b.example> FOO=BAR", "500")
	k.say("VRFY a", "252")
	// A quoted @ cannot be told from two @ without quotes, which are wrong.
	k.say(`RCPT TO:<"a@b"@c.example>`, "501 5.1.3")
	k.say("RCPT TO:<a@b@c.example>", "501 5.1.3")
}
