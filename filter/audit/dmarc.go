package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
)

// DMARC is the policy in force and where it comes from.
type DMARC struct {
	State                State         `json:"state"`                 // "found", "missing" or "failed", of the record in force
	Own                  bool          `json:"own"`                   // it is the domain's own
	PolicyDomain         string        `json:"policy_domain"`         // whose it is
	OrganizationalDomain string        `json:"organizational_domain"` // "" if the DNS leaves it open
	Record               string        `json:"record"`
	Policy               string        `json:"policy"`              // as published for the domain: p, sp or np
	EffectivePolicy      string        `json:"effective_policy"`    // after t=
	SubdomainPolicy      string        `json:"subdomain_policy"`    // published for names below without a record of their own
	NonexistentPolicy    string        `json:"nonexistent_policy"`  // published for names below that do not exist
	Testing              bool          `json:"testing"`             // t=y
	StrictDKIM           bool          `json:"strict_dkim"`         // adkim=s
	StrictSPF            bool          `json:"strict_spf"`          // aspf=s
	PSD                  string        `json:"psd"`                 // "y", "n" or "u"
	FailureOptions       string        `json:"failure_options"`     // fo
	Walk                 []DMARCStep   `json:"walk"`                // in the order of asking
	Reports              []Destination `json:"report_destinations"` // rua before ruf
	Notes                []string      `json:"notes"`               // about how the policy came to be
}

// DMARCStep is one name of the tree walk.
type DMARCStep struct {
	Name   string `json:"name"`   // asked for
	State  State  `json:"state"`  // "found", "missing", "several" or "failed"
	Record string `json:"record"` // with "missing": a text that was meant to be one
	Reason string `json:"reason"`
}

func (a *auditor) auditDMARC(ctx context.Context) {
	facts := a.options.DMARC.Gather(ctx, a.dns, a.domain, nil)
	r := facts.Evaluate(dmarc.Identifier{}, nil)
	a.org = cmp.Or(r.OrganizationalDomain, a.domain)
	d := &a.report.DMARC
	*d = DMARC{State: Missing, PolicyDomain: r.PolicyDomain, OrganizationalDomain: r.OrganizationalDomain, Record: visible(r.Record),
		Policy: string(r.Policy), EffectivePolicy: string(r.Effective), Testing: r.Testing,
		Own: r.PolicyDomain == a.domain, Walk: []DMARCStep{}, Reports: []Destination{}, Notes: []string{}}
	var inForce dmarc.Step
	for _, step := range facts.Walk() {
		d.Walk = append(d.Walk, DMARCStep{"_dmarc." + step.Domain, State(step.State), visible(cmp.Or(step.Record.Text, step.Stray)), step.Why})
		a.judgeStep(ctx, step)
		if step.State == dmarc.Found && step.Domain == r.PolicyDomain {
			inForce = step
		}
	}
	for _, n := range r.Notes {
		d.Notes = append(d.Notes, visible(n))
	}
	switch {
	case r.Word == dmarc.TempError && inForce.State != dmarc.Found:
		d.State = Failed
		return // judgeStep has said it
	case inForce.State == dmarc.Found:
		d.describe(inForce.Record)
	}
	if inForce.State == dmarc.Found && within(inForce.Domain, a.org) {
		a.policy = inForce.Record
		a.judgeRecord(ctx, inForce)
	} else if a.clean("dmarc") {
		a.missingDMARC(inForce.Domain)
	}
	if a.clean("dmarc") {
		a.add(DMARCOK, "_dmarc."+d.PolicyDomain, fmt.Sprintf("The policy in force is %s, by the record of %s.", d.EffectivePolicy, d.PolicyDomain))
	}
}

func (d *DMARC) describe(r dmarc.Record) {
	d.State = Found
	d.StrictDKIM, d.StrictSPF, d.PSD, d.FailureOptions = r.StrictDKIM, r.StrictSPF, string(r.PSD), r.FailureCases
	below := cmp.Or(r.Subdomain, r.Policy)
	d.SubdomainPolicy, d.NonexistentPolicy = string(below), string(cmp.Or(r.NonExistent, below))
}

