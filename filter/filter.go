// Package filter judges mail. Check gathers what SPF, DKIM and DMARC say of one
// message, in the order that RFC 9989 fixes, and hands these facts to one pure
// function, Policy.Decide. What comes out is a Verdict: data that a door (SMTP
// proxy, command line) carries out.
package filter

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
)

// Filter judges messages. Immutable: a reload makes a new one.
type Filter struct {
	Rules    // of recipients who are no tenant's
	Mixed    Mixed
	Resolver dns.Source
	Timeout  time.Duration // of the lookups of SPF and DKIM, and once more of DMARC; 20 s (RFC 7208 section 4.6.4)
	Queries  int           // different questions to the DNS for one message; 60, never less than 48

	Relays    []netip.Prefix // clients for which SPF and iprev are evaluated for the hop before them
	RelayHops int            // Received fields that they write, at the least; 1

	Live *Live // the protected domains and the lists, which change while this does not; nil: none

	Subject bool // tell the Subject of messages in Results

	Now func() time.Time // the clock; time.Now

	tenants *tenants // see WithTenants; nil: none
	fresh   bool     // stale answers of the DNS do not count
}

// Check judges one message. It never fails and never panics: what goes wrong
// within it is a Defer.
func (f *Filter) Check(ctx context.Context, m *mail.Message) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = fault(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return f.judge(ctx, m)
}

// judge decides by the rules of each recipient. One verdict holds for all: that
// of the strictest rules or of the mildest.
func (f *Filter) judge(ctx context.Context, m *mail.Message) Verdict {
	var verdict Verdict
	found := map[string]Results{}
	domains := f.Live.Domains()
	for i, p := range f.parties(m.Envelope.Rcpts) {
		one := *f
		one.Rules = p.rules
		if _, known := found[p.methods]; !known {
			found[p.methods] = one.results(ctx, m, domains)
		}
		facts := found[p.methods]
		facts.Listed = f.listed(p.lists, m, facts)
		facts.OwnList = ownList(p.lists, facts.Claims)
		v := one.Policy.Decide(m, facts)
		v.Tenants = p.names
		if i == 0 || f.Mixed.prefers(v, verdict) {
			verdict = v
		}
	}
	return verdict
}

// fault is the verdict on a message that we could not judge for a fault of ours.
func fault(trouble string) Verdict {
	return Verdict{
		Action:      Defer,
		Reason:      InternalError,
		Explanation: "Sekimori failed to judge the message; the sender will try again.",
		Reply:       Reply{451, "4.3.0", "Internal error, please try again later"},
		Fault:       trouble,
	}
}

// gather asks all there is to ask. The author's policy is looked for while SPF
// and DKIM are at work, on its own budget of questions and time: a sender's slow
// name servers must not turn a fail into a temperror.
func (f *Filter) gather(ctx context.Context, m *mail.Message, d *Domains) Results {
	r := Results{Author: m.Author(), Shown: f.shown(&m.Header)}
	r.Claims = claims(d, m, r.Author)
	if m.Has(mail.BareNewline) || f.Policy.trusts(m.Envelope.Client) {
		return r
	}
	r.Checked = true
	env := m.Envelope
	if f.relayed(env.Client) {
		r.Hop = f.hop(env, &m.Header)
	}
	client := r.sender(env)
	ask := f.sessions()
	limits := f.DKIM
	limits.Time, limits.Author = f.now(), r.Author.Domain
	early, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	var policy dmarc.Facts
	work := []func(){
		timed(&r.Stages.SPF, func() { r.SPF = f.checkSPF(early, ask.spf, env, r.Hop) }),
		func() { policy = f.discover(early, ask.dmarc, r.Author) },
	}
	r.IPRev.Word = iprev.None
	if f.IPRev {
		work = append(work, timed(&r.Stages.IPRev, func() { r.IPRev = f.iprev(early, ask.iprev, client) }))
	}
	if f.SenderDomain {
		work = append(work, func() { r.Sender = f.checkSender(early, ask.sender, env) })
	}
	parallel(append(work, timed(&r.Stages.DKIM, func() { r.DKIM = dkim.Verify(early, ask.dkim, m, limits) }))...)
	late, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	timed(&r.Stages.DMARC, func() { r.DMARC = f.dmarc(late, ask.dmarc, policy, r) })()
	f.prove(d, r.Claims, m, r)
	r.DNS = ask.exchanges()
	r.Stages.waited(r.DNS)
	r.Starved = slices.ContainsFunc(r.DNS, func(e dns.Exchange) bool { return e.Answer.Outcome == dns.Busy })
	return r
}

