package filter

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// A message that names more protected domains than can be looked at gets nothing
// of it: those of its own come first, the victim's last.
func TestManyClaims(t *testing.T) {
	owner := map[string]string{"victim.example": "victim"}
	var names []string
	for i := range 200 {
		name := fmt.Sprintf("own%d.example", i)
		owner[name] = "attacker"
		names = append(names, "a@"+name)
	}
	f := testFilter(zone(t, testZone+"own0.example. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n"))
	f.Live = &Live{}
	f.Live.SetDomains(domains(t, owner))
	check := func(display string) Verdict {
		return f.Check(context.Background(), read(t, "a@own0.example", `From: "`+display+`" <a@own0.example>`+"\r\n\r\nx\r\n"))
	}
	if v := check(strings.Join(names[:50], " ")); v.Action != Accept {
		t.Errorf("own names: %s %s", v.Action, v.Reason)
	}
	if v := check(strings.Join(names, " ") + " boss@victim.example"); v.Action != Reject || v.Reason != ProtectedName {
		t.Errorf("the victim's name at the end: %s %s", v.Action, v.Reason)
	}
}

// proofs of a claim in From by what the checks say.
func TestProof(t *testing.T) {
	d := domains(t, map[string]string{"example.com": "acme", "also.example": "acme", "other.example": "other", "guest.example.com": "guest"})
	m := testMessage()
	none := found(dmarc.None, "")
	pass := func(domain string) func(*Results) {
		return func(r *Results) { r.DKIM = append(r.DKIM, dkim.Result{Word: dkim.Pass, Domain: domain}) }
	}
	temp := func(domain string) func(*Results) {
		return func(r *Results) { r.DKIM = append(r.DKIM, dkim.Result{Word: dkim.TempError, Domain: domain}) }
	}
	sender := func(domain string, w spf.Word) func(*Results) {
		return func(r *Results) { r.SPF.MailFrom = spf.Result{Word: w, Domain: domain} }
	}
	for name, tt := range map[string]struct {
		r    Results
		want Proof
	}{
		"nothing":                         {none, NoProof},
		"DMARC":                           {found(dmarc.Pass, dmarc.PolicyNone), ProofPassed},
		"DMARC open":                      {found(dmarc.TempError, ""), ProofUnknown},
		"DKIM":                            {with(none, pass("example.com")), ProofPassed},
		"DKIM below":                      {with(none, pass("mail.example.com")), ProofPassed},
		"DKIM below, of another":          {with(none, pass("guest.example.com")), NoProof},
		"DKIM above":                      {with(none, pass("com")), NoProof},
		"DKIM of the customer's":          {with(none, pass("also.example")), ProofPassed},
		"DKIM of another":                 {with(none, pass("other.example")), NoProof},
		"DKIM open":                       {with(none, temp("example.com")), ProofUnknown},
		"DKIM open, of another":           {with(none, temp("other.example")), NoProof},
		"DKIM open, then pass":            {with(with(none, temp("example.com")), pass("example.com")), ProofPassed},
		"SPF":                             {with(none, sender("example.com", spf.Pass)), ProofPassed},
		"SPF of another":                  {with(none, sender("example.org", spf.Pass)), NoProof},
		"SPF open":                        {with(none, sender("example.com", spf.TempError)), ProofUnknown},
		"SPF open, of another":            {with(none, sender("example.org", spf.TempError)), NoProof},
		"SPF neutral":                     {with(none, sender("example.com", spf.Neutral)), NoProof},
		"DMARC fails, DKIM below":         {with(found(dmarc.Fail, dmarc.PolicyNone), pass("mail.example.com")), NoProof},
		"DMARC fails, the customer's":     {with(found(dmarc.Fail, dmarc.PolicyNone), pass("also.example")), ProofPassed},
		"DMARC fails, DKIM open":          {with(found(dmarc.Fail, dmarc.PolicyNone), temp("example.com")), NoProof},
		"DMARC pass, MAIL FROM a spoof's": {with(found(dmarc.Pass, dmarc.PolicyNone), sender("example.org", spf.Fail)), ProofPassed},
	} {
		c := Claim{Place: ProtectedAuthor, Domain: "example.com", Protected: "example.com", Customer: "acme"}
		if got := tt.r.proof(d, c, m); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// Invariant 5: however the DNS fails us, nobody is refused for it, for no rule.
// In the name of a protected domain nobody gets in by it either.
func TestDNSTroubleIsNoSpoof(t *testing.T) {
	for _, o := range []dns.Outcome{dns.ServFail, dns.Refused, dns.Timeout, dns.OverLimit} {
		f := testFilter(sourceFunc(func(context.Context, dns.Question) dns.Answer { return dns.Answer{Outcome: o} }))
		f.Live = &Live{}
		f.Live.SetDomains(domains(t, map[string]string{"example.com": ""}))
		f.IPRev, f.SenderDomain = true, true
		f.Policy.Unauthenticated, f.Policy.NoReverseName, f.Policy.SenderMissing, f.Policy.SenderNullMX = Reject, Reject, Reject, Reject
		v := f.Check(context.Background(), read(t, "a@example.com", plain))
		if v.Action != Defer || v.Reason != DNSTempError || v.Protected != "example.com" {
			t.Errorf("%s: %s %s %s", o, v.Action, v.Reason, v.Protected)
		}
		f.Live.SetDomains(nil)
		if v := f.Check(context.Background(), read(t, "a@example.com", plain)); v.Action != Accept || v.Reason != DNSTempError {
			t.Errorf("%s, nothing protected: %s %s", o, v.Action, v.Reason)
		}
	}
}

// A claim without any protection costs nothing and says nothing.
func TestNoClaims(t *testing.T) {
	m := &mail.Message{Envelope: mail.Envelope{MailFrom: "a@example.com"}}
	if all := claims(nil, m, mail.Author{Domains: []string{"example.com"}}); all != nil {
		t.Errorf("%v", all)
	}
}
