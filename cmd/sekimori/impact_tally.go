package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"sekimori/filter"
)

// impact counts what was let through in a time and would not be.
type impact struct {
	from, to       time.Time
	tenant, reason string // only these; "": all

	lines, strange          int // read; those that are no line of ours
	messages, judged, spare int // of the time; with a verdict; of them let through by shadow mode or a rollout
	rows                    map[impactKey]*impactRow
}

type impactKey struct {
	tenant, reason, action string
}

type impactRow struct {
	messages int
	papers   int // of them with an SPF pass or a DKIM pass of any domain
	domains  map[string]int
	others   int // messages of domains beyond maxImpactDomains
}

const (
	maxImpactLine    = 1 << 20 // bytes; ours have some thousand
	maxImpactDomains = 10_000  // named in a row
	nobodysTenant    = "-"
)

// impactLine is what is read of a line of the message log.
type impactLine struct {
	Time    time.Time `json:"@timestamp"`
	Dataset string    `json:"event.dataset"`
	Action  string    `json:"event.action"`
	Reason  string    `json:"event.reason"`
	Shadow  string    `json:"sekimori.shadow"`
	Tenants []string  `json:"sekimori.tenant"`
	Author  string    `json:"sekimori.author.domain"`
	SPF     string    `json:"sekimori.spf.mailfrom.result"`
	DKIM    []struct {
		Result string `json:"result"`
	} `json:"sekimori.dkim"`
}

// papers tells whether anybody at all answers for the message.
func (l *impactLine) papers() bool {
	for _, d := range l.DKIM {
		if d.Result == "pass" {
			return true
		}
	}
	return l.SPF == "pass"
}

// read takes one log. A line that is none of ours is counted and left out.
func (t *impact) read(name string, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxImpactLine)
	for lines.Scan() {
		t.lines++
		t.line(lines.Bytes())
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s: line %d is longer than 1 MiB: this is no message log", name, t.lines+1)
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

func (t *impact) line(b []byte) {
	begin := bytes.IndexByte(b, '{')
	var l impactLine
	if begin < 0 || json.Unmarshal(b[begin:], &l) != nil || l.Time.IsZero() {
		t.strange++
		return
	}
	if l.Dataset != "sekimori.message" || l.Time.Before(t.from) || l.Time.After(t.to) {
		return
	}
	t.messages++
	if l.Action == "" {
		return
	}
	t.judged++
	if l.Shadow == "" || t.reason != "" && l.Reason != t.reason {
		return
	}
	tenants := l.Tenants
	if len(tenants) == 0 {
		tenants = []string{nobodysTenant}
	}
	if t.tenant != "" && !slices.Contains(tenants, t.tenant) {
		return
	}
	t.spare++
	for _, one := range tenants {
		if t.tenant == "" || one == t.tenant {
			t.row(impactKey{one, l.Reason, l.Shadow}).add(&l)
		}
	}
}

func (t *impact) row(k impactKey) *impactRow {
	if t.rows[k] == nil {
		t.rows[k] = &impactRow{domains: map[string]int{}}
	}
	return t.rows[k]
}

func (r *impactRow) add(l *impactLine) {
	r.messages++
	if l.papers() {
		r.papers++
	}
	if _, known := r.domains[l.Author]; !known && len(r.domains) >= maxImpactDomains {
		r.others++
		return
	}
	r.domains[l.Author]++
}

// impactView is what --json prints, and what a table row is made of.
type impactView struct {
	From     time.Time       `json:"from"`
	To       time.Time       `json:"to"`
	Messages int             `json:"messages"`
	Judged   int             `json:"judged"`
	Changed  int             `json:"changed"`
	Unread   int             `json:"unreadable_lines"`
	Rows     []impactRowView `json:"rows"`
}

type impactRowView struct {
	Tenant   string         `json:"tenant"`
	Reason   string         `json:"reason"`
	Action   string         `json:"action"`
	Messages int            `json:"messages"`
	Papers   int            `json:"with_papers"`
	Domains  int            `json:"author_domains"`
	Others   int            `json:"messages_of_further_domains"` // beyond the first 10,000, whose names are not kept
	Top      []impactDomain `json:"top"`
}

type impactDomain struct {
	Domain   string `json:"domain"` // "" where From has none
	Messages int    `json:"messages"`
}

// view puts the most mail first.
func (t *impact) view(top int) impactView {
	v := impactView{From: t.from, To: t.to, Messages: t.messages, Judged: t.judged, Changed: t.spare, Unread: t.strange, Rows: []impactRowView{}}
	for k, r := range t.rows {
		v.Rows = append(v.Rows, impactRowView{k.tenant, k.reason, k.action, r.messages, r.papers, len(r.domains), r.others, r.most(top)})
	}
	slices.SortFunc(v.Rows, func(a, b impactRowView) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Action, b.Action))
	})
	return v
}

func (r *impactRow) most(top int) []impactDomain {
	all := make([]impactDomain, 0, len(r.domains))
	for d, n := range r.domains {
		all = append(all, impactDomain{d, n})
	}
	slices.SortFunc(all, func(a, b impactDomain) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Domain, b.Domain))
	})
	return all[:min(top, len(all))]
}

func (t *impact) printJSON(out io.Writer, top int) error {
	b, err := json.MarshalIndent(t.view(top), "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", b)
	return err
}

func (t *impact) print(out io.Writer, top int) error {
	v := t.view(top)
	const form = "2006-01-02 15:04"
	fmt.Fprintf(out, "From %s to %s: %d messages, %d of them judged.\n", v.From.Format(form), v.To.Format(form), v.Messages, v.Judged)
	if v.Unread > 0 {
		fmt.Fprintf(out, "%d lines were no line of ours.\n", v.Unread)
	}
	if len(v.Rows) == 0 {
		_, err := fmt.Fprintln(out, "Nothing would change: shadow mode and rollouts have let nothing through.")
		return err
	}
	fmt.Fprintf(out, "Enforced, %d messages (%s of those judged) would not have come through as they did:\n\n", v.Changed, share(v.Changed, v.Judged))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TENANT\tREASON\tWOULD BE\tMESSAGES\tSHARE\tWITH PAPERS\tAUTHOR DOMAINS")
	for _, r := range v.Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%d\t%s\n", word(r.Tenant), word(r.Reason), word(r.Action), r.Messages, share(r.Messages, v.Judged), r.Papers, r.names())
	}
	return w.Flush()
}

func (r impactRowView) names() string {
	var all []string
	for _, d := range r.Top {
		all = append(all, fmt.Sprintf("%s (%d)", word(cmp.Or(d.Domain, "none")), d.Messages))
	}
	if more := r.Domains - len(r.Top); more > 0 {
		all = append(all, fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

func share(part, all int) string {
	if all == 0 {
		return "0.0 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(part)/float64(all))
}

// word keeps whatever stands in a log from moving the terminal.
func word(s string) string {
	const longest = 80
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// reasons are all words that a verdict can have.
func reasons() []string {
	var all []string
	for _, r := range filter.Reasons() {
		all = append(all, string(r))
	}
	return all
}
