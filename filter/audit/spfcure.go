package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sekimori/filter/spf"
)

// openTerm keeps a place that only the owner can fill. It can be read by nobody, so
// that it is not published as it stands.
const openTerm = "ip4:YOUR-SERVER"

// Bounds for names with several records.
const (
	maxSeveral = 10 // texts of one name that are shown
	maxRewrite = 10 // texts of one audit that are read as if they were records
)

// cure is what to publish in place of a record.
type cure struct {
	records []Record
	hint    string // what the owner has to do besides, a sentence after a space
}

// cure finds the one record that cures all of a record's problems: its terms are
// judged already.
func (a *auditor) cure(ctx context.Context, r *spfRecord) ([]Record, string) {
	if r.cured == nil {
		r.cured = a.findCure(ctx, r)
	}
	return r.cured.records, r.cured.hint
}

func (a *auditor) findCure(ctx context.Context, r *spfRecord) *cure {
	if r.parent == nil && a.mute {
		return &cure{records: []Record{txt(a.domain, "v=spf1 -all")}}
	}
	servers := ""
	if r.parent == nil {
		servers = a.servers()
	}
	for _, flat := range []bool{false, true} {
		data, guessed := r.proposal(flat, servers)
		switch {
		case slices.Contains(strings.Fields(data), openTerm):
			return &cure{hint: openHint(data)}
		case data == strings.Join(strings.Fields(r.text), " ") && !r.rewritten:
		case a.works(ctx, r.domain, data):
			c := &cure{records: []Record{txt(r.domain, data)}}
			if guessed {
				c.hint = " Add every other server that sends for the domain."
			}
			return c
		}
	}
	return &cure{}
}

// servers is the term for the servers that are known to be the domain's; "" if none is.
func (a *auditor) servers() string {
	m := a.report.MX
	switch {
	case slices.ContainsFunc(m.Hosts, func(h MXHost) bool { return h.State == Found }):
		return "mx"
	case slices.ContainsFunc(a.report.Findings, func(f Finding) bool { return f.Code == MXImplicit }):
		return "a"
	}
	return ""
}

// openHint tells to fill the open place of a record.
func openHint(data string) string {
	const most = 300 // bytes that can be read in a sentence
	if len(data) > most || !isPrintable(data) || strings.ContainsAny(data, `\"`) {
		return " Find out which of your servers it was to name, and name them by ip4, ip6, a or mx in its place."
	}
	return fmt.Sprintf(" Find out which servers send for the domain and publish \"%s\" with their addresses in place of YOUR-SERVER.", data)
}

// proposal is the record with the terms' fixes. flat: addresses stand in place of
// the names of a and mx. Whoever may have been let in by what is gone is not
// turned away: the end is ~all then. A record that meant some and would name
// nobody names servers, which is guessed, or has openTerm.
func (r *spfRecord) proposal(flat bool, servers string) (data string, guessed bool) {
	words := []string{spfVersion}
	end, redirect, loses := "", "", false
	for _, m := range r.terms {
		word := cmp.Or(m.fix, m.Text)
		loses = loses || m.loses
		switch {
		case m.drop:
		case isAll(word):
			end = word
		case isRedirect(word):
			redirect = word
		case flat && m.fix == "" && len(m.addresses()) > 0:
			words = append(words, m.addresses()...)
		default:
			words = append(words, word)
		}
	}
	// RFC 7208 section 5.1: "all" overrules redirect.
	end = cmp.Or(end, redirect)
	if !isRedirect(end) && !slices.ContainsFunc(words[1:], names) && r.meansSome() {
		guessed, loses = servers != "", true
		words = append(words, cmp.Or(servers, openTerm))
	}
	if r.main && (end == "" || isAll(end) && (loses || end[0] != '-' && end[0] != '~')) {
		end = "~all"
	}
	if end != "" {
		words = append(words, end)
	}
	return strings.Join(words, " "), guessed
}

// names: the term lets somebody send.
func names(term string) bool {
	if term == openTerm {
		return true
	}
	terms, err := spf.Terms(spfVersion + " " + term)
	return err == nil && slices.ContainsFunc(terms, func(m spf.Term) bool { return m.Err == nil && m.Qualifier == '+' })
}

