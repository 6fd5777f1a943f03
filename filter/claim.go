package filter

import (
	"slices"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// Claim is a protected domain in whose name a message comes, and what it shows
// for it.
type Claim struct {
	Place     Reason // where the name stands: ProtectedAuthor, ProtectedName or ProtectedSender
	Domain    string // as it stands there
	Protected string // the protected domain that it is or is below
	Customer  string // whose that is, "" if nobody's
	Proof     Proof
	Listing   Listing // with ProofListed
}

// Proof is what speaks for a claim.
type Proof string

// The proofs.
const (
	NoProof      Proof = ""        // nothing: a spoof
	ProofHidden  Proof = "hidden"  // SPF might have, but a relay hides the client
	ProofUnknown Proof = "unknown" // what might have, the DNS did not tell
	ProofListed  Proof = "listed"  // the sender is listed as one who may
	ProofPassed  Proof = "passed"  // authenticated as the domain or its owner
)

// claims finds the protected domains in whose name a message comes, in the order
// in which they are asked: author, display name, MAIL FROM; each domain once.
func claims(d *Domains, m *mail.Message, a mail.Author) []Claim {
	if d.Len() == 0 {
		return nil
	}
	var all []Claim
	add := func(place Reason, domain string) {
		protected, customer, ok := d.Owner(domain)
		for _, c := range all {
			ok = ok && c.Domain != domain
		}
		if ok && len(all) < maxClaims {
			all = append(all, Claim{Place: place, Domain: domain, Protected: protected, Customer: customer})
		}
	}
	for _, domain := range a.Domains {
		add(ProtectedAuthor, domain)
	}
	for domain := range m.Header.Named() {
		add(ProtectedName, domain)
	}
	if _, domain, ok := splitRecipient(m.Envelope.MailFrom); ok {
		add(ProtectedSender, domain)
	}
	return all
}

// maxClaims bounds them. An honest message makes one or two; one that makes as
// many as this is a spoof whatever it shows for the others.
const maxClaims = 100

// prove weighs each claim. It asks the lists of the domain's owner: who may
// write in a name is its owner's to say, not the recipient's.
func (f *Filter) prove(d *Domains, all []Claim, m *mail.Message, r Results) {
	if len(all) == 0 {
		return
	}
	who := senderOf(m, r, f.now())
	for i := range all[:min(len(all), maxClaims-1)] {
		c := &all[i]
		c.Proof = r.proof(d, *c, m)
		if c.Proof != ProofPassed {
			f.askSenders(c, who)
		}
	}
}

func (f *Filter) askSenders(c *Claim, who sender) {
	names := []string{c.Customer, EverybodysList}
	if c.Customer == "" {
		names = names[1:]
	}
	for _, name := range names {
		e, found, unsureAbout := f.Live.List(name).senderEntry(who)
		if found {
			c.Proof, c.Listing = ProofListed, Listing{name, e}
			return
		}
		if unsureAbout {
			c.Proof = ProofUnknown
		}
	}
}

// proof weighs what SPF, DKIM and DMARC say for a claim.
func (r Results) proof(d *Domains, c Claim, m *mail.Message) Proof {
	own := func(domain string) bool { return c.speaksFor(d, domain, r) }
	best := NoProof
	if r.DMARC.AuthorDomain != "" && c.sameOwner(d, r.DMARC.AuthorDomain) {
		switch r.DMARC.Word {
		case dmarc.Pass:
			return ProofPassed
		case dmarc.TempError:
			best = ProofUnknown
		}
	}
	for _, s := range r.DKIM {
		switch {
		case s.Word != dkim.Pass && s.Word != dkim.TempError || !own(s.Domain):
		case s.Word == dkim.Pass:
			return ProofPassed
		default:
			best = ProofUnknown
		}
	}
	switch from := r.SPF.MailFrom; {
	case from.Word == spf.Pass && (own(from.Domain) || c.Place == ProtectedSender):
		return ProofPassed
	case from.Word == spf.TempError && (own(from.Domain) || c.Place == ProtectedSender):
		return ProofUnknown
	case best == NoProof && r.Hop.Reason != "" && r.mightPass(m, own):
		return ProofHidden
	}
	return best
}

// mightPass tells whether SPF, which a relay keeps from speaking, could have
// spoken for a claim.
func (r Results) mightPass(m *mail.Message, own func(string) bool) bool {
	if m.Envelope.MailFrom == "" {
		return true // RFC 7208 section 2.4: HELO, which is hidden too
	}
	_, domain, ok := splitRecipient(m.Envelope.MailFrom)
	return ok && own(domain)
}

// sameOwner tells whether a domain is within the same protected domain, or another of
// the same customer.
func (c Claim) sameOwner(d *Domains, domain string) bool {
	protected, customer, ok := d.Owner(domain)
	return ok && (protected == c.Protected || customer != "" && customer == c.Customer)
}

// speaksFor tells whether an authenticated domain stands behind a claim: one
// below the protected domain, one above the name that is claimed, or another of
// the same customer. Where the author's domain has a DMARC policy, that one
// alone says who of its own relations speaks for it: its alignment may be
// strict because others are at home below it.
func (c Claim) speaksFor(d *Domains, domain string, r Results) bool {
	if domain == "" {
		return false
	}
	protected, customer, ok := d.Owner(domain)
	if ok && protected != c.Protected {
		if customer != "" && customer == c.Customer {
			return true
		}
	}
	if c.Domain == r.DMARC.AuthorDomain && r.DMARC.Word == dmarc.Fail {
		return false
	}
	return ok && protected == c.Protected || below(c.Domain, domain) && !isSuffix(domain)
}

// shortest finds the claim whose proof falls shortest: one without proof before one
// that a relay hides, and that before one that the DNS left open. ok is false if
// all are proved.
func shortest(all []Claim) (worst Claim, ok bool) {
	for _, c := range all {
		if rank := c.Proof.lack(); rank > 0 && (!ok || rank > worst.Proof.lack()) {
			worst, ok = c, true
		}
	}
	return worst, ok
}

// lack is how much a proof falls short.
func (p Proof) lack() int {
	switch p {
	case ProofPassed, ProofListed:
		return 0
	case ProofUnknown:
		return 1
	case ProofHidden:
		return 2
	}
	return 3
}

// listedAuthor tells whether the author's name is one that a listed sender may
// write in, and by which entry.
func listedAuthor(all []Claim) (Listing, bool) {
	for _, c := range all {
		if c.Place == ProtectedAuthor && c.Proof == ProofListed {
			return c.Listing, true
		}
	}
	return Listing{}, false
}

// ownList tells whether the author's sender is listed in one of the recipient's
// lists. Who lists senders in a list of his own says that they may write in his
// name; that what he publishes for all the world does not hold for others'
// mailboxes, he cannot say: whether a domain is his, nobody but the DNS knows.
func ownList(lists []string, all []Claim) bool {
	l, listed := listedAuthor(all)
	return listed && slices.Contains(lists, l.List)
}

// listed finds the entry by which a recipient's lists decide about a message: the
// first list that has one.
func (f *Filter) listed(names []string, m *mail.Message, r Results) *Listing {
	if !r.Checked {
		return nil
	}
	var who sender
	ready := false
	for _, name := range names {
		list := f.Live.List(name)
		if list.Len() == 0 {
			continue
		}
		if !ready {
			who, ready = senderOf(m, r, f.now()), true
		}
		if e, found := list.recipientEntry(who); found {
			return &Listing{name, e}
		}
	}
	return nil
}
