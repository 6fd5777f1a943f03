package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"sekimori/filter/audit"
)

// auditPage writes an audit for people. What comes from the DNS is quoted.
type auditPage struct {
	bytes.Buffer
	domain    string
	published map[string]bool // what was written already
}

func printAudit(out io.Writer, r audit.Report) error {
	p := &auditPage{domain: r.Domain, published: map[string]bool{}}
	p.line(0, "%s: %s (%d DNS questions)", r.Domain, r.Rank, r.DNS.Asked)
	for _, f := range r.Findings {
		p.finding(f)
	}
	p.spf(r.SPF)
	p.dkim(r.DKIM)
	p.dmarc(r.DMARC)
	p.mx(r.MX)
	_, err := p.WriteTo(out)
	return err
}

func (p *auditPage) line(indent int, format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	fmt.Fprintf(p, "%*s%s\n", indent, "", strings.TrimRight(s, " "))
}

func (p *auditPage) heading(name, format string, args ...any) {
	p.WriteByte('\n')
	p.line(0, "%-6s "+format, append([]any{name}, args...)...)
}

func (p *auditPage) finding(f audit.Finding) {
	text := f.Text
	if f.Area == "spf" && f.Name != p.domain && !strings.Contains(text, f.Name) {
		text = f.Name + ": " + text
	}
	p.line(0, "")
	p.line(0, "%-6s %-5s %s", strings.ToUpper(string(f.Rank)), f.Area, wrap(text, 13))
	var lines []string
	for _, r := range f.Publish {
		lines = append(lines, masterLine(r))
	}
	switch all := strings.Join(lines, "\n"); {
	case all == "":
	case p.published[all]:
		p.line(13, "publish: the same as above")
	default:
		p.published[all] = true
		p.line(13, "publish:")
		for _, l := range lines {
			p.line(13, "%s", l)
		}
	}
}

// wrap breaks a text into lines that start at an indent.
func wrap(text string, indent int) string {
	const width = 84
	var b strings.Builder
	n := 0
	for i, word := range strings.Split(text, " ") {
		switch {
		case i == 0:
		case n+1+len(word) > width:
			fmt.Fprintf(&b, "\n%*s", indent, "")
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(word)
		n += len(word)
	}
	return b.String()
}

// masterLine writes a record as it stands in a master file (RFC 1035 section
// 5.1), a text in strings of at most 255 bytes.
func masterLine(r audit.Record) string {
	data := r.Data
	if r.Type == "TXT" {
		var words []string
		for rest := data; len(words) == 0 || rest != ""; {
			n := min(len(rest), 255)
			words = append(words, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rest[:n])+`"`)
			rest = rest[n:]
		}
		data = strings.Join(words, " ")
	}
	return fmt.Sprintf("%s. %s %s", r.Name, r.Type, data)
}

func (p *auditPage) spf(s audit.SPF) {
	p.heading("SPF", "%s, %d of %d lookups, %d of %d void", s.State, s.Lookups, s.LookupLimit, s.Voids, s.VoidLimit)
	p.spfNode(s.Tree, 7)
}

// spfNode writes a term a line where it needs the DNS, the others together, and
// below each include what it includes.
func (p *auditPage) spfNode(n audit.SPFNode, indent int) {
	p.line(indent, "%q %s %s", n.Domain, n.State, n.Reason)
	indent += 2
	for _, text := range n.Records {
		p.line(indent, "%q", text)
	}
	var plain []string
	flush := func() {
		if len(plain) > 0 {
			p.line(indent, "%s", strings.Join(plain, " "))
			plain = nil
		}
	}
	children := n.Includes
	for _, t := range n.Terms {
		if len(children) > 0 && children[0].By == t.Text && t.Reached {
			flush()
			p.line(indent, "%q %s", t.Text, lookupWords(t))
			p.spfNode(children[0], indent+2)
			children = children[1:]
			continue
		}
		if t.Lookups > 0 || t.Problem != "" || !t.Reached {
			flush()
			p.line(indent, "%q %s", t.Text, lookupWords(t))
			continue
		}
		if plain = append(plain, fmt.Sprintf("%q", t.Text)); len(plain) == 4 {
			flush()
		}
	}
	flush()
}

func lookupWords(t audit.SPFTerm) string {
	var words []string
	switch {
	case t.Problem != "":
		words = append(words, "is "+t.Problem)
	case !t.Reached:
		words = append(words, "has no effect")
	case t.Lookups == 1:
		words = append(words, "1 lookup")
	case t.Lookups > 1:
		words = append(words, fmt.Sprintf("%d lookups", t.Lookups))
	}
	if t.Void {
		words = append(words, "finds nothing")
	}
	return strings.Join(append(words, t.Addresses...), " ")
}

func (p *auditPage) dkim(d audit.DKIM) {
	p.heading("DKIM", "%s", wrap("tried "+strings.Join(d.Selectors, " "), 7))
	for _, k := range d.Keys {
		var words []string
		if k.Bits > 0 {
			words = append(words, fmt.Sprintf("%s %d bits", k.Type, k.Bits))
		}
		for _, w := range []struct {
			on   bool
			word string
		}{{k.Revoked, "revoked"}, {k.Testing, "t=y"}, {k.Strict, "t=s"}, {!k.Revoked && k.Reason != "", k.Reason}} {
			if w.on {
				words = append(words, w.word)
			}
		}
		p.line(7, "%s %s %s", k.Selector, k.State, strings.Join(words, ", "))
		if k.Record != "" {
			p.line(9, "%q", k.Record)
		}
	}
}

func (p *auditPage) dmarc(d audit.DMARC) {
	p.heading("DMARC", "%s", wrap(policyWords(d), 7))
	for _, s := range d.Walk {
		p.line(7, "%s %s %s", s.Name, s.State, s.Reason)
		if s.Record != "" {
			p.line(9, "%q", s.Record)
		}
	}
	for _, r := range d.Reports {
		p.line(7, "%s %q: %s", r.Tag, r.URI, destinationWords(r))
	}
	for _, n := range d.Notes {
		p.line(7, "note: %s", n)
	}
}

func policyWords(d audit.DMARC) string {
	if d.State != audit.Found {
		return string(d.State)
	}
	words := fmt.Sprintf("%s in force (published: %s), from %s; organizational domain %s; names below: %s, those that do not exist: %s",
		d.EffectivePolicy, d.Policy, d.PolicyDomain, d.OrganizationalDomain, d.SubdomainPolicy, d.NonexistentPolicy)
	if d.Testing {
		words += "; t=y"
	}
	return words
}

func destinationWords(r audit.Destination) string {
	words := "takes mail"
	switch r.Mail {
	case audit.Missing:
		words = "takes no mail"
	case audit.Failed, audit.Unread:
		words = "not known whether it takes mail"
	}
	switch {
	case !r.External:
	case r.Authorized == audit.Found:
		words += ", agrees at " + r.Name
	case r.Authorized == audit.Missing:
		words += ", does not agree at " + r.Name
	default:
		words += ", not known whether it agrees at " + r.Name
	}
	if r.Reason != "" {
		words += " (" + r.Reason + ")"
	}
	return words
}

func (p *auditPage) mx(m audit.MX) {
	state := string(m.State)
	if m.Null {
		state = "null MX"
	}
	p.heading("MX", "%s", state)
	for _, h := range m.Hosts {
		alias := ""
		if h.Alias != "" {
			alias = fmt.Sprintf("CNAME of %q ", h.Alias)
		}
		p.line(7, "%d %q %s %s%s", h.Preference, h.Host, h.State, alias, strings.Join(h.Addresses, " "))
	}
}