// missingDMARC: registry is whose record is in force all the same, if any.
func (a *auditor) missingDMARC(registry string) {
	text := "There is no DMARC record: receivers have no policy to apply when somebody forges the domain."
	if registry != "" {
		text = fmt.Sprintf("There is no DMARC record but that of the registry %s, which is not for the domain's owner to change.", registry)
	}
	a.add(DMARCMissing, "_dmarc."+a.domain, text, a.policyRecord(dmarc.Record{Policy: dmarc.PolicyNone}))
}

// policyRecord is a record for the domain itself, as strict as can be for one
// without mail.
func (a *auditor) policyRecord(r dmarc.Record) Record {
	if a.mute {
		r.Policy = dmarc.PolicyReject
	} else if len(r.RUA) == 0 {
		r.RUA = []string{"mailto:dmarc-reports@" + a.domain}
	}
	return txt("_dmarc."+a.domain, format(r))
}

// judgeStep judges the names on the way where a record should be but is not.
func (a *auditor) judgeStep(ctx context.Context, step dmarc.Step) {
	name := "_dmarc." + step.Domain
	switch {
	case step.State == dmarc.Failed && step.Why == string(dns.OverLimit):
	case step.State == dmarc.Failed:
		a.add(DMARCUnanswered, name, fmt.Sprintf("The DNS did not answer for %s (%s): receivers cannot know the policy while that lasts.", name, step.Why))
	case !within(step.Domain, a.org): // a registry's
	case step.State == dmarc.Several:
		a.add(DMARCSeveral, name, fmt.Sprintf("There are several DMARC records at %s, so none of them counts: keep one.", name), a.keep(ctx, name)...)
	case step.Stray != "":
		a.add(DMARCNotARecord, name, fmt.Sprintf("The text %s is not taken for a DMARC record, which begins with \"v=DMARC1;\" exactly so.", quoted(step.Stray)),
			repairedDMARC(name, step.Stray)...)
	}
}

// keep proposes one of several records: the strictest that sends reports, if one does.
func (a *auditor) keep(ctx context.Context, name string) []Record {
	var best *dmarc.Record
	for _, text := range sorted(a.ask(ctx, name, dns.TXT).TXT) {
		r, ok := dmarc.Parse(text)
		switch {
		case !ok || r.Policy == "":
		case best == nil, len(best.RUA) == 0 && len(r.RUA) > 0,
			(len(best.RUA) == 0) == (len(r.RUA) == 0) && strictness(r.Policy) > strictness(best.Policy):
			best = &r
		}
	}
	if best == nil {
		return nil
	}
	return []Record{txt(name, format(*best))}
}

// repairedDMARC writes the beginning as it must be, and keeps the rest.
func repairedDMARC(name, stray string) []Record {
	at := indexFold(stray, "dmarc1")
	if at < 0 {
		return nil
	}
	rest := strings.Trim(stray[at+len("dmarc1"):], " \t;,\"'\\")
	r, ok := dmarc.Parse("v=DMARC1; " + rest)
	if !ok || r.Policy == "" {
		return nil
	}
	return []Record{txt(name, format(r))}
}

func strictness(p dmarc.Policy) int {
	return slices.Index([]dmarc.Policy{dmarc.PolicyNone, dmarc.PolicyQuarantine, dmarc.PolicyReject}, p)
}

// format writes a record with what RFC 9989 knows and nothing that is the default.
func format(r dmarc.Record) string {
	var b strings.Builder
	tag := func(name, value, standard string) {
		if value != "" && value != standard {
			b.WriteString("; " + name + "=" + value)
		}
	}
	b.WriteString("v=DMARC1")
	tag("p", string(cmp.Or(r.Policy, dmarc.PolicyNone)), "")
	tag("sp", string(r.Subdomain), "")
	tag("np", string(r.NonExistent), "")
	tag("adkim", flag(r.StrictDKIM, "s"), "")
	tag("aspf", flag(r.StrictSPF, "s"), "")
	tag("psd", string(r.PSD), string(dmarc.PSDUnknown))
	tag("t", flag(r.Testing, "y"), "")
	tag("rua", strings.Join(r.RUA, ","), "")
	tag("ruf", strings.Join(r.RUF, ","), "")
	tag("fo", r.FailureCases, "0")
	return b.String()
}

func flag(on bool, value string) string {
	if on {
		return value
	}
	return ""
}
