package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// explanation tells people what was decided and why.
type explanation struct {
	second []dkim.Opinion // of another verifier, by signature from the top
	notes  []string
	trace  bool // the whole conversation with the DNS
}

// print quotes all that comes from the wire.
func (x explanation) print(out io.Writer, m *mail.Message, v filter.Verdict) error {
	t := table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	view := filter.NewView(m, v)
	t.verdict(view)
	t.author(view)
	t.relay(view)
	if v.Results.Checked {
		t.spf(view)
		t.dkim(view)
		t.second(view, x.second)
		t.dmarc(view)
	} else {
		t.rows("Checks", []string{"none", "this verdict needs neither SPF nor DKIM nor DMARC"})
	}
	t.notes(x.notes)
	t.header(view)
	t.dns(view, v.Results.DNS)
	if x.trace {
		t.trace(v.Results.DNS)
	}
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
	if s := ruleWords(v.Verdict); s != "" {
		fmt.Fprintf(t.w, "\t%s\n", s)
	}
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

// ruleWords tell which key decides such mail, and whose.
func ruleWords(v filter.VerdictView) string {
	words, tenants := "", strings.Join(v.Tenants, ", ")
	if v.Setting != "" {
		words = "set by " + v.Setting
	} else if tenants != "" {
		words = "by the rules"
	}
	if tenants != "" {
		words += " of tenant " + tenants
	}
	return words
}

// relay tells whom SPF and the reverse name are about behind a trusted relay.
func (t table) relay(v filter.View) {
	switch r := v.Relay; {
	case r.Behind == "":
	case r.Reason != "":
		t.rows("Relay", []string{r.Behind, "its client cannot be told", r.Reason})
	default:
		t.rows("Relay", []string{r.Behind, "its client", r.ClientIP, fmt.Sprintf("%q", r.Helo)})
	}
}

func (t table) author(v filter.View) {
	t.rows("Author", []string{v.Author.Status, strings.Join(v.Author.Domains, " "), v.Author.Reason})
	for _, c := range v.Claims {
		t.rows("Protected", []string{c.Domain, orNone(c.Proof), "of " + c.Protected + customerWords(c.Customer), c.Entry})
	}
	if v.Verdict.Listing.List != "" {
		t.rows("List", []string{v.Verdict.Listing.List, v.Verdict.Listing.Entry, v.Verdict.Listing.Expires, fmt.Sprintf("%q", v.Verdict.Listing.Note)})
	}
	for _, d := range v.Defects {
		t.rows("Defect", []string{d})
	}
	if v.IPRev.Result != "none" {
		t.rows("Reverse", []string{v.IPRev.Result, v.IPRev.Name, v.IPRev.Reason})
	}
}

// orNone is a proof's word.
func orNone(proof string) string {
	if proof == "" {
		return "no proof"
	}
	return proof
}

func customerWords(customer string) string {
	if customer == "" {
		return ""
	}
	return fmt.Sprintf(" (customer %q)", customer)
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

// second speaks up only where another verifier comes to another result.
func (t table) second(v filter.View, second []dkim.Opinion) {
	for i, o := range second {
		if i < len(v.DKIM) && (o.Word == dkim.Pass) != (v.DKIM[i].Result == string(dkim.Pass)) {
			t.rows("", []string{string(o.Word), v.DKIM[i].Domain, fmt.Sprintf("says another verifier (go-msgauth): %q", o.Reason)})
		}
	}
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

// notes stand one in a line.
func (t table) notes(all []string) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(t.w)
	for i, n := range all {
		heading := ""
		if i == 0 {
			heading = "Notes"
		}
		t.rows(heading, []string{n})
	}
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
		t.rows("", []string{e.Purpose, string(e.Question.Type), fmt.Sprintf("%q", e.Question.Name), string(e.Answer.Outcome), answerWords(e.Answer)})
	}
}

// trace tells of each exchange who answered, when, and for how long it holds.
func (t table) trace(exchanges []dns.Exchange) {
	if len(exchanges) == 0 {
		return
	}
	begin := exchanges[0].Start
	for _, e := range exchanges {
		if e.Start.Before(begin) {
			begin = e.Start
		}
	}
	fmt.Fprintf(t.w, "\nTrace\tAT\tTOOK\tSERVER\tTTL\tQUESTION\tANSWER\n")
	for _, e := range exchanges {
		a := e.Answer
		words := string(a.Outcome) + " " + answerWords(a)
		if a.Err != nil {
			words += fmt.Sprintf(" %q", a.Err)
		}
		t.rows("", []string{
			fmt.Sprintf("%.1f ms", ms(e.Start.Sub(begin))), fmt.Sprintf("%.1f ms", ms(e.Took)), server(a), a.TTL.String(), e.Question.String(), words})
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func server(a dns.Answer) string {
	s := a.Server
	switch {
	case a.Stale != "":
		s += " (stale: " + string(a.Stale) + ")"
	case a.Cached:
		s += " (cache)"
	}
	if a.Secure {
		s += " (signed)"
	}
	return s
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
