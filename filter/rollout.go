package filter

import (
	"hash/fnv"
	"slices"

	"sekimori/filter/mail"
)

// inForce tells whether the line of a reason counts.
type inForce func(Reason) bool

// staged decides. Where the line that would decide is not rolled out to this
// sender, those that are decide as if it were not there: a new rule takes nothing
// from the others. Only if they let the message through it is watched.
func (p *Policy) staged(m *mail.Message, r Results) Verdict {
	v := p.verdict(m, r, func(Reason) bool { return true })
	if v.Action == Accept || p.rolledOut(v.Reason, m, r) {
		return v
	}
	on := func(reason Reason) bool { return p.rolledOut(reason, m, r) }
	if enforced := p.verdict(m, p.without(r, on), on); enforced.Action != Accept {
		enforced.Protected = orElse(enforced.Protected, v.Protected)
		return enforced
	}
	v.Shadow = true
	return v
}

// without leaves out what only lines that are not on would hold against a message.
func (p *Policy) without(r Results, on inForce) Results {
	if r.Listed != nil && r.Listed.Entry.Block && !on(Blocked) {
		r.Listed = nil
	}
	r.Claims = slices.DeleteFunc(slices.Clone(r.Claims), func(c Claim) bool {
		return c.Proof.lack() > 0 && !p.covers(c.Place, c.Protected)
	})
	return r
}

// rolledOut tells whether a reason is in force for a message already.
func (p *Policy) rolledOut(reason Reason, m *mail.Message, r Results) bool {
	return p.covers(reason, stagedName(reason, m, r))
}

// covers tells whether a reason is in force for a domain already. It is the same
// for a domain from message to message and on every host, and once it is in
// force it stays so while the percentage grows. Each reason begins with other
// domains, so that it is not the same ones who always go first.
func (p *Policy) covers(reason Reason, domain string) bool {
	percent, staged := p.Rollout[reason]
	if !staged || !Staged(reason) {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(reason) + "\x00" + domain)) // never fails
	return int(spread(h.Sum32())%100) < percent
}

// Staged tells whether a reason may be rolled out step by step: those whose action
// the policy chooses and that let nobody through.
func Staged(r Reason) bool {
	switch r {
	case BareNewline, TrustedNetwork, InternalError:
		return false
	}
	return setting(r) != ""
}

// stagedName is the domain that a rollout goes by: the protected one, for a spoofer
// may choose any name below it or beside it; else the author's, else that of
// MAIL FROM, else the client's address.
func stagedName(reason Reason, m *mail.Message, r Results) string {
	if c, short := shortest(r.Claims); short && c.Place == reason {
		return c.Protected
	}
	if r.Author.Domain != "" {
		return r.Author.Domain
	}
	if _, domain, ok := splitRecipient(m.Envelope.MailFrom); ok {
		return domain
	}
	return address(m.Envelope.Client)
}

// spread lets the last bytes change all bits, which FNV does not.
func spread(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x85ebca6b
	x ^= x >> 13
	x *= 0xc2b2ae35
	return x ^ x>>16
}
