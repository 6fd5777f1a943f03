// Package audit looks at the mail records of a domain with the eyes of its
// owner: SPF (RFC 7208), DKIM keys (RFC 6376), DMARC (RFC 9989, 9990) and MX
// (RFC 5321, 7505). A name goes in, a Report comes out: what is published, what
// of it is broken, weak or could be better, and what to publish instead.
//
// Records are read by the same parsers that judge mail. Nothing is written, and
// nobody is asked but the DNS.
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
)

// Options change what is looked at. The zero value is the default.
type Options struct {
	// Selectors are the names of DKIM keys, as mail.ASCIIDomain; each must have
	// a key. None means DefaultSelectors, any of which may. Beyond MaxSelectors they are ignored.
	Selectors []string
	// Questions bounds the different DNS questions; 0 means 200.
	Questions int
	// DMARC is how the tree walk is read.
	DMARC dmarc.Options
}

// MaxSelectors bounds Options.Selectors.
const MaxSelectors = 50

// DefaultSelectors are the names that the makers of mail software and the
// large hosts give their keys.
func DefaultSelectors() []string {
	return []string{"default", "dkim", "mail", "email", "smtp", "selector1", "selector2", "google", "s1", "s2",
		"k1", "k2", "k3", "key1", "key2", "fm1", "fm2", "fm3", "mx", "protonmail"}
}

// Report is all that was found. It is also what `sekimori domain --json` prints: an
// interface for scripts, whose field names stay. Absent facts are "", [], 0 or
// false, never missing. Texts that come from the DNS are printable ASCII:
// other bytes, and the backslash, stand as \DDD; what is longer than 4096
// bytes ends in "...".
type Report struct {
	Domain   string    `json:"domain"`
	Rank     Rank      `json:"rank"`     // the worst of the findings
	Findings []Finding `json:"findings"` // worst first
	SPF      SPF       `json:"spf"`
	DKIM     DKIM      `json:"dkim"`
	DMARC    DMARC     `json:"dmarc"`
	MX       MX        `json:"mx"`
	DNS      Questions `json:"dns"`
}

// Questions is what the audit asked of the DNS.
type Questions struct {
	Asked  int `json:"queries"`
	Limit  int `json:"limit"`
	Failed int `json:"failed"` // neither an answer nor the word that there is none
}

// State is what stands at a name.
type State string

// The closed set of states; the first four are those of dmarc.State.
const (
	Missing   State = "missing"   // for certain
	Found     State = "found"     // one record
	Several   State = "several"   // none of which counts
	Failed    State = "failed"    // the DNS did not say
	Malformed State = "malformed" // a record that cannot be read
	Loop      State = "loop"      // SPF: the record leads to itself
	Unread    State = "unread"    // the audit's questions were used up
)

// auditor is one audit.
type auditor struct {
	domain    string
	selectors []string
	given     bool // selectors, by the owner
	options   Options
	dns       *dns.Session
	report    Report

	// What one area tells another.
	mute   bool         // a null MX, or nothing that could take mail: sends none either
	org    string       // organizational domain; the domain itself if the DNS leaves it open
	policy dmarc.Record // in force, if it is the owner's
	wish   dmarc.Record // what it should be
	final  map[place][]Record
	reread int // texts that were read as SPF records of the audit's own making
}

// Domain audits a name, which is as mail.ASCIIDomain. It takes as long as the
// DNS does; what ctx leaves unasked is a finding.
func Domain(ctx context.Context, source dns.Source, name string, o Options) Report {
	a := &auditor{domain: name, selectors: o.Selectors, given: len(o.Selectors) > 0, options: o}
	if !a.given {
		a.selectors = DefaultSelectors()
	}
	a.selectors = a.selectors[:min(len(a.selectors), MaxSelectors)]
	if a.options.Questions == 0 {
		a.options.Questions = 200
	}
	a.dns = dns.NewSession(source, a.options.Questions)
	a.report = Report{Domain: name}
	a.warm(ctx)
	a.auditMX(ctx)
	a.auditDMARC(ctx)
	a.auditSPF(ctx)
	a.auditDKIM(ctx)
	a.auditReports(ctx)
	a.finish()
	return a.report
}

// warm asks at the same time for what is needed in any case, so that the rest
// finds it in the session.
func (a *auditor) warm(ctx context.Context) {
	questions := []dns.Question{
		{Name: a.domain, Type: dns.MX}, {Name: a.domain, Type: dns.TXT}, {Name: a.domain, Type: dns.SPF},
		{Name: a.domain, Type: dns.A}, {Name: a.domain, Type: dns.AAAA}, {Name: "_dmarc." + a.domain, Type: dns.TXT},
	}
	for _, s := range a.selectors {
		questions = append(questions, dns.Question{Name: keyName(s, a.domain), Type: dns.TXT})
	}
	const atOnce = 8
	var group sync.WaitGroup
	slots, panics := make(chan struct{}, atOnce), make(chan any, len(questions))
	for _, q := range questions {
		group.Go(func() {
			slots <- struct{}{}
			defer func() {
				<-slots
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			a.dns.Query(ctx, q)
		})
	}
	group.Wait()
	if len(panics) > 0 {
		panic(<-panics) // it belongs to the caller
	}
}

// ask puts one question.
func (a *auditor) ask(ctx context.Context, name string, t dns.Type) dns.Answer {
	return a.dns.Query(ctx, dns.Question{Name: name, Type: t})
}

// stateOf tells what an answer says of its name.
func stateOf(answer dns.Answer) State {
	switch answer.Outcome {
	case dns.Found:
		return Found
	case dns.NXDomain, dns.NoData:
		return Missing
	case dns.OverLimit, dns.Busy:
		return Unread
	case dns.Malformed:
		if errors.Is(answer.Err, dns.ErrName) {
			return Missing // there cannot be such a name
		}
	}
	return Failed
}

// finish counts the questions and puts the findings in order.
func (a *auditor) finish() {
	exchanges := a.dns.Exchanges()
	limit := a.options.Questions
	a.report.DNS = Questions{Asked: dns.Questions(exchanges), Limit: limit}
	for _, e := range exchanges {
		if stateOf(e.Answer) == Failed {
			a.report.DNS.Failed++
		}
	}
	if a.report.DNS.Asked >= limit {
		a.add(AuditLimit, a.domain, fmt.Sprintf("The audit stopped after %d DNS questions, so it may not have seen everything.", limit))
	}
	a.settle()
}
