package audit

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"sekimori/filter/dmarc"
)

// judgeRecord judges the record in force, which is the owner's.
func (a *auditor) judgeRecord(ctx context.Context, step dmarc.Step) {
	name, r := "_dmarc."+step.Domain, step.Record
	a.wish = r
	if a.noPolicy(name, r) {
		return
	}
	whole := txt(name, format(r))
	for _, n := range r.Notes {
		a.add(noteCode(n.Kind), name, fmt.Sprintf("In the DMARC record, %s.", n.Text), whole)
	}
	if r.Testing {
		trusting := r
		trusting.Testing = false
		a.add(DMARCTesting, name, fmt.Sprintf("t=y asks receivers to apply one step less than p=%s: take it out when the reports are good.", r.Policy), txt(name, format(trusting)))
	}
	if r.PSD == dmarc.PSDYes {
		a.wish.PSD = dmarc.PSDUnknown
		a.add(DMARCPSD, name, fmt.Sprintf("psd=y says that %s is a registry, under which others have names: take it out if that is not so.", step.Domain), txt(name, format(a.wish)))
	}
	if len(r.RUA) == 0 && !a.mute {
		a.addReports(ctx, step.Domain)
		const text = "No address for aggregate reports is given (rua=), so forgeries and failing senders stay unseen."
		if len(a.wish.RUA) > 0 {
			a.add(DMARCNoReports, name, text, txt(name, format(a.wish)))
		} else {
			a.add(DMARCNoReports, name, text+" This domain takes no mail: name an address elsewhere.")
		}
	}
	a.judgeStrictness(name, r, step.Domain == a.domain)
}

// addReports wishes for reports to the domain itself, if they can arrive there.
func (a *auditor) addReports(ctx context.Context, domain string) {
	if a.takesMail(ctx, domain) != Missing {
		a.wish.RUA = []string{"mailto:dmarc-reports@" + domain}
	}
}

// noPolicy: RFC 9989 section 4.10.1. To leave p out is another thing than to get
// it wrong: with rua it is a way to say none.
func (a *auditor) noPolicy(name string, r dmarc.Record) bool {
	text := ""
	for _, n := range r.Notes {
		if n.Kind == dmarc.Invalid && (n.Tag == "p" || n.Tag == "sp" || n.Tag == "np") && (r.Policy == "" || hasTag(r.Text, n.Tag)) {
			text = n.Text
			break
		}
	}
	switch {
	case text == "" && r.Policy != "":
		return false
	case r.Policy == "":
		text += ": receivers ignore the record"
	default:
		text += ": receivers take it for p=none"
	}
	if a.mute {
		r.Policy = dmarc.PolicyReject
	}
	a.wish = r
	a.add(DMARCNoPolicy, name, fmt.Sprintf("In the DMARC record, %s.", text), txt(name, format(r)))
	return true
}

func hasTag(text, tag string) bool {
	for part := range strings.SplitSeq(text, ";") {
		name, _, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(name), tag) {
			return true
		}
	}
	return false
}

func noteCode(k dmarc.Kind) Code {
	switch k {
	case dmarc.Obsolete:
		return DMARCObsolete
	case dmarc.Unknown:
		return DMARCUnknown
	case dmarc.Duplicate:
		return DMARCDuplicate
	case dmarc.Unsupported:
		return DMARCUnsupported
	case dmarc.Spelling:
		return DMARCSpelling
	}
	return DMARCInvalid
}

// judgeStrictness compares what is asked for with what should be. own: the
// record is the domain's, not one above.
func (a *auditor) judgeStrictness(name string, r dmarc.Record, own bool) {
	d := a.report.DMARC
	policy := dmarc.Policy(d.Policy)
	strict := r
	strict.RUA, strict.Testing = r.RUA, false
	if !own {
		strict.Subdomain, strict.NonExistent, strict.PSD = "", "", dmarc.PSDUnknown
	}
	strict.Policy = cmp.Or(policy, dmarc.PolicyNone)
	switch {
	case a.mute && d.EffectivePolicy != string(dmarc.PolicyReject):
		strict.Subdomain, strict.NonExistent = "", ""
		if own {
			a.wish.Policy, a.wish.Subdomain, a.wish.NonExistent, a.wish.Testing = dmarc.PolicyReject, "", "", false
		}
		a.add(DMARCSilent, name, "The domain takes no mail and so sends none: p=reject can do no harm.", a.policyRecord(strict))
	case policy == dmarc.PolicyNone:
		strict.Policy = dmarc.PolicyQuarantine
		strict.Subdomain, strict.NonExistent = atLeast(strict.Subdomain, strict.Policy), atLeast(strict.NonExistent, strict.Policy)
		a.add(DMARCNone, name, "The policy in force is none, so forged mail is delivered: when the reports show that your own mail passes, ask for quarantine and later for reject.",
			a.policyRecord(strict))
	}
	below, absent := dmarc.Policy(d.SubdomainPolicy), dmarc.Policy(d.NonexistentPolicy)
	if strictness(below) < strictness(r.Policy) || strictness(absent) < strictness(r.Policy) {
		a.wish.Subdomain, a.wish.NonExistent = "", ""
		a.add(DMARCSubdomains, name, fmt.Sprintf("The policy is %s, but %s for names below and %s for those that do not exist: forgers use such names.", r.Policy, below, absent),
			txt(name, format(a.wish)))
	}
}

// atLeast lifts a policy; "" stays.
func atLeast(p, least dmarc.Policy) dmarc.Policy {
	if p != "" && strictness(p) < strictness(least) {
		return least
	}
	return p
}
