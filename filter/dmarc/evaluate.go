package dmarc

// discovery is the outcome of policy discovery (RFC 9989 section 4.10.1).
type discovery struct {
	step    Step // whose record applies if State is Found; with Failed the one that leaves it open
	own     bool // it is the author domain's own record
	unclear bool // the record applies, but the DNS left open whether np or sp of it
	policy  Policy
}

// needsExistence tells whether np and sp make a difference.
func (d discovery) needsExistence() bool {
	return d.step.State == Found && !d.own && d.step.Record.below(true) != d.step.Record.below(false)
}

// discover finds the record that applies to the author domain.
func (f Facts) discover() discovery {
	step := f.steps[f.Author]
	if step.State == Found { // p of the author domain's own record, whatever its sp and np
		return discovery{step: step, own: true, policy: step.Record.Policy}
	}
	if step.State != Failed {
		step = f.inherited()
	}
	d := discovery{step: step}
	if step.State == Found {
		d.policy = step.Record.below(f.exists != notThere)
		d.unclear = f.exists == noAnswer
	}
	return d
}

// inherited gives the organizational domain's step or else, if it has no record,
// that of the public suffix: the nearest record above it.
func (f Facts) inherited() Step {
	n, certain := f.organizational(f.Author).only()
	for _, name := range path(f.Author) {
		step, asked := f.steps[name]
		if !asked {
			step = Step{Domain: name, State: Failed, Why: "not asked"}
		}
		relevant := !certain || labels(name) <= n
		if relevant && step.State == Failed || relevant && certain && step.State == Found {
			return step
		}
	}
	return Step{State: Missing}
}

// alignment of one identifier (RFC 9989 section 3.2.10). Open is what DNS trouble leaves.
type alignment int

const (
	unaligned alignment = iota
	open
	aligned
)

// judge compares domains with the author's.
type judge struct {
	facts          Facts
	organizational lengths // of the author
}

// align: equal names when strict, equal organizational domains when relaxed.
func (j judge) align(domain string, strict bool) alignment {
	author := j.facts.Author
	switch shared := common(domain, author); {
	case domain == "":
		return unaligned
	case domain == author:
		return aligned
	case strict, j.organizational.upTo(shared) == lengths{}:
		return unaligned
	default:
		return settle(j.organizational, j.facts.organizational(domain), shared)
	}
}

// settle compares what two organizational domains may be: they are equal if
// their lengths are and lie within the labels that both names share.
func settle(a, b lengths, shared int) alignment {
	if !a.upTo(shared).meets(b.upTo(shared)) {
		return unaligned
	}
	_, oneA := a.only()
	_, oneB := b.only()
	if oneA && oneB {
		return aligned
	}
	return open
}

// tally is what the identifiers add up to.
type tally struct {
	passed  bool   // an aligned one passed
	pending string // why that may still come to be: the first reason, in words
	foreign []string
}

func (t *tally) count(method string, id Identifier, a alignment) {
	switch {
	case id.Result == "pass" && a == aligned:
		t.passed = true
	case id.Result == "pass" && a == unaligned && id.Domain != "":
		t.foreign = append(t.foreign, method+" passed for "+id.Domain)
	case t.pending != "":
	// RFC 9989 section 5.3.6, but only for an identifier that would be aligned: a
	// stranger's broken DNS must not keep a policy from being applied.
	case id.Result == "temperror" && a != unaligned:
		t.pending = method + " for " + id.Domain + " ended in a temporary error"
	case id.Result == "pass" && a == open:
		t.pending = "the DNS left open whether " + id.Domain + " and the author's domain are of one organization"
	}
}

// Evaluate applies RFC 9989 section 5.3 to the facts. dkim is in the order of the
// signatures. Both are to be among the identifiers that Gather was given.
//
// An identifier that neither passed nor met a temporary error is no candidate for
// a walk, so its entry in DKIMAligned is true only if its domain is the author's
// or the answers at hand settle it.
func (f Facts) Evaluate(spf Identifier, dkim []Identifier) Result {
	r := Result{Word: None, AuthorDomain: f.Author, Queries: f.Queries, DKIMAligned: make([]bool, len(dkim))}
	if f.Author == "" {
		r.Reason = "there is no single author domain"
		return r
	}
	d := f.discover()
	j := judge{f, f.organizational(f.Author)}
	if n, certain := j.organizational.only(); certain {
		r.OrganizationalDomain = last(f.Author, n)
	}
	if d.step.State == Found {
		record := d.step.Record
		r.PolicyDomain, r.Record, r.Testing = d.step.Domain, record.Text, record.Testing
		r.Policy, r.Effective = d.policy, record.effective(d.policy)
	}
	var t tally
	spf.Domain = normal(spf.Domain)
	a := j.align(spf.Domain, d.step.Record.StrictSPF)
	r.SPFAligned = a == aligned && spf.Result == "pass"
	t.count("SPF", spf, a)
	for i, id := range dkim {
		id.Domain = normal(id.Domain)
		a := j.align(id.Domain, d.step.Record.StrictDKIM)
		r.DKIMAligned[i] = a == aligned
		t.count("DKIM", id, a)
	}
	r.Word, r.Reason = f.conclude(d, t)
	r.Notes = f.notes(d)
	return r
}

// conclude is the order of the rules: RFC 9989 sections 4.10.1, 5.3.5 and 5.3.6.
func (f Facts) conclude(d discovery, t tally) (Word, string) {
	switch {
	case d.step.State == Failed:
		return TempError, failedReason(d.step)
	case d.step.State != Found:
		return None, f.missingReason()
	case d.policy == "":
		return None, badReason(d.step)
	case t.passed:
		return Pass, ""
	case t.pending != "":
		return TempError, t.pending
	case d.unclear:
		return TempError, "the DNS did not say whether " + f.Author + " exists, which decides between np= and sp="
	}
	return Fail, f.failReason(t)
}
