package audit

import (
	"context"
	"fmt"
	"strings"

	"sekimori/filter/dns"
	"sekimori/filter/spf"
)

// SPF is the record and what it leads to.
type SPF struct {
	State        State   `json:"state"`        // of the domain's own record
	Record       string  `json:"record"`       // with "several" the first
	Length       int     `json:"length"`       // of the record in bytes
	AnswerSize   int     `json:"answer_size"`  // of the DNS message with all TXT records of the name, in bytes, about
	Lookups      int     `json:"lookups"`      // terms that need the DNS, should none before them match
	LookupLimit  int     `json:"lookup_limit"` // of RFC 7208 section 4.6.4
	Voids        int     `json:"void_lookups"` // of those whose answer is empty, for an IPv4 client
	VoidLimit    int     `json:"void_limit"`
	All          string  `json:"all"`           // "-", "~", "?" or "+": what befalls the rest, along redirects; "" if nothing says so
	ObsoleteType bool    `json:"obsolete_type"` // there is a record of the type SPF too
	Tree         SPFNode `json:"tree"`
}

// SPFNode is the record of one name.
type SPFNode struct {
	Domain   string    `json:"domain"`
	By       string    `json:"by"` // the term that led here; "" for the first
	State    State     `json:"state"`
	Reason   string    `json:"reason"` // why there is no usable record
	Record   string    `json:"record"`
	Records  []string  `json:"records"` // with "several" all of them, at most 10
	Lookups  int       `json:"lookups"` // with all below
	Voids    int       `json:"void_lookups"`
	Terms    []SPFTerm `json:"terms"`
	Includes []SPFNode `json:"includes"` // and redirects, in the order of their terms
}

// SPFTerm is one term.
type SPFTerm struct {
	Text      string   `json:"text"`
	Lookups   int      `json:"lookups"`   // with all below
	Reached   bool     `json:"reached"`   // false: "all" overrules it
	Void      bool     `json:"void"`      // its lookup found nothing
	Addresses []string `json:"addresses"` // of a, and of the hosts of mx, in records of the same organization; at most 20
	Problem   string   `json:"problem"`   // why it cannot be read
}

func (a *auditor) auditSPF(ctx context.Context) {
	tree := &spfTree{auditor: a}
	root := tree.read(ctx, a.domain, nil)
	s := &a.report.SPF
	*s = SPF{State: root.state, Record: visible(root.text), Length: len(root.text), Lookups: root.lookups, LookupLimit: lookupLimit,
		Voids: root.voids, VoidLimit: voidLimit, Tree: root.node()}
	if root.state == Several {
		s.Record = visible(root.texts[0])
	}
	all, _ := root.end()
	if all != nil {
		s.All = string(all.Qualifier)
	}
	s.AnswerSize = answerSize(a.domain, a.ask(ctx, a.domain, dns.TXT).TXT)
	old := a.ask(ctx, a.domain, dns.SPF)
	s.ObsoleteType = stateOf(old) == Found
	root.each(func(r *spfRecord) { a.judgeSPF(ctx, r) })
	a.judgeRoot(ctx, root)
	a.judgeSizes()
	if a.clean("spf") && root.state == Found {
		a.add(SPFOK, a.domain, fmt.Sprintf("SPF uses %d of %d lookups and %s.", root.lookups, lookupLimit, endWords(s.All)))
	}
}

func endWords(all string) string {
	switch all {
	case "-":
		return "ends in -all: all others fail"
	case "~":
		return "ends in ~all: all others are suspect"
	}
	return "ends where its redirect does"
}

// answerSize: RFC 1035 section 4.1, with compressed names.
func answerSize(name string, texts []string) int {
	const header, question, record = 12, 2 + 2 + 2, 2 + 2 + 2 + 4 + 2
	size := header + question + len(name)
	for _, t := range texts {
		size += record + len(t) + max(1, (len(t)+254)/255)
	}
	return size
}

func (a *auditor) judgeSizes() {
	s := a.report.SPF
	// RFC 7208 section 3.4: 450 bytes leave room for the rest of 512.
	const most, udp = 450, 1232
	if s.Length > most {
		a.add(SPFLength, a.domain, fmt.Sprintf("The SPF record has %d bytes; below %d it fits into any DNS answer: move a part of it into a record that it includes.", s.Length, most))
	}
	if s.AnswerSize > udp {
		a.add(SPFAnswerSize, a.domain, fmt.Sprintf("All TXT records of the name make an answer of about %d bytes, above %d it has to be asked for again by TCP: remove those that are of no use any more.",
			s.AnswerSize, udp))
	}
	if s.ObsoleteType {
		// RFC 7208 section 3.1.
		a.add(SPFType, a.domain, "There is a record of the DNS type SPF, which nobody reads any more: remove it, the TXT record is the one that counts.")
	}
}

// node writes the tree for the report.
func (r *spfRecord) node() SPFNode {
	n := SPFNode{Domain: visible(r.domain), State: r.state, Reason: r.reason, Record: visible(r.text), Lookups: r.lookups, Voids: r.voids,
		Records: []string{}, Terms: []SPFTerm{}, Includes: []SPFNode{}}
	if r.state == Several {
		for _, text := range r.texts[:min(len(r.texts), maxSeveral)] {
			n.Records = append(n.Records, visible(text))
		}
	}
	if r.parent != nil {
		n.By = visible(r.parent.Text)
	}
	for _, m := range r.terms {
		t := SPFTerm{Text: visible(m.Text), Lookups: m.lookups, Reached: m.reached, Void: m.void, Addresses: []string{}}
		if m.Err != nil {
			t.Problem = m.Err.Error()
		}
		for _, addr := range m.addrs[:min(len(m.addrs), maxAddresses)] {
			t.Addresses = append(t.Addresses, addr.String())
		}
		n.Terms = append(n.Terms, t)
		if m.child != nil {
			n.Includes = append(n.Includes, m.child.node())
		}
	}
	return n
}

