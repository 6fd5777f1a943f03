package audit

import (
	"context"
	"fmt"
	"strings"
)

// problem is what is wrong with a term.
type problem struct {
	code  Code
	text  string
	cured bool // by the term's fix or drop
}

// judgeSPF judges the terms of one record.
func (a *auditor) judgeSPF(ctx context.Context, r *spfRecord) {
	if r.state == Several && r.own {
		a.judgeSeveral(ctx, r)
	}
	var problems []problem
	seen := map[string]bool{}
	for _, m := range r.terms {
		key := strings.ToLower(m.Text)
		switch p := m.judge(); {
		case p.code != "":
			problems = append(problems, p)
		case seen[key] && r.own && m.reached:
			m.drop = true
			problems = append(problems, problem{SPFDuplicateTerm, fmt.Sprintf("The term %s stands twice.", quoted(m.Text)), true})
		}
		seen[key] = true
	}
	problems = append(problems, r.judgeEnd()...)
	var records []Record
	hint := ""
	if r.own && len(problems) > 0 {
		records, hint = a.cure(ctx, r)
	}
	for _, p := range problems {
		if p.cured {
			a.add(p.code, r.domain, p.text+hint, records...)
		} else {
			a.add(p.code, r.domain, p.text)
		}
	}
}

// judgeEnd: RFC 7208 section 4.7.
func (r *spfRecord) judgeEnd() []problem {
	if !r.main || len(r.terms) == 0 {
		return nil
	}
	switch all, last := r.end(); {
	case all != nil && all.record == r && all.Qualifier == '?':
		return []problem{{SPFNeutral, "?all says nothing of servers that are not named: end in ~all, or in -all when all senders are named.", r.own}}
	case all == nil && last == r && r.state == Found:
		return []problem{{SPFNoEnd, "The SPF record ends without \"all\", so nothing is said of servers that are not named: end in ~all, or in -all when all senders are named.", r.own}}
	}
	return nil
}

// judge finds the worst problem of a term and what cures it.
func (m *spfTerm) judge() problem {
	q := quoted(m.Text)
	if !m.record.own {
		return m.judgeForeign(q)
	}
	switch {
	case m.Err != nil:
		m.repair()
		return problem{SPFSyntax, fmt.Sprintf("The term %s is %s, so receivers cannot use the whole SPF record.", q, m.Err), true}
	case !m.reached:
		m.drop = true
		return problem{SPFUnreached, fmt.Sprintf("The term %s has no effect, because \"all\" ends the record: what is to count stands before it.", q), true}
	case m.Qualifier == 0 && looksLikeMechanism(m.Name):
		m.repair()
		return problem{SPFModifier, fmt.Sprintf("The term %s has no effect, because a mechanism is written with \":\" and not with \"=\".", q), true}
	case m.passesAll() && (m.child == nil || !m.child.own):
		m.closeDoor()
		return problem{SPFEveryone, fmt.Sprintf("The term %s lets everybody on the internet send in the domain's name.", q), true}
	case m.wide():
		m.narrow()
		return problem{SPFWide, fmt.Sprintf("The term %s lets a network send that is too large to be yours alone: name your servers.", q), m.fix != ""}
	case m.Name == "ptr":
		// RFC 7208 section 5.5: SHOULD NOT be published.
		m.drop, m.loses = true, true
		return problem{SPFPTR, fmt.Sprintf("The term %s should not be used: it is slow, and many receivers skip it; name the servers by ip4, ip6, a or mx.", q), true}
	case m.child != nil:
		return m.judgeChild(q)
	}
	return m.judgeTarget(q)
}

// judgeForeign: of a stranger's record only what spoils ours.
func (m *spfTerm) judgeForeign(q string) problem {
	if m.child != nil {
		p := m.judgeChild(q)
		m.drop, m.loses, p.cured = false, false, false
		return p
	}
	if m.Name == "mx" && m.hosts > mxLimit {
		return problem{SPFMXHosts, fmt.Sprintf("The term %s in the record of %s names more than %d hosts, so receivers cannot use your record while that lasts: tell them.", q, visible(m.record.domain), mxLimit), false}
	}
	return problem{}
}

// judgeChild: RFC 7208 sections 5.2 and 6.1.
func (m *spfTerm) judgeChild(q string) problem {
	m.drop, m.loses = true, true
	switch c := m.child; c.state {
	case Missing:
		return problem{SPFIncludeMissing, fmt.Sprintf("The term %s leads to %s, which has no SPF record, so receivers cannot use yours.", q, quoted(c.domain)), true}
	case Several, Malformed:
		if !c.own || c.state == Malformed && len(c.terms) == 0 {
			return problem{SPFIncludeBroken, fmt.Sprintf("The term %s leads to %s, whose SPF record cannot be used (%s), and so neither can yours.", q, quoted(c.domain), c.reason), true}
		}
	case Loop:
		return problem{SPFLoop, fmt.Sprintf("The term %s leads back to %s, so receivers cannot use the record.", q, quoted(c.domain)), true}
	case Failed:
		m.drop, m.loses = false, false
		return problem{SPFUnresolved, fmt.Sprintf("The DNS did not answer for %s (%s), which the term %s needs.", quoted(c.domain), c.reason, q), false}
	}
	m.drop, m.loses = false, false
	return problem{}
}

// judgeTarget: of a, mx and exists.
func (m *spfTerm) judgeTarget(q string) problem {
	switch {
	case m.Name == "mx" && m.hosts > mxLimit:
		// RFC 7208 section 4.6.4.
		m.fix = strings.Join(m.addresses(), " ")
		return problem{SPFMXHosts, fmt.Sprintf("The term %s names more than %d hosts, so receivers cannot use the SPF record.", q, mxLimit), m.fix != ""}
	case m.state == Missing:
		m.drop = true
		return problem{SPFTargetVoid, fmt.Sprintf("The term %s leads to nothing: there is no address at %s.", q, quoted(m.target)), true}
	case m.state == Failed:
		return problem{SPFUnresolved, fmt.Sprintf("The DNS did not answer for %s, which the term %s needs.", quoted(m.target), q), false}
	}
	return problem{}
}
