package filter

import (
	"net/netip"
	"strings"
	"testing"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// testPolicy is the default of the configuration.
func testPolicy() Policy {
	return Policy{
		AuthservID: "mx.example.net", Author: Reject, MalformedHeader: Reject,
		DMARCReject: Corroborated, DMARCQuarantine: Quarantine, SPFFail: Quarantine, TempError: Accept,
		Spoof: Reject, Block: Reject, Unauthenticated: Accept, NoReverseName: Accept, SenderMissing: Accept, SenderNullMX: Accept,
	}
}

// found is what the checks say in most cases: example.com publishes p, and
// nobody vouches for the message.
func found(word dmarc.Word, p dmarc.Policy) Results {
	return Results{
		Checked: true,
		Author:  mail.Author{Status: mail.AuthorDomain, Domain: "example.com", Domains: []string{"example.com"}},
		SPF:     spf.Results{Helo: spf.Result{Word: spf.None}, MailFrom: spf.Result{Word: spf.None, Domain: "example.org"}},
		DMARC:   dmarc.Result{Word: word, AuthorDomain: "example.com", PolicyDomain: "example.com", Policy: p, Effective: p},
	}
}

func with(r Results, change func(*Results)) Results {
	change(&r)
	return r
}

func mailFrom(w spf.Word) func(*Results) { return func(r *Results) { r.SPF.MailFrom.Word = w } }

func signed(words ...dkim.Word) func(*Results) {
	return func(r *Results) {
		for _, w := range words {
			r.DKIM = append(r.DKIM, dkim.Result{Word: w, Domain: "list.example.net"})
		}
	}
}

func starved(r *Results) { r.Starved = true }

// What the author's admin is told can mend it.
func TestAdvice(t *testing.T) {
	r := found(dmarc.Fail, dmarc.PolicyReject)
	r.DMARC.OrganizationalDomain = "example.com"
	p := testPolicy()
	tests := map[string]string{
		"example.org":        "Admin of example.com: if this is your mail, send it with a MAIL FROM of example.com from a host that its SPF record allows, or sign it with DKIM as example.com.",
		"":                   "Admin of example.com: if this is your mail, send it with a MAIL FROM of example.com from a host that its SPF record allows, or sign it with DKIM as example.com.",
		"bounce.example.com": "Admin of example.com: if this is your mail, allow 192.0.2.1 in the SPF record of bounce.example.com, or sign it with DKIM as example.com.",
		"evilexample.com":    "Admin of example.com: if this is your mail, send it with a MAIL FROM of example.com",
	}
	for sender, want := range tests {
		r.SPF.MailFrom.Domain = sender
		if text := p.Decide(testMessage(), r).Reply.Text; !strings.Contains(text, want) {
			t.Errorf("MAIL FROM %q: %q", sender, text)
		}
	}
	r.Author.Domain, r.DMARC.AuthorDomain = "billing.example.com", "billing.example.com"
	if v := p.Decide(testMessage(), r); !strings.HasPrefix(v.Reply.Text, "Refused by the DMARC policy (p=reject) of example.com (for billing.example.com):") {
		t.Errorf("an inherited policy: %q", v.Reply.Text)
	}
}

func author(s mail.AuthorStatus) func(*Results) {
	return func(r *Results) { r.Author = mail.Author{Status: s, Reason: "said by the test"} }
}

// Each line of the table of decisions.
func TestDecide(t *testing.T) {
	reject, quarantine, none := found(dmarc.Fail, dmarc.PolicyReject), found(dmarc.Fail, dmarc.PolicyQuarantine), found(dmarc.Fail, dmarc.PolicyNone)
	bare := found(dmarc.None, "")
	strict := func(p *Policy) { p.DMARCReject = Strict }
	lenient := func(p *Policy) { p.DMARCReject = Lenient }
	tests := []struct {
		name    string
		results Results
		change  func(*Policy)
		defects []mail.Defect
		action  Action
		reason  Reason
		reply   string
	}{
		{name: "pass", results: found(dmarc.Pass, dmarc.PolicyReject), action: Accept, reason: DMARCPass},
		{name: "bare newline", results: found(dmarc.Pass, ""), defects: []mail.Defect{mail.BareNewline}, action: Reject, reason: BareNewline, reply: "550 5.6.11"},
		{name: "bare newline from a trusted client", results: bare, change: trustAll, defects: []mail.Defect{mail.BareNewline}, action: Reject, reason: BareNewline, reply: "550 5.6.11"},
		{name: "control characters", results: found(dmarc.Pass, ""), defects: []mail.Defect{mail.HeaderNUL}, action: Reject, reason: MalformedHeader, reply: "550 5.6.0"},
		{name: "no field", results: found(dmarc.Pass, ""), defects: []mail.Defect{mail.HeaderLine}, action: Reject, reason: MalformedHeader, reply: "550 5.6.0"},
		{name: "no field, tagged", results: bare, defects: []mail.Defect{mail.HeaderLine}, change: func(p *Policy) { p.MalformedHeader = Tag }, action: Tag, reason: MalformedHeader},
		{name: "trusted", results: reject, change: trustAll, action: Accept, reason: TrustedNetwork},
		{name: "no author", results: with(bare, author(mail.AuthorNone)), action: Reject, reason: AuthorMissing, reply: "550 5.6.0"},
		{name: "malformed author", results: with(bare, author(mail.AuthorMalformed)), action: Reject, reason: AuthorMalformed, reply: "550 5.6.0"},
		{name: "several authors", results: with(bare, author(mail.AuthorMultiple)), action: Reject, reason: AuthorMultiple, reply: "550 5.6.0"},
		{name: "several authors, quarantined", results: with(bare, author(mail.AuthorMultiple)), change: func(p *Policy) { p.Author = Quarantine }, action: Quarantine, reason: AuthorMultiple},
		{name: "an author status nobody knows", results: with(bare, author("")), action: Reject, reason: AuthorMalformed, reply: "550 5.6.0"},

		{name: "p=reject, nobody vouches", results: reject, action: Reject, reason: DMARCFailReject, reply: "550 5.7.26"},
		{name: "p=reject, SPF fails", results: with(reject, mailFrom(spf.Fail)), action: Reject, reason: DMARCFailReject, reply: "550 5.7.26"},
		{name: "p=reject, SPF of another passes", results: with(reject, mailFrom(spf.Pass)), action: Quarantine, reason: DMARCFailOther},
		{name: "p=reject, DKIM of another passes", results: with(reject, signed(dkim.Fail, dkim.Pass)), action: Quarantine, reason: DMARCFailOther},
		{name: "p=reject, broken signature", results: with(reject, signed(dkim.Fail, dkim.Policy, dkim.PermError)), action: Reject, reason: DMARCFailReject, reply: "550 5.7.26"},
		{name: "p=reject, HELO passes", results: with(reject, func(r *Results) { r.SPF.Helo.Word = spf.Pass }), action: Reject, reason: DMARCFailReject, reply: "550 5.7.26"},
		{name: "p=reject, DNS hides who vouches", results: with(reject, signed(dkim.TempError)), action: Quarantine, reason: DMARCFailOther},
		{name: "p=reject, DNS hides SPF", results: with(reject, mailFrom(spf.TempError)), action: Quarantine, reason: DMARCFailOther},
		{name: "p=reject, strict", results: with(reject, mailFrom(spf.Pass)), change: strict, action: Reject, reason: DMARCFailOther, reply: "550 5.7.26"},
		{name: "p=reject, lenient", results: reject, change: lenient, action: Quarantine, reason: DMARCFailReject},
		{name: "p=quarantine", results: quarantine, action: Quarantine, reason: DMARCFailQuarantine},
		{name: "p=quarantine, tagged", results: quarantine, change: func(p *Policy) { p.DMARCQuarantine = Tag }, action: Tag, reason: DMARCFailQuarantine},
		{name: "p=none", results: with(none, mailFrom(spf.Fail)), action: Accept, reason: DMARCFailNone},

		{name: "temperror", results: found(dmarc.TempError, ""), action: Accept, reason: DNSTempError},
		{name: "temperror, deferred", results: found(dmarc.TempError, ""), change: func(p *Policy) { p.TempError = Defer }, action: Defer, reason: DNSTempError, reply: "451 4.7.0"},
		{name: "temperror, too busy to ask", results: with(found(dmarc.TempError, ""), starved), action: Defer, reason: DNSTempError, reply: "451 4.7.0"},
		{name: "no record, too busy to ask for SPF", results: with(with(bare, mailFrom(spf.TempError)), starved), action: Defer, reason: DNSTempError, reply: "451 4.7.0"},
		{name: "pass, too busy for the rest", results: with(found(dmarc.Pass, ""), starved), action: Accept, reason: DMARCPass},
		{name: "no record", results: bare, action: Accept, reason: DMARCNone},
		{name: "no record, SPF fails", results: with(bare, mailFrom(spf.Fail)), action: Quarantine, reason: SPFFail},
		{name: "no record, SPF fails, rejected", results: with(bare, mailFrom(spf.Fail)), change: func(p *Policy) { p.SPFFail = Reject }, action: Reject, reason: SPFFail, reply: "550 5.7.23"},
		{name: "no record, SPF softfail", results: with(bare, mailFrom(spf.SoftFail)), action: Accept, reason: DMARCNone},
		{name: "no record, SPF fails, DKIM passes", results: with(with(bare, mailFrom(spf.Fail)), signed(dkim.Pass)), action: Accept, reason: DMARCNone},
		{name: "no record, SPF fails, DKIM unknown", results: with(with(bare, mailFrom(spf.Fail)), signed(dkim.TempError)), action: Accept, reason: DNSTempError},
		{name: "no record, SPF unknown", results: with(bare, mailFrom(spf.TempError)), action: Accept, reason: DNSTempError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPolicy()
			if tt.change != nil {
				tt.change(&p)
			}
			v := p.Decide(testMessage(tt.defects...), tt.results)
			if v.Action != tt.action || v.Reason != tt.reason {
				t.Errorf("%s %s, want %s %s", v.Action, v.Reason, tt.action, tt.reason)
			}
			checkWords(t, v, tt.reply)
		})
	}
}

