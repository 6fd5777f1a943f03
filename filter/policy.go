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
	v := p.staged(m, r)
	v.Results = r
	v.Edit = p.edit(m, v)
	return v
}

// verdict is what those lines of the table say that are on, without the Edit.
func (p *Policy) verdict(m *mail.Message, r Results, on inForce) Verdict {
	action, reason := p.rule(m, r, on)
	v := Verdict{Action: action, Reason: reason}
	v.Shadow = action != Accept && p.Shadow
	v.Protected = protectedBy(r.Claims)
	v.Listing = listingBy(reason, r)
	v.Explanation = explain(reason, m, r)
	v.Reply = p.reply(action, reason, m, r)
	return v
}

// rule is the table of decisions, of those lines that are on.
func (p *Policy) rule(m *mail.Message, r Results, on inForce) (Action, Reason) {
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
	action, reason := p.merits(m, r, on)
	if a, why := p.papers(r, on); a.stricter(action) && !exempt(reason) {
		return a, why
	}
	return action, reason
}

// merits decides by what a message is. The first line that holds wins, but a
// spoof of a protected domain and what else there is to say of it never make each
// other milder.
func (p *Policy) merits(m *mail.Message, r Results, on inForce) (Action, Reason) {
	spoof, how, spoofed := p.spoof(r)
	action, reason, bad := p.malformed(m, r, on)
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
	action, reason = p.authenticated(r, on)
	if spoofed && !action.stricter(spoof) {
		return spoof, how
	}
	return action, reason
}

// malformed decides about messages that programs read in different ways.
func (p *Policy) malformed(m *mail.Message, r Results, on inForce) (Action, Reason, bool) {
	if (m.Has(mail.HeaderNUL) || m.Has(mail.HeaderLine)) && on(MalformedHeader) {
		return p.MalformedHeader, MalformedHeader, true
	}
	reason := AuthorMalformed
	switch r.Author.Status {
	case mail.AuthorDomain:
		return Accept, "", false
	case mail.AuthorNone:
		reason = AuthorMissing
	case mail.AuthorMultiple:
		reason = AuthorMultiple
	}
	return p.Author, reason, on(reason)
}

func (p *Policy) authenticated(r Results, on inForce) (Action, Reason) {
	action, reason := p.dmarc(r)
	if !on(reason) {
		action = Accept
	}
	if _, listed := listedAuthor(r.Claims); listed && (r.OwnList || r.DMARC.Word != dmarc.Fail || action == Accept) {
		return Accept, ListedSender
	}
	return action, reason
}

func (p *Policy) dmarc(r Results) (Action, Reason) {
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