// meansSome: the record is not one that lets nobody send on purpose.
func (r *spfRecord) meansSome() bool {
	end := false
	for _, m := range r.terms {
		switch {
		case m.Name == "all" && m.Err == nil:
			end = end || m.reached
			if m.reached && (m.Qualifier == '+' || m.Qualifier == '?') {
				return true
			}
		case m.Name == "exp" || m.Name == "v" || strings.EqualFold(m.Text, spfVersion):
		case m.Qualifier == '-' || strings.HasPrefix(m.Text, "-") || strings.HasPrefix(m.Text, "~") || strings.HasPrefix(m.Text, "?"):
		default:
			return true
		}
	}
	return !end && r.main
}

// judgeSeveral judges what several records of a name would be as one, so that
// nothing in them stays hidden.
func (a *auditor) judgeSeveral(ctx context.Context, r *spfRecord) {
	var shown []string
	for _, text := range r.texts[:min(len(r.texts), 2)] {
		shown = append(shown, quoted(text))
	}
	text := fmt.Sprintf("There are %d SPF records, so none of them counts: %s", len(r.texts), strings.Join(shown, " and "))
	if r.parent != nil {
		text = fmt.Sprintf("There are %d SPF records at %s, which %s leads to: %s", len(r.texts), visible(r.domain), quoted(r.parent.Text), strings.Join(shown, " and "))
	}
	if len(r.texts) > len(shown) {
		text += " and others"
	}
	records, hint := a.rewrite(ctx, r, merged(r.texts))
	switch {
	case len(records) > 0:
		text += ". Publish one in their place, with the terms of all that can be used and the mildest of their ends that keeps strangers out."
	case hint == "":
		text += ". Make one of them that has at most ten terms which need the DNS, and publish it in their place."
	default:
		text += "."
	}
	a.add(SPFSeveral, r.domain, text+hint, records...)
}

// rewrite judges a text as if it stood in place of a record, and finds what should.
func (a *auditor) rewrite(ctx context.Context, r *spfRecord, text string) ([]Record, string) {
	if a.reread++; text == "" || a.reread > maxRewrite {
		return nil, ""
	}
	tree := &spfTree{auditor: a}
	one := &spfRecord{domain: r.domain, parent: r.parent, own: true, main: r.main, rewritten: true}
	tree.parse(ctx, one, text)
	if len(one.terms) == 0 && one.state == Malformed {
		return nil, ""
	}
	one.each(func(r *spfRecord) { a.judgeSPF(ctx, r) })
	if one.parent == nil {
		a.judgeLimits(ctx, one)
	}
	return a.cure(ctx, one)
}

// merged makes one record of several: everything that one of them names, with
// the mildest end. It is "" if that cannot be: a term that turns some away would
// do so to those whom another record lets in.
func merged(texts []string) string {
	const milder = "-~?+"
	words, end := []string{spfVersion}, 0
	if len(texts) > maxSeveral {
		return ""
	}
	for _, text := range texts {
		terms, err := spf.Terms(text)
		if err != nil {
			return ""
		}
		all := slices.IndexFunc(terms, func(m spf.Term) bool { return m.Name == "all" && m.Err == nil })
		own := strings.IndexByte(milder, '~')
		if all >= 0 {
			own = strings.IndexByte(milder, terms[all].Qualifier)
			terms = slices.DeleteFunc(terms[:all], func(m spf.Term) bool { return m.Name == "redirect" })
		}
		end = max(end, own)
		for _, m := range terms {
			switch {
			case m.Name == "exp": // explains a failure by the words of one of them
				continue
			case m.Err == nil && m.Name == "redirect":
				m.Text = "include:" + m.Text[len("redirect="):]
			case m.Err == nil && (m.Qualifier == '-' || m.Qualifier == '~' || m.Qualifier == '?'):
				return ""
			}
			if !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, m.Text) }) {
				words = append(words, m.Text)
			}
		}
	}
	return strings.Join(append(words, milder[end:end+1]+"all"), " ")
}