func (f *Filter) iprev(ctx context.Context, s *dns.Session, client netip.Addr) iprev.Result {
	if !f.IPRev {
		return iprev.Result{Word: iprev.None}
	}
	return iprev.Check(ctx, s, client)
}

// discover finds the policy of the author domain.
func (f *Filter) discover(ctx context.Context, s *dns.Session, a mail.Author) dmarc.Facts {
	if a.Status != mail.AuthorDomain {
		return dmarc.Facts{}
	}
	return f.DMARC.Discover(ctx, s, a.Domain)
}

// dmarc evaluates RFC 9989 section 5.3 for the one author domain, whose policy was
// discovered before. What the DNS left open then is asked for again.
func (f *Filter) dmarc(ctx context.Context, s *dns.Session, policy dmarc.Facts, r Results) dmarc.Result {
	if r.Author.Status != mail.AuthorDomain {
		return dmarc.Result{Word: dmarc.None, Reason: "the message has no single author domain"}
	}
	// RFC 9989 section 3.2.4: HELO authenticates nobody but the null sender,
	// for which spf.Check has put it in MailFrom's place.
	sender := dmarc.Identifier{Domain: r.SPF.MailFrom.Domain, Result: string(r.SPF.MailFrom.Word)}
	signers := make([]dmarc.Identifier, len(r.DKIM))
	for i, d := range r.DKIM {
		signers[i] = dmarc.Identifier{Domain: d.Domain, Result: string(d.Word)}
	}
	ids := append([]dmarc.Identifier{sender}, signers...)
	if !policy.Settled() {
		policy = f.DMARC.Discover(ctx, s, r.Author.Domain)
	}
	return policy.Extend(ctx, s, ids).Evaluate(sender, signers)
}

// Prefetch warms the resolver's cache with what Check will ask; nothing comes
// of it but speed. h is nil at MAIL and the whole header once that is in.
func (f *Filter) Prefetch(ctx context.Context, env mail.Envelope, h *mail.Header) {
	defer func() { _ = recover() }() // what fails here fails in Check, where it is told
	ctx, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	one := *f
	if h != nil {
		one.Rules = f.parties(env.Rcpts)[0].rules // at MAIL nobody knows for whom it is
	}
	f = &one
	ask := f.sessions()
	var r Results
	relayed := f.relayed(env.Client)
	if relayed && h != nil {
		r.Hop = f.hop(env, h)
	}
	helo := env // Check evaluates HELO after MAIL FROM; here it is warmed beside it
	helo.MailFrom = ""
	var all []func()
	// Who the client of a relay was, only the header tells.
	if relayed == (h != nil) {
		all = append(all,
			func() { f.checkSPF(ctx, ask.spf, env, r.Hop) },
			func() { f.checkSPF(ctx, f.session("spf", f.spfQueries()/3), helo, r.Hop) })
	}
	// Which rules hold, only the recipients tell.
	all = append(all,
		func() { f.checkSender(ctx, ask.sender, env) },
		func() {
			if !relayed || h != nil {
				f.iprev(ctx, ask.iprev, r.sender(env))
			}
		})
	if h != nil {
		all = append(all,
			func() { f.prefetchDMARC(ctx, ask.dmarc, env, (&mail.Message{Header: *h}).Author()) },
			func() { dkim.Prefetch(ctx, ask.dkim, *h, f.DKIM) })
	}
	parallel(all...)
}

// prefetchDMARC takes one round trip where a walk takes one a name.
func (f *Filter) prefetchDMARC(ctx context.Context, s *dns.Session, env mail.Envelope, a mail.Author) {
	if a.Status != mail.AuthorDomain {
		return
	}
	_, sender, _ := mail.SplitAddress(env.MailFrom)
	dmarc.Prefetch(ctx, s, a.Domain, sender)
	f.discover(ctx, s, a) // what depends on the answers
}

func (f *Filter) now() time.Time {
	if f.Now == nil {
		return time.Now()
	}
	return f.Now()
}

func (f *Filter) timeout() time.Duration {
	if f.Timeout == 0 {
		return 20 * time.Second
	}
	return f.Timeout
}
