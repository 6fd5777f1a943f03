package proxy

import (
	"io"
	"testing"

	"github.com/emersion/go-smtp"
)

// bareSession does nothing but what is done with a message.
type bareSession struct{ data func(io.Reader) error }

func (bareSession) Reset()                               {}
func (bareSession) Logout() error                        { return nil }
func (bareSession) Mail(string, *smtp.MailOptions) error { return nil }
func (bareSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s bareSession) Data(r io.Reader) error             { return s.data(r) }

// Limits of the conversation, each a line of the README.
func TestLimitsOfTheLibrary(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	k.want("220", "connecting")
	k.say("EHLO client.example", "250-mx.example|250-PIPELINING|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-CHUNKING|")
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
