package filter

import (
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
)

// Technique is how a message that is not what it claims to be goes about it: a
// closed set, label of the metric and word in the history.
type Technique string

// The techniques.
const (
	NoTechnique     Technique = "none"             // nobody is impersonated, as far as can be told
	Unaligned       Technique = "unaligned"        // it has papers, but of somebody else than its author: a spoofer with a domain of his own, or a list, or a forwarder
	NoPapers        Technique = "no_papers"        // nothing authenticates it at all
	OwnDomain       Technique = "own_domain"       // in the name of a domain that we protect
	MalformedAuthor Technique = "malformed_author" // a From field that readers and filters may read differently
	ForgedResults   Technique = "forged_results"   // it brings results of checks that it says are ours
)

// Techniques lists them all.
func Techniques() []Technique {
	return []Technique{NoTechnique, Unaligned, NoPapers, OwnDomain, MalformedAuthor, ForgedResults}
}

// Technique tells the spoofer's by the facts, whatever was done about it. Where
// several are used it is the boldest: the order below. What passes DMARC, what
// the DNS left open, senders whom somebody answers for and the operator's own are
// no attempt: a list may well carry results of ours home, and there they are
// dropped in silence.
func (v Verdict) Technique() Technique {
	r := v.Results
	switch {
	case !r.Checked, exempt(v.Reason):
		return NoTechnique
	case r.Author.Status == mail.AuthorMalformed, r.Author.Status == mail.AuthorMultiple:
		return MalformedAuthor
	case r.impersonates():
		return OwnDomain
	case r.Author.Status != mail.AuthorDomain, !v.suspect():
		return NoTechnique
	case len(v.Edit.Drop) > 0:
		return ForgedResults
	case vouched(r) == nobody:
		return NoPapers
	}
	return Unaligned
}

// impersonates tells whether a message comes in the name of a protected domain
// and has nothing at all to show for it.
func (r Results) impersonates() bool {
	c, short := shortest(r.Claims)
	return short && c.Proof == NoProof
}

// suspect tells whether the author's domain disowns the message: by DMARC, or by
// SPF where it has no DMARC record and nobody else speaks for the message.
func (v Verdict) suspect() bool {
	switch v.Results.DMARC.Word {
	case dmarc.Fail:
		return true
	case dmarc.Pass, dmarc.TempError:
		return false
	}
	return v.Reason == SPFFail
}