// judgeRoot judges the record as a whole.
func (a *auditor) judgeRoot(ctx context.Context, root *spfRecord) {
	switch root.state {
	case Failed:
		a.add(SPFUnanswered, a.domain, fmt.Sprintf("The DNS did not answer for the TXT records (%s): mail is put off or unchecked while that lasts.", root.reason))
		return
	case Missing:
		a.missingSPF(ctx, root)
		return
	case Several:
		return // judgeSeveral has said it
	}
	for _, stray := range root.texts {
		a.add(SPFStray, a.domain, fmt.Sprintf("The text %s looks like an SPF record but is none: remove it.", quoted(stray)))
	}
	if len(root.terms) == 0 && root.state == Malformed {
		a.add(SPFSyntax, a.domain, fmt.Sprintf("The SPF record has %s, so receivers cannot use it.", root.reason))
		return
	}
	if a.mute && root.allows() {
		a.add(SPFSilent, a.domain, "The domain takes no mail and so should send none (RFC 7505 section 4.2), but its SPF record does not say that all must fail: if a server does send for it, publish an MX that takes the answers first, and keep the server named.", txt(a.domain, "v=spf1 -all"))
	}
	a.judgeLimits(ctx, root)
}

// allows: the record may give another result than fail.
func (r *spfRecord) allows() bool {
	all, _ := r.end()
	if all == nil || all.Qualifier != '-' {
		return true
	}
	for _, m := range r.terms {
		switch {
		case !m.reached || m.Qualifier == '-':
		case m.Name == "redirect" && m.child != nil:
			return m.child.allows()
		case m.Qualifier != 0:
			return true
		}
	}
	return false
}

func (a *auditor) missingSPF(ctx context.Context, root *spfRecord) {
	if len(root.texts) > 0 {
		records, hint := a.rewrite(ctx, root, repairedSPF(root.texts[0]))
		a.add(SPFNotARecord, a.domain, fmt.Sprintf("The text %s is not taken for an SPF record, which begins with \"v=spf1 \" exactly so.", quoted(root.texts[0]))+hint, records...)
		return
	}
	servers := a.servers()
	switch {
	case a.mute:
		a.add(SPFMissing, a.domain, "There is no SPF record; for a domain without mail one that lets nobody send is right.", txt(a.domain, "v=spf1 -all"))
	case servers != "":
		a.add(SPFMissing, a.domain, "There is no SPF record, so receivers cannot tell who may send for the domain: publish this one and add every other server that does.",
			txt(a.domain, "v=spf1 "+servers+" ~all"))
	default:
		a.add(SPFMissing, a.domain, "There is no SPF record, so receivers cannot tell who may send for the domain."+openHint("v=spf1 "+openTerm+" ~all"))
	}
}

// judgeLimits: RFC 7208 section 4.6.4.
func (a *auditor) judgeLimits(ctx context.Context, root *spfRecord) {
	records, hint, where := []Record(nil), "", ""
	if root.rewritten {
		where = " of what was found, made one record,"
	}
	if root.lookups > lookupLimit || root.voids > voidLimit {
		records, hint = a.cure(ctx, root)
	}
	switch n := root.lookups; {
	case n > lookupLimit:
		a.add(SPFLookups, a.domain, fmt.Sprintf("%d terms%s need the DNS and only %d may, so receivers cannot use the record%s; remove services that no longer send for you.",
			n, where, lookupLimit, costliest(root))+hint, records...)
	case n >= lookupLimit-1:
		a.add(SPFLookupsNear, a.domain, fmt.Sprintf("%d of the %d terms that may need the DNS are used%s: one more in a record of others breaks yours.", n, lookupLimit, costliest(root)))
	}
	if root.voids > voidLimit {
		a.add(SPFVoids, a.domain, fmt.Sprintf("%d lookups find nothing and only %d may, so many receivers cannot use the record: remove the terms that lead to nothing.", root.voids, voidLimit)+hint,
			records...)
	}
}

// costliest names the terms that need most.
func costliest(root *spfRecord) string {
	var words []string
	for _, m := range root.terms {
		if m.lookups > 1 && len(words) < 4 {
			words = append(words, fmt.Sprintf("%s needs %d", quoted(m.Text), m.lookups))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// works: the record can be used. One that has too many terms itself is not followed.
func (a *auditor) works(ctx context.Context, domain, data string) bool {
	terms, err := spf.Terms(data)
	lookups := 0
	for _, m := range terms {
		lookups += m.Lookups()
	}
	if err != nil || lookups > lookupLimit {
		return false
	}
	tree := &spfTree{auditor: a}
	r := &spfRecord{domain: domain, main: true, own: true}
	tree.parse(ctx, r, data)
	good := r.lookups <= lookupLimit && r.voids <= voidLimit
	r.each(func(r *spfRecord) { good = good && (r.state == Found || r.state == Unread || r.state == Failed) })
	return good
}
