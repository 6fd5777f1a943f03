package audit

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"sekimori/filter/dns"
	"sekimori/filter/spf"
)

// The limits of RFC 7208 section 4.6.4.
const (
	lookupLimit = 10
	voidLimit   = 2
	mxLimit     = 10 // hosts of an mx term
)

// maxFollowed bounds the terms of a whole tree that are followed, and so its
// records: enough to show how far a record goes beyond the limits.
const maxFollowed = 40

// spfRecord is the SPF record of a name in the tree.
type spfRecord struct {
	domain string
	parent *spfTerm // that led here; nil for the root
	own    bool     // of the audited organization, which can change it
	main   bool     // the root, or where its redirect leads: its "all" counts
	state  State
	text   string   // of the record, raw
	texts  []string // with Several all of them; with Missing those that were meant to be one
	reason string
	terms  []*spfTerm

	lookups, voids int // with all below

	rewritten bool  // not published: the audit made it of what is
	cured     *cure // what to publish in its place
}

// spfTerm is one term of it.
type spfTerm struct {
	spf.Term
	record  *spfRecord
	reached bool // not overruled by "all" (RFC 7208 section 5.1)
	target  string
	child   *spfRecord   // of include and redirect
	state   State        // of what a, mx and exists ask for; Unread if that was not asked
	void    bool         // counts as a void lookup
	hosts   int          // of mx
	addrs   []netip.Addr // of a, and of mx in an own record: for either family
	lookups int          // with all below

	// What to do about it.
	drop  bool
	loses bool   // whom it named, or may have, is not named by what stands in its place
	fix   string // to stand in its place; "" to leave it
}

// spfTree reads the tree of one record.
type spfTree struct {
	*auditor
	followed int
}

// read asks for the record of a name and follows it.
func (t *spfTree) read(ctx context.Context, domain string, parent *spfTerm) *spfRecord {
	r := &spfRecord{domain: domain, parent: parent, own: within(domain, t.org) || within(domain, t.domain)}
	r.main = parent == nil || parent.Name == "redirect" && parent.record.main
	for up := parent; up != nil; up = up.record.parent {
		if up.record.domain == domain {
			r.state, r.reason = Loop, "is on the way here already"
			return r
		}
	}
	answer := t.ask(ctx, domain, dns.TXT)
	r.state = stateOf(answer)
	switch r.state {
	case Failed, Unread:
		r.reason = string(answer.Outcome)
	case Missing:
		r.reason = string(answer.Outcome)
		r.voids = flagInt(parent != nil)
	case Found:
		t.pick(ctx, r, answer.TXT)
	}
	return r
}

func flagInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pick finds the record among the texts: RFC 7208 section 4.5.
func (t *spfTree) pick(ctx context.Context, r *spfRecord, texts []string) {
	var strays []string
	for _, text := range texts {
		switch {
		case spf.IsRecord(text):
			r.texts = append(r.texts, text)
		case looksLikeSPF(text):
			strays = append(strays, text)
		}
	}
	switch len(r.texts) {
	case 0:
		r.state, r.reason, r.texts = Missing, "no TXT record there is an SPF record", strays
	case 1:
		t.parse(ctx, r, r.texts[0])
		r.texts = strays
	default:
		r.state, r.reason = Several, "more than one SPF record"
	}
}

// looksLikeSPF finds the records of owners who meant well.
func looksLikeSPF(text string) bool {
	return strings.Contains(strings.ToLower(text[:min(len(text), 16)]), "spf1")
}

// parse reads a record and follows its terms.
func (t *spfTree) parse(ctx context.Context, r *spfRecord, text string) {
	r.state, r.text = Found, text
	terms, err := spf.Terms(text)
	if err != nil {
		r.state, r.reason = Malformed, err.Error()
		return
	}
	all := slices.IndexFunc(terms, func(m spf.Term) bool { return m.Name == "all" })
	for i, m := range terms {
		term := &spfTerm{Term: m, record: r, state: Unread, lookups: m.Lookups()}
		// RFC 7208 section 5.1: nothing behind "all" is tested, and redirect is ignored wherever it stands.
		term.reached = all < 0 || i <= all && m.Name != "redirect" || m.Name == "exp"
		r.terms = append(r.terms, term)
		if m.Err != nil {
			r.state, r.reason = Malformed, "a term cannot be read"
		}
		if !term.reached {
			term.lookups = 0
			continue
		}
		if term.lookups > 0 {
			t.follow(ctx, term)
		}
		r.lookups += term.lookups
		r.voids += flagInt(term.void)
		if term.child != nil {
			r.voids += term.child.voids
		}
	}
}