func trustAll(p *Policy) { p.Trusted = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }

func testMessage(defects ...mail.Defect) *mail.Message {
	return &mail.Message{
		Envelope: mail.Envelope{ID: "id1", Client: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@example.org"},
		Defects:  defects,
	}
}

// checkWords: every verdict explains itself, every refusal has its code and our
// id, and no placeholder is left.
func checkWords(t *testing.T, v Verdict, reply string) {
	t.Helper()
	if v.Explanation == "" || strings.ContainsAny(v.Explanation, "{}") {
		t.Errorf("explanation %q", v.Explanation)
	}
	if strings.ContainsAny(v.Reply.Text, "{}") {
		t.Errorf("reply %q", v.Reply.Text)
	}
	if reply == "" {
		if v.Reply.Code != 250 {
			t.Errorf("reply %+v to a message that goes on", v.Reply)
		}
		return
	}
	code, enhanced, _ := strings.Cut(reply, " ")
	if got := v.Reply; code != itoa(got.Code) || got.Enhanced != enhanced || !strings.Contains(got.Text, "[id1]") {
		t.Errorf("reply %+v, want %s and [id1] in it", got, reply)
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// In shadow mode the verdict stands, is written down, and is not carried out.
func TestShadow(t *testing.T) {
	p := testPolicy()
	p.Shadow = true
	v := p.Decide(testMessage(), found(dmarc.Fail, dmarc.PolicyReject))
	if !v.Shadow || v.Action != Reject || v.Enforced() != Accept {
		t.Errorf("%+v", v)
	}
	field := v.Edit.Prepend[1]
	if !strings.HasPrefix(field, "X-Sekimori-Verdict: accept;") || !strings.Contains(field, "shadow=reject") {
		t.Errorf("field %q", field)
	}
	if v := p.Decide(testMessage(), found(dmarc.Pass, "")); v.Shadow {
		t.Error("an accept is no shadow")
	}
}

// Invariant: what nobody decided is tried again later.
func TestZeroVerdictDefers(t *testing.T) {
	var v Verdict
	if v.Action != Defer || v.Enforced() != Defer || v.Action.Delivers() {
		t.Errorf("the zero verdict is %s", v.Action)
	}
	var p Policy
	for _, r := range []Results{found(dmarc.Fail, dmarc.PolicyReject), found(dmarc.Fail, dmarc.PolicyQuarantine), with(found(dmarc.None, ""), author(mail.AuthorNone))} {
		if v := p.Decide(testMessage(), r); v.Action != Defer || v.Reply.Code != 451 {
			t.Errorf("a policy that says nothing: %s %+v", v.Action, v.Reply)
		}
	}
}

// An operator's own text gets the facts, and the id even if it forgot it.
func TestOwnReply(t *testing.T) {
	p := testPolicy()
	p.HelpURL = "https://example.net/help"
	p.Replies = map[Reason]string{DMARCFailReject: "no mail of {domain} from {client}"}
	v := p.Decide(testMessage(), found(dmarc.Fail, dmarc.PolicyReject))
	if want := "no mail of example.com from 192.0.2.1\nHelp: https://example.net/help [id1]"; v.Reply.Text != want {
		t.Errorf("%q, want %q", v.Reply.Text, want)
	}
}

// RFC 7208 section 6.2: off by default, and marked as a stranger's words.
func TestExplanationInReply(t *testing.T) {
	r := with(found(dmarc.None, ""), mailFrom(spf.Fail))
	r.SPF.MailFrom.Explanation = "call us"
	p := testPolicy()
	p.SPFFail = Reject
	if v := p.Decide(testMessage(), r); strings.Contains(v.Reply.Text, "call us") {
		t.Errorf("%q", v.Reply.Text)
	}
	p.Explain = true
	if v := p.Decide(testMessage(), r); !strings.Contains(v.Reply.Text, "\nexample.org explains: call us [id1]") {
		t.Errorf("%q", v.Reply.Text)
	}
}

// Nothing from the wire shapes a reply.
func TestReplyIsClean(t *testing.T) {
	r := found(dmarc.Fail, dmarc.PolicyReject)
	r.Author.Domain = "evil\r\n250 ok\x00é" + strings.Repeat("x", 5000)
	p := testPolicy()
	text := p.Decide(testMessage(), r).Reply.Text
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 480 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
	if strings.ContainsAny(text, "\r\x00é") || len(text) > 1300 {
		t.Errorf("%q", text)
	}
}

// Every reason that refuses has a text that an operator can replace.
func TestReasonsHaveWords(t *testing.T) {
	for _, r := range Reasons() {
		words := textOf(r)
		if words.explanation == "" {
			t.Errorf("%s explains nothing", r)
		}
		if (words.code == 0) != (words.reply == "") {
			t.Errorf("%s: code %d, reply %q", r, words.code, words.reply)
		}
	}
}
