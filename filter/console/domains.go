package console

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// domainsPage lists the protected domains that mail came for.
type domainsPage struct {
	Period  period
	Periods [len(periods)]period
	Domains []DomainCount
	Full    bool // there are more than are listed
	Known   int  // protected domains in all
}

const domainsShown = 200

func (c *Console) domains(r *http.Request, v *view) error {
	p := &domainsPage{Period: longPeriod(r), Periods: periods, Known: c.Policy().Domains}
	v.Data = p
	from, to := p.Period.bounds(v.At)
	all, err := c.History.Domains(r.Context(), from, to, domainsShown+1)
	if err != nil {
		return v.history(err)
	}
	p.Full = len(all) > domainsShown
	p.Domains = all[:min(len(all), domainsShown)]
	cleanAll(&p.Domains)
	return nil
}

// longPeriod is a week where none is asked for: of one domain not much mail comes.
func longPeriod(r *http.Request) period {
	if name := r.URL.Query().Get("period"); name != "" {
		return periodOf(name)
	}
	return periodOf("7d")
}

// domainPage is one protected domain.
type domainPage struct {
	Domain   string
	Customer string
	Period   period
	Periods  [len(periods)]period
	Count    DomainCount
	Chart    chart
	Networks []Source // who sends in its name, by network
	Senders  []Source // by the domain of MAIL FROM
	Failing  []Source // networks without its papers
	Audited  bool
	Audit    audited
}

// sourcesShown is how many of each kind.
const sourcesShown = 15

func (c *Console) domain(r *http.Request, v *view) error {
	name := strings.ToLower(r.PathValue("name"))
	customer, ok := "", false
	if len(name) <= maxField {
		customer, ok = c.Protected(name)
	}
	if !ok {
		return errMissing
	}
	p := &domainPage{Domain: clean(name), Customer: clean(customer), Period: longPeriod(r), Periods: periods}
	v.Data = p
	if r.URL.Query().Get("audit") != "" && ownWish(r) {
		p.Audited, p.Audit = true, c.audits.of(r.Context(), name)
	}
	return v.history(c.fillDomain(r.Context(), p, v.At, name))
}

// ownWish tells whether somebody asked for this by a page of ours, an address that
// he typed or kept, or without a browser. Who came by a link of another site gets
// the page with the button: no link starts questions to the DNS.
func ownWish(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	return false
}

func (c *Console) fillDomain(ctx context.Context, p *domainPage, at time.Time, name string) error {
	from, to := p.Period.bounds(at)
	counts, err := c.History.Counts(ctx, from, to, p.Period.step, name)
	if err != nil {
		return err
	}
	p.Chart = newChart(counts, p.Period, from, to)
	ask := SourceQuery{Domain: name, From: from, To: to, Limit: sourcesShown}
	if p.Networks, err = c.History.Sources(ctx, ask); err != nil {
		return err
	}
	ask.Failing = true
	if p.Failing, err = c.History.Sources(ctx, ask); err != nil {
		return err
	}
	ask.Failing, ask.Envelope = false, true
	if p.Senders, err = c.History.Sources(ctx, ask); err != nil {
		return err
	}
	for _, list := range [...]*[]Source{&p.Networks, &p.Failing, &p.Senders} {
		cleanAll(list)
	}
	p.Count, err = c.History.Domain(ctx, from, to, name)
	cleanAll(&p.Count)
	return err
}

// audited is the outcome of an audit of a domain's DNS.
type audited struct {
	At       time.Time
	Findings []Finding
	Trouble  string // key of the texts; "" if there is none
}

// Limits of audits: each asks the DNS up to some hundred questions.
const (
	auditTime  = 12 * time.Second
	auditFresh = 10 * time.Minute // the last outcome is shown again for so long
	auditEvery = 5 * time.Second  // between two, of whichever domain
	maxAudits  = 200              // outcomes that are remembered
)

// audits runs one at a time and remembers what came of it.
type audits struct {
	run func(context.Context, string) ([]Finding, error)
	now func() time.Time

	mu   sync.Mutex
	busy bool
	last time.Time
	done map[string]audited
}

// of gives the audit of a domain, a fresh one or one from a while ago.
func (a *audits) of(ctx context.Context, domain string) audited {
	if known, ok, trouble := a.begin(domain); ok || trouble != "" {
		known.Trouble = trouble
		return known
	}
	limit, cancel := context.WithTimeout(ctx, auditTime)
	defer cancel()
	out := audited{At: a.now().UTC(), Trouble: "audit.failed"}
	defer func() { a.end(domain, out) }() // even after a panic: the next one must be able to run
	findings, err := a.run(limit, domain)
	switch {
	case err == nil:
		out.Findings, out.Trouble = findings, ""
		cleanAll(&out.Findings)
	case errors.Is(err, context.DeadlineExceeded):
		out.Trouble = "audit.slow"
	}
	return out
}

func (a *audits) begin(domain string) (known audited, ok bool, trouble string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok = a.done[domain]
	switch {
	case ok && a.now().Sub(known.At) < auditFresh:
		return known, true, ""
	case a.busy || !a.last.IsZero() && a.now().Sub(a.last) < auditEvery:
		return audited{}, false, "audit.busy"
	}
	a.busy = true
	return audited{}, false, ""
}

func (a *audits) end(domain string, out audited) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy, a.last = false, a.now()
	if out.Trouble != "" {
		return
	}
	if a.done == nil || len(a.done) >= maxAudits {
		a.done = map[string]audited{}
	}
	a.done[domain] = out
}

func (c *Console) policy(_ *http.Request, v *view) error {
	p := c.Policy()
	cleanAll(&p)
	v.Data = &p
	return nil
}