// follow looks at what a term leads to.
func (t *spfTree) follow(ctx context.Context, m *spfTerm) {
	if t.followed++; t.followed > maxFollowed {
		return
	}
	target, known := m.Target(m.record.domain, t.domain)
	if !known {
		return // depends on the message
	}
	m.target = target
	switch m.Name {
	case "include", "redirect":
		m.child = t.read(ctx, target, m)
		m.lookups += m.child.lookups
	case "a":
		m.state = t.resolve(ctx, m, target)
		m.void = m.state != Unread && stateOf(t.ask(ctx, target, dns.A)) == Missing
	case "exists": // RFC 7208 section 5.7: never AAAA
		m.state = stateOf(t.ask(ctx, target, dns.A))
		m.void = m.state == Missing
	case "mx":
		t.followMX(ctx, m, target)
	}
}

// resolve asks for both families.
func (t *spfTree) resolve(ctx context.Context, m *spfTerm, name string) State {
	state := Missing
	for _, typ := range []dns.Type{dns.A, dns.AAAA} {
		answer := t.ask(ctx, name, typ)
		for _, addr := range answer.Addrs {
			if !slices.Contains(m.addrs, addr) {
				m.addrs = append(m.addrs, addr)
			}
		}
		switch s := stateOf(answer); {
		case s == Found:
			state = Found
		case s != Missing && state == Missing:
			state = s
		}
	}
	return state
}

func (t *spfTree) followMX(ctx context.Context, m *spfTerm, target string) {
	answer := t.ask(ctx, target, dns.MX)
	m.state = stateOf(answer)
	m.void = m.state == Missing
	m.hosts = len(answer.MX)
	if m.state != Found || !m.record.own {
		return
	}
	m.state = Missing
	for _, mx := range answer.MX[:min(len(answer.MX), maxHosts)] {
		if mx.Host == "" {
			continue // RFC 7505
		}
		if s := t.resolve(ctx, m, mx.Host); m.state == Missing || s == Found {
			m.state = s
		}
	}
}

// each walks over a record and all below it.
func (r *spfRecord) each(visit func(*spfRecord)) {
	visit(r)
	for _, m := range r.terms {
		if m.child != nil {
			m.child.each(visit)
		}
	}
}

// end finds the term that decides when nothing matched: "all" of the record or of
// the one that its redirect leads to. last is the record where it stands or should.
func (r *spfRecord) end() (all *spfTerm, last *spfRecord) {
	for _, m := range r.terms {
		switch {
		case !m.reached:
		case m.Name == "all":
			return m, r
		case m.Name == "redirect" && m.child != nil:
			return m.child.end()
		case m.Name == "redirect":
			return nil, nil // not known
		}
	}
	return nil, r
}

// passesAll: every client is let through by this record.
func (r *spfRecord) passesAll() bool {
	return slices.ContainsFunc(r.terms, (*spfTerm).passesAll)
}

// passesAll: by this term. RFC 7208 section 5.2: an include passes on only a pass.
func (m *spfTerm) passesAll() bool {
	if !m.reached || m.Qualifier != '+' && m.Name != "redirect" {
		return false
	}
	switch m.Name {
	case "all":
		return true
	case "ip4", "ip6":
		return m.Network.Bits() == 0
	case "a", "mx":
		return m.state == Found && (m.Bits4 == 0 || m.Bits6 == 0)
	case "exists":
		return m.state == Found
	case "include", "redirect":
		return m.child != nil && m.child.passesAll()
	}
	return false
}

// wide: the network is larger than anybody's own.
func (m *spfTerm) wide() bool {
	const most4, most6 = 16, 32
	switch m.Name {
	case "ip4":
		return m.Network.Bits() < most4
	case "ip6":
		return m.Network.Bits() < most6
	case "a", "mx":
		return m.Bits4 < most4 || m.Bits6 < most6
	}
	return false
}
