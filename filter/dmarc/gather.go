package dmarc

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"sekimori/filter/dns"
)

// Resolver is what Gather asks; *dns.Session is one. Errors are *dns.Error.
// It must be safe for concurrent use.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options change how the DNS is read. The zero value is the default.
type Options struct {
	// StrictTreeWalk follows RFC 9989 section 4.10.2 to the letter: a registry that
	// publishes a record without psd=y becomes the organizational domain of
	// all its registrants. By default that never happens.
	StrictTreeWalk bool
}

// Facts are all that the DNS says; Evaluate needs nothing else. They are
// immutable after Gather.
type Facts struct {
	Author  string
	Queries []string // names asked for TXT, in order, each once

	steps  map[string]Step // by Step.Domain
	walked []string        // Step.Domain in the order of asking
	exists existence       // of Author
	strict bool            // Options.StrictTreeWalk
}

// existence of the author domain (RFC 9989 section 3.2.13).
type existence int

const (
	notAsked existence = iota
	isThere
	notThere // NXDOMAIN, as in RFC 8020; a name without records exists
	noAnswer
)

const (
	maxIdentifiers = 11 // walked for: one of SPF and ten of DKIM
	maxConcurrent  = 8  // questions at a time
)

// Gather walks the tree (RFC 9989 section 4.10) for the author domain and,
// where alignment needs it, for the identifiers: with the default Options.
// author is as mail.ASCIIDomain, "" if there is none.
func Gather(ctx context.Context, r Resolver, author string, ids []Identifier) Facts {
	return Options{}.Gather(ctx, r, author, ids)
}

// Gather walks for the author first, then at the same time for those of ids that
// can matter: those that passed or met a temporary error, and that lie in a domain
// which may be the author's organizational one (none other can be aligned, so
// a stranger's DNS never gets a say). Each name is asked once, at most eight a
// walk. It asks for the author domain's address if the policy depends on
// whether that domain exists.
func (o Options) Gather(ctx context.Context, r Resolver, author string, ids []Identifier) Facts {
	return o.Discover(ctx, r, author).Extend(ctx, r, ids)
}

// Discover is the first half of Gather: what needs no identifiers.
func (o Options) Discover(ctx context.Context, r Resolver, author string) Facts {
	f := Facts{Author: normal(author), strict: o.StrictTreeWalk, steps: map[string]Step{}}
	if f.Author == "" {
		return f
	}
	f.walk(ctx, r, []string{f.Author})
	if f.discover().needsExistence() {
		f.exists = lookupExistence(ctx, r, f.Author)
	}
	return f
}

// Extend is the second half of Gather: the walks for the identifiers. It takes
// the facts over, which are not to be used any more.
func (f Facts) Extend(ctx context.Context, r Resolver, ids []Identifier) Facts {
	if f.Author == "" {
		return f
	}
	d := f.discover()
	if d.step.State != Found {
		return f // RFC 9989 section 4.10.2: no policy, no further walks
	}
	if rec := d.step.Record; rec.StrictDKIM && rec.StrictSPF {
		return f // section 4.10.2: names are compared, no walks
	}
	f.walk(ctx, r, f.candidates(ids))
	return f
}

// Settled tells whether the DNS has answered all questions so far: asking again
// can bring nothing new.
func (f Facts) Settled() bool {
	for _, step := range f.steps {
		if step.State == Failed {
			return false
		}
	}
	return f.exists != noAnswer
}

