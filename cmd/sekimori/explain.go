package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// printVerdict tells people what was decided and why. All that comes from the
// wire is quoted.
func printVerdict(out io.Writer, m *mail.Message, v filter.Verdict) error {
	t := table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	view := filter.NewView(m, v)
	t.verdict(view)
	t.author(view)
	t.spf(view)
	t.dkim(view)
	t.dmarc(view)
	t.header(view)
	t.dns(view, v.Results.DNS)
	return t.w.Flush()
}

// table prints rows under a heading that stands only on the first.
type table struct {
	w *tabwriter.Writer
}

func (t table) rows(heading string, rows ...[]string) {
	for i, r := range rows {
		if i > 0 {
			heading = ""
		}
		fmt.Fprintf(t.w, "%s\t%s\n", heading, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
}

func (t table) verdict(v filter.View) {
	word := v.Verdict.Action
	if v.Verdict.Shadow {
		word = "accept (shadow mode: would " + word + ")"
	}
	fmt.Fprintf(t.w, "Verdict\t%s: %s\n\t%s\n", word, v.Verdict.Reason, v.Verdict.Explanation)
	if r := v.Verdict.Reply; r.Text != "" {
		for i, line := range strings.Split(r.Text, "\n") {
			heading := ""
			if i == 0 {
				heading = "Reply"
			}
			fmt.Fprintf(t.w, "%s\t%d %s %s\n", heading, r.Code, r.Enhanced, line)
		}
	}
	fmt.Fprintln(t.w)
}

func (t table) author(v filter.View) {
	t.rows("Author", []string{v.Author.Status, strings.Join(v.Author.Domains, " "), v.Author.Reason})
	for _, d := range v.Defects {
		t.rows("Defect", []string{d})
	}
	if v.IPRev.Result != "none" {
		t.rows("Reverse", []string{v.IPRev.Result, v.IPRev.Name, v.IPRev.Reason})
	}
}

func (t table) spf(v filter.View) {
	row := func(name string, s filter.SPFIdentityView) []string {
		return []string{name, s.Result, s.Domain, s.Mechanism + s.Reason}
	}
	t.rows("SPF", row("mailfrom", v.SPF.MailFrom), row("helo", v.SPF.Helo))
}

func (t table) dkim(v filter.View) {
	rows := [][]string{}
	for _, d := range v.DKIM {
		rows = append(rows, []string{d.Result, d.Domain, d.Selector + " " + d.Algorithm + " " + bits(d.KeyBits) + alignment(d.Aligned), d.Reason})
	}
	if len(rows) == 0 {
		rows = append(rows, []string{"none", "the message has no signature"})
	}
	t.rows("DKIM", rows...)
}

func bits(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d bits ", n)
}

func alignment(aligned bool) string {
	if aligned {
		return "aligned"
	}
	return "not aligned"
}

func (t table) dmarc(v filter.View) {
	d := v.DMARC
	rows := [][]string{{d.Result, d.AuthorDomain, d.Reason}}
	if d.Record != "" {
		rows = append(rows,
			[]string{"policy", d.EffectivePolicy, "published at " + d.PolicyDomain + ", organizational domain " + d.OrganizationalDomain},
			[]string{"record", d.Record})
	}
	t.rows("DMARC", rows...)
}

func (t table) header(v filter.View) {
	fmt.Fprintln(t.w)
	for _, f := range v.Edit.Drop {
		t.rows("Drops", []string{fmt.Sprintf("%q", f)})
	}
	for i, f := range v.Edit.Prepend {
		heading := ""
		if i == 0 {
			heading = "Adds"
		}
		t.rows(heading, []string{f})
	}
}

func (t table) dns(v filter.View, exchanges []dns.Exchange) {
	fmt.Fprintf(t.w, "\nDNS\t%d questions, %.3f s\n", v.DNS.Queries, v.DNS.Seconds)
	for _, e := range exchanges {
		t.rows("", []string{string(e.Question.Type), fmt.Sprintf("%q", e.Question.Name), string(e.Answer.Outcome), answerWords(e.Answer)})
	}
}

func answerWords(a dns.Answer) string {
	var words []string
	for _, s := range a.TXT {
		words = append(words, fmt.Sprintf("%q", s))
	}
	for _, s := range a.Addrs {
		words = append(words, s.String())
	}
	for _, s := range a.MX {
		words = append(words, fmt.Sprintf("%d %q", s.Preference, s.Host))
	}
	for _, s := range a.Names {
		words = append(words, fmt.Sprintf("%q", s))
	}
	return strings.Join(words, " ")
}
