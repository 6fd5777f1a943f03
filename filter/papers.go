package filter

import (
	"context"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
)

// SenderDomain is what the DNS says of the domain of MAIL FROM.
type SenderDomain string

// What it may say.
const (
	SenderUnasked SenderDomain = ""         // nobody wanted to know, or there is no domain, or the DNS did not answer
	SenderExists  SenderDomain = "exists"   // the name is there
	SenderNoName  SenderDomain = "nxdomain" // it is not
	SenderNoMail  SenderDomain = "null_mx"  // it takes no mail (RFC 7505)
)

// papers decides about what a sender lacks. Data that the DNS did not give never
// counts against him. Of several lines the strictest holds, the first of equals.
func (p *Policy) papers(r Results, on inForce) (Action, Reason) {
	action, reason := Accept, DMARCNone
	consider := func(holds bool, a Action, why Reason) {
		if holds && on(why) && a.stricter(action) {
			action, reason = a, why
		}
	}
	consider(r.Sender == SenderNoName, p.SenderMissing, SenderMissing)
	consider(r.Sender == SenderNoMail, p.SenderNullMX, SenderNullMX)
	consider(badName(r.IPRev), p.NoReverseName, NoReverseName)
	consider(r.withoutPapers(), p.Unauthenticated, Unauthenticated)
	return action, reason
}

func (s SenderDomain) bad() bool { return s == SenderNoName || s == SenderNoMail }

func badName(r iprev.Result) bool { return r.Word == iprev.Fail || r.Word == iprev.PermError }

// withoutPapers tells that nothing speaks for the author.
func (r Results) withoutPapers() bool {
	return r.Author.Status == mail.AuthorDomain && r.DMARC.Word == dmarc.None && vouched(r) == nobody
}

// checkSender asks one question, RFC 7505 section 3's: a name whose MX does not
// exist as a name does not exist at all (RFC 8020).
func (f *Filter) checkSender(ctx context.Context, s *dns.Session, env mail.Envelope) SenderDomain {
	_, domain, ok := splitRecipient(env.MailFrom)
	if !ok || !f.SenderDomain {
		return SenderUnasked
	}
	a := s.Query(ctx, dns.Question{Name: domain, Type: dns.MX})
	switch a.Outcome {
	case dns.NXDomain:
		return SenderNoName
	case dns.NoData:
		return SenderExists
	case dns.Found:
		for _, one := range a.MX {
			if one.Host != "" {
				return SenderExists
			}
		}
		return SenderNoMail
	}
	return SenderUnasked
}
