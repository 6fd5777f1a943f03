package proxy

import (
	"slices"
	"strings"
	"testing"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// byDomain holds other rules for each domain, those of strict.example refuse all.
func byDomain(t *testing.T) *door {
	d := newDoor(t, func(s *Server) {
		s.Rules = func(rcpt string) string { return rcpt[strings.LastIndexByte(rcpt, '@'):] }
	})
	d.judge(func(m *mail.Message) filter.Verdict {
		if strings.HasSuffix(m.Envelope.Rcpts[0], "@strict.example") {
			return filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 550, Enhanced: "5.7.26", Text: "no"}}
		}
		return filter.Verdict{Action: filter.Accept}
	})
	return d
}

// Recipients of other rules come in a message of their own, which gets a verdict
// of its own; the MTA is not asked for them before.
func TestApart(t *testing.T) {
	d := byDomain(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<one@strict.example>", "250")
	k.say("RCPT TO:<two@lenient.example>", "452 4.5.3")
	k.say("RCPT TO:<three@strict.example>", "250")
	k.say("DATA", "354")
	k.raw(letterText + ".\r\n")
	k.want("550 5.7.26 no", "the message")
	if heard := d.mta.heard(); slices.ContainsFunc(heard, func(s string) bool { return strings.Contains(s, "two@") }) {
		t.Errorf("the MTA was asked: %q", heard)
	}

	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<two@lenient.example>", "250")
	k.say("DATA", "354")
	k.raw(letterText + ".\r\n")
	k.want(accepted, "the message")

	r := d.record(2)
	if got := d.mta.got(); len(got) != 1 || !slices.Equal(got[0].to, []string{"TO:<two@lenient.example>"}) {
		t.Errorf("the MTA has %+v", got)
	}
	if r.Outcome != filter.Delivered || !slices.Equal(r.Envelope.Rcpts, []string{"two@lenient.example"}) {
		t.Errorf("%s for %q", r.Outcome, r.Envelope.Rcpts)
	}
}

// A recipient whom the MTA refuses binds nobody.
func TestApartAfterRefusal(t *testing.T) {
	d := byDomain(t)
	k := d.dial().ready()
	d.mta.do("RCPT", misdeed{say: "550 5.1.1 unknown\r\n", once: true})
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<nobody@strict.example>", "550 5.1.1")
	k.say("RCPT TO:<two@lenient.example>", "250")
	k.say("RCPT TO:<one@strict.example>", "452 4.5.3")
	k.say("RSET", "250")
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<one@strict.example>", "250")
}

// To have many recipients of many rules is no fault of the client's.
func TestApartIsNoFault(t *testing.T) {
	d := byDomain(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<one@strict.example>", "250")
	for range 50 {
		k.say("RCPT TO:<two@lenient.example>", "452 4.5.3")
	}
	k.say("RCPT TO:<three@strict.example>", "250")
}
