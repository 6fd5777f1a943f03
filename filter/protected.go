package filter

// spoof decides about mail in the name of a protected domain. ok is false where
// there is none, or where it has proof.
func (p *Policy) spoof(r Results) (Action, Reason, bool) {
	c, short := shortest(r.Claims)
	switch {
	case !short || p.Spoof == Accept:
		return Accept, "", false
	case c.Proof == ProofUnknown:
		return p.undecided(c, r), DNSTempError, true
	case c.Proof == ProofHidden && p.Spoof == Reject:
		// A relay of the operator's keeps SPF from speaking: not the sender's fault.
		return Quarantine, c.Place, true
	}
	return p.Spoof, c.Place, true
}

// undecided decides about what the DNS may yet show to be a spoof. It waits for
// the DNS rather than being let through: who forges may choose a name whose
// servers are dead, or keep them busy. It is never refused for good.
func (p *Policy) undecided(c Claim, r Results) Action {
	wait := p.Spoof
	if wait == Reject {
		wait = Defer
	}
	if a := p.tempError(r); a.stricter(wait) || !p.covers(c.Place, c.Protected) {
		return a
	}
	return wait
}

// allowed is the reason by which an entry lets mail through.
func allowed(e Entry) Reason {
	if e.Unsafe != "" {
		return AllowedUnsafe
	}
	return Allowed
}

// exempt tells of senders whom somebody answers for: they need no papers.
func exempt(r Reason) bool { return r == ListedSender || r == Allowed || r == AllowedUnsafe }

// protectedBy is the protected domain to name for a message: that of the claim
// that falls shortest, else of the first.
func protectedBy(all []Claim) string {
	if c, short := shortest(all); short {
		return c.Protected
	}
	if len(all) > 0 {
		return all[0].Protected
	}
	return ""
}

// listingBy is the entry that a reason comes from.
func listingBy(reason Reason, r Results) *Listing {
	switch reason {
	case Blocked, Allowed, AllowedUnsafe:
		return r.Listed
	case ListedSender:
		if l, ok := listedAuthor(r.Claims); ok {
			return &l
		}
	}
	return nil
}
