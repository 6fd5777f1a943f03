package filter

import (
	"slices"
	"testing"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// spoof is a message that its author's domain disowns.
func spoof(change func(*Verdict)) Verdict {
	v := Verdict{Reason: DMARCFailReject, Results: Results{
		Checked: true,
		Author:  mail.Author{Status: mail.AuthorDomain, Domain: "example.com"},
		SPF:     spf.Results{MailFrom: spf.Result{Word: spf.Fail, Domain: "example.com"}},
		DMARC:   dmarc.Result{Word: dmarc.Fail, Effective: dmarc.PolicyReject},
	}}
	change(&v)
	return v
}

func TestTechnique(t *testing.T) {
	for _, c := range []struct {
		title  string
		change func(*Verdict)
		want   Technique
	}{
		{"nothing authenticates it", func(*Verdict) {}, NoPapers},
		{"a signature that failed is no paper", func(v *Verdict) { v.Results.DKIM = []dkim.Result{{Word: dkim.Fail, Domain: "evil.example"}} }, NoPapers},
		{"SPF passes for somebody else", func(v *Verdict) { v.Results.SPF.MailFrom = spf.Result{Word: spf.Pass, Domain: "evil.example"} }, Unaligned},
		{"DKIM passes for somebody else", func(v *Verdict) { v.Results.DKIM = []dkim.Result{{Word: dkim.Pass, Domain: "evil.example"}} }, Unaligned},
		{"the DNS left open whose papers they are", func(v *Verdict) { v.Results.SPF.MailFrom.Word = spf.TempError }, Unaligned},
		{"no DMARC record, SPF forbids the client", func(v *Verdict) { v.Results.DMARC, v.Reason = dmarc.Result{Word: dmarc.None}, SPFFail }, NoPapers},
		{"no DMARC record and nothing against it", func(v *Verdict) { v.Results.DMARC, v.Reason = dmarc.Result{Word: dmarc.None}, DMARCNone }, NoTechnique},
		{"in the name of a domain of ours", func(v *Verdict) {
			v.Results.Claims, v.Edit.Drop = []Claim{{Place: ProtectedAuthor, Protected: "example.com"}}, []int{0}
		}, OwnDomain},
		{"a domain of ours in the display name, behind papers of the spoofer's own", func(v *Verdict) {
			v.Results.Claims, v.Results.DMARC = []Claim{{Place: ProtectedName, Protected: "example.com"}}, dmarc.Result{Word: dmarc.Pass}
		}, OwnDomain},
		{"mail of a domain of ours", func(v *Verdict) {
			v.Results.Claims, v.Results.DMARC = []Claim{{Protected: "example.com", Proof: ProofPassed}}, dmarc.Result{Word: dmarc.Pass}
		}, NoTechnique},
		{"a domain of ours, and the DNS left it open", func(v *Verdict) {
			v.Results.Claims, v.Results.DMARC = []Claim{{Protected: "example.com", Proof: ProofUnknown}}, dmarc.Result{Word: dmarc.TempError}
		}, NoTechnique},
		{"a sender whom the domain's owner lists", func(v *Verdict) {
			v.Results.Claims, v.Reason = []Claim{{Protected: "example.com", Proof: ProofListed}}, ListedSender
		}, NoTechnique},
		{"results of ours, forged", func(v *Verdict) { v.Edit.Drop = []int{0} }, ForgedResults},
		{"results of ours that come home", func(v *Verdict) {
			v.Edit.Drop, v.Results.DMARC, v.Reason = []int{0}, dmarc.Result{Word: dmarc.Pass}, DMARCPass
		}, NoTechnique},
		{"several From fields", func(v *Verdict) { v.Results.Author.Status, v.Reason = mail.AuthorMalformed, AuthorMalformed }, MalformedAuthor},
		{"From of several domains", func(v *Verdict) { v.Results.Author.Status, v.Reason = mail.AuthorMultiple, AuthorMultiple }, MalformedAuthor},
		{"no From at all names nobody", func(v *Verdict) { v.Results.Author.Status, v.Reason = mail.AuthorNone, AuthorMissing }, NoTechnique},
		{"DMARC passes", func(v *Verdict) { v.Results.DMARC, v.Reason = dmarc.Result{Word: dmarc.Pass}, DMARCPass }, NoTechnique},
		{"our DNS trouble is not the sender's", func(v *Verdict) { v.Results.DMARC, v.Reason = dmarc.Result{Word: dmarc.TempError}, DNSTempError }, NoTechnique},
		{"the operator's own", func(v *Verdict) { v.Results, v.Reason = Results{}, TrustedNetwork }, NoTechnique},
		{"a shadow is judged alike", func(v *Verdict) { v.Shadow = true }, NoPapers},
	} {
		got := spoof(c.change).Technique()
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.title, got, c.want)
		}
		if !slices.Contains(Techniques(), got) {
			t.Errorf("%s: %s is not in the closed set", c.title, got)
		}
	}
	if got := (Verdict{}).Technique(); got != NoTechnique {
		t.Errorf("the zero verdict: %s", got)
	}
}
