package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

func (d *door) offers(keywords ...string) {
	d.t.Helper()
	d.mta.mu.Lock()
	d.mta.offers = keywords
	d.mta.mu.Unlock()
	d.probe()
}

// What the client asks for arrives as it said it.
func TestParametersPass(t *testing.T) {
	d := newDoor(t)
	d.offers("SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN")
	for _, c := range []struct{ said, heard string }{
		{"MAIL FROM:<a@b.example>", ""},
		{"MAIL FROM:<a@b.example> SIZE=1000", "SIZE=1000"},
		{"MAIL FROM:<a@b.example> BODY=8bitmime", "BODY=8BITMIME"},
		{"MAIL FROM:<a@b.example> BODY=7BIT", "BODY=7BIT"},
		{"MAIL FROM:<> ret=hdrs ENVID=QQ+2B314159+3D", "RET=HDRS ENVID=QQ+2B314159+3D"},
		{"MAIL FROM:<a@b.example> SMTPUTF8 RET=FULL SIZE=1 BODY=8BITMIME", "SIZE=1 BODY=8BITMIME SMTPUTF8 RET=FULL"},
		{"RCPT TO:<a@b.example>", ""},
		{"RCPT TO:<a@b.example> NOTIFY=NEVER", "NOTIFY=NEVER"},
		{"RCPT TO:<a@b.example> NOTIFY=success,FAILURE,DELAY", "NOTIFY=SUCCESS,FAILURE,DELAY"},
		{"RCPT TO:<a@b.example> ORCPT=rfc822;c+2Bd+3De@f.example", "ORCPT=rfc822;c+2Bd+3De@f.example"},
		{`RCPT TO:<a@b.example> ORCPT=utf-8;\x{3042}\x{2B}\x{5C}@f.example`, `ORCPT=utf-8;\x{3042}\x{2B}\x{5C}@f.example`},
		{"RCPT TO:<a@b.example> NOTIFY=NEVER ORCPT=RFC822;x", "NOTIFY=NEVER ORCPT=rfc822;x"},
	} {
		k := d.dial().ready()
		verb := c.said[:4]
		if verb == "RCPT" {
			k.say("MAIL FROM:<a@b.example>", "250")
		}
		k.say(c.said, "250")
		heard := d.heardOf(verb)
		_, params, _ := strings.Cut(heard[len(heard)-1], ">")
		if strings.TrimPrefix(params, " ") != c.heard {
			t.Errorf("%q arrived as %q", c.said, heard[len(heard)-1])
		}
	}
}

func TestUTF8Address(t *testing.T) {
	if got := utf8Address("\u3042 a+b", true); got != "\u3042\\x{20}a\\x{2B}b" {
		t.Errorf("%q", got)
	}
	if got := utf8Address("\u3042\x7f", false); got != `\x{3042}\x{7F}` {
		t.Errorf("%q", got)
	}
}

// A parameter that the library read for another MTA is not said to one that does
// not know it.
func TestParametersUnknown(t *testing.T) {
	o := &smtp.MailOptions{Size: 1, Body: smtp.Body8BitMIME, Return: smtp.DSNReturnFull, EnvelopeID: "x"}
	if got := mailParams(o, offers{}); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := rcptParams(&smtp.RcptOptions{Notify: []smtp.DSNNotify{"NEVER"}}, false, offers{}); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// Clients are offered what all hosts of the MTA offer.
func TestMirror(t *testing.T) {
	always := []string{"PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING"}
	for _, c := range []struct{ one, other, want []string }{
		{nil, nil, []string{"SIZE 52428800", "LIMITS RCPTMAX=1000"}},
		{[]string{"DSN", "SMTPUTF8", "SIZE 1000"}, []string{"DSN", "SIZE 500"}, []string{"DSN", "SIZE 500", "LIMITS RCPTMAX=1000"}},
		{[]string{"smtputf8", "SIZE"}, []string{"SmtpUTF8", "SIZE 0"}, []string{"SMTPUTF8", "SIZE 52428800", "LIMITS RCPTMAX=1000"}},
		{[]string{"LIMITS MAILMAX=5 rcptmax=7", "REQUIRETLS"}, []string{"LIMITS RCPTMAX=9", "REQUIRETLS"}, []string{"SIZE 52428800", "LIMITS RCPTMAX=7"}},
		{[]string{"BINARYMIME", "CHUNKING", "SIZE 99999999999999999999"}, []string{"BINARYMIME", "SIZE -1"}, []string{"SIZE 52428800", "LIMITS RCPTMAX=1000"}},
	} {
		other := newMTA(t)
		other.offers = c.other
		d := newDoor(t, func(s *Server) {
			s.Upstream.Hosts = []Host{{Address: s.Upstream.Address}, {Address: other.l.Addr().String()}}
		})
		d.offers(c.one...)
		k := d.dial()
		k.want("220", "connecting")
		got := strings.Split(k.say("EHLO client.example", "250"), "|")[1:]
		for i := range got {
			got[i] = got[i][4:]
		}
		if want := append(slices.Clone(always), c.want...); !slices.Equal(got, want) {
			t.Errorf("offered %q, want %q", got, want)
		}
	}
}

// The smaller of both limits holds.
func TestMirrorSize(t *testing.T) {
	d := newDoor(t)
	d.offers("SIZE 100", "LIMITS RCPTMAX=2")
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example> SIZE=102", "552 5.3.4")
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("RCPT TO:<a@b.example>", "250")
	k.say("RCPT TO:<b@b.example>", "250")
	k.say("RCPT TO:<c@b.example>", "452 4.5.3")
	k.say("DATA", "354")
	k.raw("A: b\r\n\r\n" + strings.Repeat("x", 100) + "\r\n.\r\n")
	k.want("552 5.3.4 the message is larger than 100 octets", "too much")
}

// RFC 6152 section 3: the library offers 8BITMIME in any case.
func TestEightBit(t *testing.T) {
	d := newDoor(t)
	d.offers("SIZE")
	for _, c := range []struct{ params, text, want string }{
		{" BODY=8BITMIME", "A: b\r\n\r\nna\u00efve\r\n", "554 5.6.3 "},
		{" BODY=8BITMIME", "A: b\r\n\r\nplain\r\n", accepted},
		{"", "A: b\r\n\r\nna\u00efve\r\n", accepted}, // it would have come so without us
		{" BODY=7BIT", "A: b\r\n\r\nplain\r\n", accepted},
	} {
		k := d.dial().ready()
		k.say("MAIL FROM:<a@b.example>"+c.params, "250")
		k.say("RCPT TO:<a@b.example>", "250")
		k.say("DATA", "354")
		k.raw(c.text + ".\r\n")
		k.want(c.want, c.params)
	}
	if n := len(d.mta.got()); n != 3 {
		t.Errorf("%d messages", n)
	}
}