// Prefetch asks at once what Gather will ask one after the other: all names of
// the walk for the author, and of that for the domain of MAIL FROM if the two
// may share an organizational domain. Nothing comes of it but a warm cache; at
// most eight questions a walk.
func Prefetch(ctx context.Context, r Resolver, author, sender string) {
	author, sender = normal(author), normal(sender)
	if author == "" {
		return
	}
	names := path(author)
	if common(author, sender) >= registered(author) {
		for _, name := range path(sender) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	lookupAll(ctx, r, names)
}

// Walk gives the steps of all walks in the order in which they were asked.
func (f Facts) Walk() []Step {
	steps := make([]Step, len(f.walked))
	for i, name := range f.walked {
		steps[i] = f.steps[name]
	}
	return steps
}

// candidates are the identifiers' domains that need a walk, each once.
func (f Facts) candidates(ids []Identifier) []string {
	organizational := f.organizational(f.Author)
	var starts []string
	for _, id := range ids {
		domain := normal(id.Domain)
		switch {
		case domain == "" || domain == f.Author || len(starts) == maxIdentifiers:
		case id.Result != "pass" && id.Result != "temperror":
		case organizational.upTo(common(domain, f.Author)) == lengths{}:
		case !slices.Contains(starts, domain):
			starts = append(starts, domain)
		}
	}
	return starts
}

// walk goes up from all starts at the same time, one name each a round.
func (f *Facts) walk(ctx context.Context, r Resolver, starts []string) {
	for {
		var names []string
		for _, start := range starts {
			if name, more := f.next(start); more && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			return
		}
		for i, step := range lookupAll(ctx, r, names) {
			f.steps[names[i]] = step
			f.walked = append(f.walked, names[i])
			if owner, ok := owner(names[i]); ok {
				f.Queries = append(f.Queries, owner)
			}
		}
	}
}

// next gives the name that the walk from start has to ask now.
func (f *Facts) next(start string) (name string, more bool) {
	for _, name := range path(start) {
		step, asked := f.steps[name]
		if !asked {
			return name, true
		}
		if step.stops() {
			return "", false
		}
	}
	return "", false
}

// owner is where a domain's record stands; ok is false if there cannot be such a name.
func owner(domain string) (name string, ok bool) {
	name = "_dmarc." + domain
	return name, len(name) <= maxName
}

// lookupAll asks several names at a time. A panic of the resolver reaches the caller.
func lookupAll(ctx context.Context, r Resolver, names []string) []Step {
	steps := make([]Step, len(names))
	if len(names) == 1 {
		steps[0] = lookup(ctx, r, names[0])
		return steps
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, maxConcurrent)
	panics := make(chan any, len(names))
	for i, name := range names {
		group.Go(func() {
			slots <- struct{}{}
			defer func() {
				<-slots
				if p := recover(); p != nil {
					panics <- p
				}
			}()
			steps[i] = lookup(ctx, r, name)
		})
	}
	group.Wait()
	if len(panics) > 0 {
		panic(<-panics)
	}
	return steps
}

// lookup: RFC 9989 section 4.10, steps 2 and 7.
func lookup(ctx context.Context, r Resolver, domain string) Step {
	name, ok := owner(domain)
	if !ok {
		return Step{Domain: domain, State: Missing}
	}
	texts, memo, err := dns.Texts(ctx, r, name)
	if err != nil {
		step := Step{Domain: domain, State: Missing}
		if missing, why := classify(err); !missing {
			step.State, step.Why = Failed, why
		}
		return step
	}
	step := *dns.Remember(memo, func() (*Step, int) {
		s := read(texts)
		return s, s.bytes()
	})
	step.Domain = domain
	return step
}

// read gives the step of all that stands at one name, but its Domain: the same
// for all messages, so it is immutable.
func read(texts []string) *Step {
	step := Step{State: Missing}
	for _, text := range texts {
		record, ok := Parse(text)
		switch {
		case !ok && step.State == Missing && step.Stray == "" && looksLikeDMARC(text):
			step.Stray = printable(text)
		case ok && step.State == Missing:
			step.State, step.Record, step.Stray = Found, record, ""
		case ok:
			return &Step{State: Several}
		}
	}
	return &step
}

// bytes is the memory that a step holds.
func (s *Step) bytes() int {
	const fixed, perURI, perNote = 384, 16, 128
	n := fixed + len(s.Stray) + len(s.Record.Text) + len(s.Record.FailureCases) + perNote*cap(s.Record.Notes)
	for _, uris := range [...][]string{s.Record.RUA, s.Record.RUF} {
		n += perURI * cap(uris)
		for _, uri := range uris {
			n += len(uri)
		}
	}
	return n
}

// looksLikeDMARC finds the records of owners who meant well.
func looksLikeDMARC(text string) bool {
	return strings.Contains(strings.ToLower(text[:min(len(text), 64)]), "dmarc1")
}

// lookupExistence: RFC 9989 section 3.2.13. One type is enough: NXDOMAIN is said of
// the name whatever was asked for.
func lookupExistence(ctx context.Context, r Resolver, domain string) existence {
	_, err := r.LookupNetIP(ctx, "ip4", domain)
	if err == nil {
		return isThere
	}
	var e *dns.Error
	if errors.As(err, &e) && e.Outcome == dns.NXDomain {
		return notThere
	}
	if missing, _ := classify(err); missing {
		return isThere
	}
	return noAnswer
}

// classify tells an answer that nothing is there from a failure, and names the failure.
func classify(err error) (missing bool, why string) {
	var e *dns.Error
	if errors.As(err, &e) {
		return e.NotFound(), string(e.Outcome)
	}
	return false, "error"
}
