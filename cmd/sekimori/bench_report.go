package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// benchReport is what a load showed; times are seconds.
type benchReport struct {
	Target        string         `json:"target"` // "" is a proxy in this process
	Mail          string         `json:"mail"`
	Concurrency   int            `json:"concurrency"`
	PerConnection int            `json:"per_connection"`
	TLS           bool           `json:"tls"`
	Seconds       float64        `json:"seconds"`
	Connections   int            `json:"connections"`
	Messages      int            `json:"messages"`
	Accepted      int            `json:"accepted"`
	Bytes         int64          `json:"bytes"` // of what was accepted
	PerSecond     float64        `json:"messages_per_second"`
	BytesRate     float64        `json:"bytes_per_second"`
	Phases        []phaseReport  `json:"phases"`
	Replies       []replyCount   `json:"replies"`
	Verdicts      map[string]int `json:"verdicts,omitempty"` // "action: reason", of a proxy in this process
	Sink          *sinkReport    `json:"sink,omitempty"`
	Process       *processReport `json:"process,omitempty"`
}

type phaseReport struct {
	Phase string  `json:"phase"`
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_seconds"`
	P90   float64 `json:"p90_seconds"`
	P99   float64 `json:"p99_seconds"`
	Max   float64 `json:"max_seconds"`
}

// sinkReport is what the MTA behind the proxy holds.
type sinkReport struct {
	Messages int64 `json:"messages"`
}

type processReport struct {
	Begin   usage   `json:"begin"`
	Peak    usage   `json:"peak"`
	End     usage   `json:"end"`
	CPU     float64 `json:"cpu_seconds"`
	CPUEach float64 `json:"cpu_seconds_per_1000_messages"`
}

func newProcessReport(begin, peak, end usage, cpu time.Duration, messages int) *processReport {
	p := &processReport{Begin: begin, Peak: peak.max(begin), End: end, CPU: cpu.Seconds()}
	if messages > 0 {
		p.CPUEach = cpu.Seconds() * 1000 / float64(messages)
	}
	return p
}

func (f *benchFlags) report(l *load, mail *benchMail, took time.Duration) *benchReport {
	t := l.tally
	r := &benchReport{
		Target: f.target, Mail: mail.words, Concurrency: f.concurrency, PerConnection: f.perConnection, TLS: f.tls,
		Seconds: took.Seconds(), Connections: t.connections, Messages: t.messages, Accepted: t.accepted, Bytes: t.bytes,
		PerSecond: float64(t.accepted) / took.Seconds(),
		BytesRate: float64(t.bytes) / took.Seconds(),
		Replies:   []replyCount{},
	}
	for _, p := range benchPhases() {
		h := t.phases[p]
		r.Phases = append(r.Phases, phaseReport{p, h.total, h.quantile(.5).Seconds(), h.quantile(.9).Seconds(), h.quantile(.99).Seconds(), h.longest.Seconds()})
	}
	for _, c := range t.replies {
		r.Replies = append(r.Replies, *c)
	}
	slices.SortFunc(r.Replies, func(a, b replyCount) int { return strings.Compare(a.Code, b.Code) })
	return r
}

// verdict is what was wrong, nil if nothing.
func (r *benchReport) verdict() error {
	var all []string
	if r.Accepted == 0 {
		all = append(all, "no message was accepted")
	}
	// A message whose reply was lost may or may not be there.
	if s := r.Sink; s != nil && (s.Messages < int64(r.Accepted) || s.Messages > int64(r.Accepted+r.lost())) {
		all = append(all, fmt.Sprintf("the MTA holds %d messages, but %d were accepted", s.Messages, r.Accepted))
	}
	if p := r.Process; p != nil {
		all = append(all, p.End.beyond(p.Begin)...)
	}
	if len(all) == 0 {
		return nil
	}
	return errors.New(strings.Join(all, "; "))
}

func (r *benchReport) lost() int {
	for _, c := range r.Replies {
		if c.Code == codeLost {
			return c.Messages
		}
	}
	return 0
}

func (r *benchReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	r.head(w)
	fmt.Fprintln(w, "\nPHASE\tCOUNT\tP50\tP90\tP99\tMAX")
	for _, p := range r.Phases {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", p.Phase, p.Count, millis(p.P50), millis(p.P90), millis(p.P99), millis(p.Max))
	}
	fmt.Fprintln(w, "\nREPLY\tMESSAGES\tTHE FIRST")
	for _, c := range r.Replies {
		fmt.Fprintf(w, "%s\t%d\t%s\n", c.Code, c.Messages, short(c.Example, 60))
	}
	if r.Process != nil {
		fmt.Fprintln(w, "\nVERDICT\tMESSAGES")
		for _, v := range slices.Sorted(maps.Keys(r.Verdicts)) {
			fmt.Fprintf(w, "%s\t%d\n", v, r.Verdicts[v])
		}
		r.Process.print(w)
	}
	return w.Flush()
}

func (r *benchReport) head(w io.Writer) {
	target, tls := r.Target, ""
	if target == "" {
		target = "a proxy in this process, before an MTA that keeps nothing"
	}
	if r.TLS {
		tls = ", TLS"
	}
	fmt.Fprintf(w, "Target\t%s\n", target)
	fmt.Fprintf(w, "Load\t%s; connections at once: %d, messages per connection: %d%s\n", r.Mail, r.Concurrency, r.PerConnection, tls)
	fmt.Fprintf(w, "Sent\t%d messages in %.2f s over %d connections\n", r.Messages, r.Seconds, r.Connections)
	fmt.Fprintf(w, "Accepted\t%d messages: %.1f a second, %s a second\n", r.Accepted, r.PerSecond, octets(int64(r.BytesRate)))
	if r.Sink != nil {
		fmt.Fprintf(w, "The MTA got\t%d messages\n", r.Sink.Messages)
	}
}

func (p *processReport) print(w io.Writer) {
	fmt.Fprintln(w, "\nPROCESS\tBEGIN\tPEAK\tEND\tMAY END AT")
	if p.Begin.RSS > 0 {
		fmt.Fprintf(w, "memory\t%s\t%s\t%s\t%s\n", octets(p.Begin.RSS), octets(p.Peak.RSS), octets(p.End.RSS), octets(p.Begin.limitRSS()))
	}
	fmt.Fprintf(w, "goroutines\t%d\t%d\t%d\t%d\n", p.Begin.Goroutines, p.Peak.Goroutines, p.End.Goroutines, p.Begin.Goroutines)
	if p.Begin.Files > 0 {
		fmt.Fprintf(w, "files\t%d\t%d\t%d\t%d\n", p.Begin.Files, p.Peak.Files, p.End.Files, p.Begin.Files)
	}
	if p.CPU > 0 {
		fmt.Fprintf(w, "CPU\t%.2f s: %.2f s for 1,000 messages, proxy, sender and MTA together\n", p.CPU, p.CPUEach)
	}
}

func millis(seconds float64) string { return fmt.Sprintf("%.2f ms", seconds*1000) }

// octets is a number of bytes for people.
func octets(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// printable is a server's first line without what could play with a terminal.
func printable(reply string) string {
	line, _, _ := strings.Cut(reply, "\n")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, line)
}
