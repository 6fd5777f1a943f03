package filter

import (
	"net/netip"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// RejectMode is how a published p=reject is followed (RFC 9989 section 7.4).
type RejectMode string

// The modes.
const (
	Corroborated RejectMode = "corroborated" // reject only what nobody vouches for, quarantine the rest
	Strict       RejectMode = "strict"       // reject always: a departure from section 7.4, the operator's choice
	Lenient      RejectMode = "quarantine"   // never reject
)

// Policy is what the operator decided. The zero value defers whatever a rule
// catches and accepts the rest.
type Policy struct {
	AuthservID string         // of our Authentication-Results (RFC 8601 section 2.5)
	Aliases    []string       // authserv-ids of earlier days or other hosts of ours: forged when received
	Trusted    []netip.Prefix // clients for which nothing is enforced
	Shadow     bool           // let everything through and say what would have been done

	Author          Action // From missing, repeated, malformed or of several domains: Reject, Quarantine or Tag
	MalformedHeader Action // Reject, Quarantine or Tag
	DMARCReject     RejectMode
	DMARCQuarantine Action // Quarantine or Tag
	SPFFail         Action // Reject, Quarantine or Tag
	TempError       Action // Accept or Defer

	Spoof           Action // mail in the name of a protected domain without proof: Reject, Quarantine, Tag, or Accept for off
	Block           Action // what a list of the recipient's blocks: Reject, Quarantine or Tag
	Unauthenticated Action // neither SPF nor DKIM nor DMARC speaks for the author: Accept, Tag, Quarantine or Reject
	NoReverseName   Action // the client has no name that points back; the same
	SenderMissing   Action // MAIL FROM has a domain that does not exist; the same
	SenderNullMX    Action // MAIL FROM has a domain that takes no mail; the same

	Lists   []string       // further lists that are asked about senders, before everybody's
	Rollout map[Reason]int // percent of the senders' domains for whom a reason is enforced; the rest is as in shadow; without an entry all

	Explain bool              // put the domain's own explanation behind a refusal for SPF (RFC 7208 section 6.2)
	HelpURL string            // ends each refusal; "" for none
	Replies map[Reason]string // texts in place of ours; see Reply
	Texts   Texts             // likewise, after Replies; those beyond ASCII are for clients that said SMTPUTF8
}

// Decide judges by the facts alone: no I/O, no clock.
func (p *Policy) Decide(m *mail.Message, r Results) Verdict {
	action, reason := p.rule(m, r)
	v := Verdict{Action: action, Reason: reason, Results: r}
	v.Shadow = action != Accept && (p.Shadow || !p.rolledOut(reason, m, r))
	v.Protected = protectedBy(r.Claims)
	v.Listing = listingBy(reason, r)
	v.Explanation = explain(reason, m, r)
	v.Reply = p.reply(action, reason, m, r)
	v.Edit = p.edit(m, v)
	return v
}

// rule is the table of decisions.
func (p *Policy) rule(m *mail.Message, r Results) (Action, Reason) {
	switch {
	// RFC 5321 section 2.3.8. It holds for everybody: what is two messages
	// behind us must not get past us.
	case m.Has(mail.BareNewline):
		return Reject, BareNewline
	case p.trusts(m.Envelope.Client):
		return Accept, TrustedNetwork
	case r.Listed != nil && r.Listed.Entry.Block:
		return p.Block, Blocked
	}
	action, reason := p.merits(m, r)
	if a, why := p.papers(r); a.stricter(action) && !exempt(reason) {
		return a, why
	}
	return action, reason
}

// merits decides by what a message is. The first line that holds wins, but a
// spoof of a protected domain and what else there is to say of it never make each
// other milder.
func (p *Policy) merits(m *mail.Message, r Results) (Action, Reason) {
	spoof, how, spoofed := p.spoof(r)
	action, reason, bad := p.malformed(m, r)
	switch {
	case r.Listed != nil && !spoofed:
		return Accept, allowed(r.Listed.Entry)
	case bad && r.Listed == nil:
		if spoofed && spoof.stricter(action) {
			return spoof, how
		}
		return action, reason
	case bad:
		return spoof, how
	}
	action, reason = p.authenticated(r)
	if spoofed && !action.stricter(spoof) {
		return spoof, how
	}
	return action, reason
}

// malformed decides about messages that programs read in different ways.
func (p *Policy) malformed(m *mail.Message, r Results) (Action, Reason, bool) {
	if m.Has(mail.HeaderNUL) || m.Has(mail.HeaderLine) {
		return p.MalformedHeader, MalformedHeader, true
	}
	switch r.Author.Status {
	case mail.AuthorDomain:
		return Accept, "", false
	case mail.AuthorNone:
		return p.Author, AuthorMissing, true
	case mail.AuthorMultiple:
		return p.Author, AuthorMultiple, true
	}
	return p.Author, AuthorMalformed, true
}

func (p *Policy) authenticated(r Results) (Action, Reason) {
	if _, listed := listedAuthor(r.Claims); listed {
		return Accept, ListedSender
	}
	switch r.DMARC.Word {
	case dmarc.Pass:
		return Accept, DMARCPass
	case dmarc.Fail:
		return p.dmarcFail(r)
	case dmarc.TempError:
		return p.tempError(r), DNSTempError
	}
	return p.withoutDMARC(r)
}

// tempError follows the operator where the DNS failed us. Where we were too busy
// to ask it, nobody may profit from that: a flood of mail must not open the door
// for a spoof.
func (p *Policy) tempError(r Results) Action {
	if r.Starved {
		return Defer
	}
	return p.TempError
}

func (p *Policy) dmarcFail(r Results) (Action, Reason) {
	switch r.DMARC.Effective {
	case dmarc.PolicyReject:
		// RFC 9989 section 7.4: p=reject alone is no ground to reject.
		reason := DMARCFailReject
		if vouched(r) != nobody {
			reason = DMARCFailOther
		}
		return p.rejectAction(reason), reason
	case dmarc.PolicyQuarantine:
		return p.DMARCQuarantine, DMARCFailQuarantine
	}
	return Accept, DMARCFailNone
}

func (p *Policy) rejectAction(reason Reason) Action {
	switch {
	case p.DMARCReject == Strict, p.DMARCReject == Corroborated && reason == DMARCFailReject:
		return Reject
	case p.DMARCReject == Corroborated, p.DMARCReject == Lenient:
		return Quarantine
	}
	return Defer
}

// withoutDMARC decides where no policy speaks for the author's domain.
func (p *Policy) withoutDMARC(r Results) (Action, Reason) {
	v := vouched(r)
	switch {
	case v == somebody:
		return Accept, DMARCNone
	case r.SPF.MailFrom.Word == spf.TempError, r.SPF.MailFrom.Word == spf.Fail && v == unknown:
		return p.tempError(r), DNSTempError
	case r.SPF.MailFrom.Word == spf.Fail:
		return p.SPFFail, SPFFail
	}
	return Accept, DMARCNone
}

// voucher says whether any domain at all authenticates the message.
type voucher int

const (
	nobody voucher = iota
	unknown
	somebody
)

// vouched leaves it unknown where the DNS failed us or a relay hides its client
// from SPF: that is never held against the sender.
func vouched(r Results) voucher {
	v := nobody
	if r.Hop.Reason != "" {
		v = unknown
	}
	switch r.SPF.MailFrom.Word {
	case spf.Pass:
		return somebody
	case spf.TempError:
		v = unknown
	}
	for _, d := range r.DKIM {
		switch d.Word {
		case dkim.Pass:
			return somebody
		case dkim.TempError:
			v = unknown
		}
	}
	return v
}

func (p *Policy) trusts(client netip.Addr) bool { return within(p.Trusted, client) }
