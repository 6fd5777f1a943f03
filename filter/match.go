package filter

import (
	"iter"
	"net/netip"
	"strings"
	"time"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// Listing is the entry of a list that decided about a message.
type Listing struct {
	List  string // as Live calls it
	Entry Entry
}

// String names the entry and the list, for the log.
func (l Listing) String() string { return l.Entry.String() + " in list " + l.List }

// standing is what an identity is worth.
type standing int

const (
	claimed standing = iota // anybody can say so
	unsure                  // the DNS did not tell
	proved
)

// identity is a domain or an address that a message goes by.
type identity struct {
	text     string
	standing standing
}

// sender is who a message is from, in the ways in which lists name senders.
type sender struct {
	client    netip.Addr // invalid where it cannot be told
	domains   []identity
	addresses []identity
	signers   []identity
	now       time.Time
}

// senderOf sums the facts up. What MAIL FROM and From claim is among them in any
// case; what a signature claims only if it passes, or might.
func senderOf(m *mail.Message, r Results, now time.Time) sender {
	s := sender{client: r.sender(m.Envelope), now: now}
	checked := spfStanding(r.SPF.MailFrom.Word)
	if local, domain, ok := splitRecipient(m.Envelope.MailFrom); ok {
		s.domains = append(s.domains, identity{domain, claimed})
		s.addresses = append(s.addresses, identity{local + "@" + domain, claimed}, identity{local + "@" + domain, checked})
	}
	if d := r.SPF.MailFrom.Domain; d != "" && checked != claimed {
		s.domains = append(s.domains, identity{d, checked})
	}
	for _, d := range r.DKIM {
		if d.Domain == "" || d.Word != dkim.Pass && d.Word != dkim.TempError {
			continue
		}
		one := identity{d.Domain, unsure}
		if d.Word == dkim.Pass {
			one.standing = proved
		}
		s.domains = append(s.domains, one)
		s.signers = append(s.signers, one)
	}
	for _, a := range r.Author.Addresses {
		if path, err := mail.ParseMailbox(a, true); err == nil {
			local, domain, _ := splitRecipient(path)
			a = local + "@" + domain
			s.addresses = append(s.addresses, identity{a, claimed}, identity{a, r.authorStanding(domain)})
		}
	}
	for _, d := range r.Author.Domains {
		s.domains = append(s.domains, identity{d, claimed})
	}
	return s
}

func spfStanding(w spf.Word) standing {
	switch w {
	case spf.Pass:
		return proved
	case spf.TempError:
		return unsure
	}
	return claimed
}

// authorStanding tells whether an author's domain is authenticated: by DMARC, or
// where it has no policy by SPF or DKIM of exactly this domain.
func (r Results) authorStanding(domain string) standing {
	best := claimed
	if domain == r.DMARC.AuthorDomain {
		switch r.DMARC.Word {
		case dmarc.Pass:
			return proved
		case dmarc.TempError:
			best = unsure
		}
	}
	if r.SPF.MailFrom.Domain == domain {
		best = max(best, spfStanding(r.SPF.MailFrom.Word))
	}
	for _, d := range r.DKIM {
		switch {
		case d.Domain != domain:
		case d.Word == dkim.Pass:
			return proved
		case d.Word == dkim.TempError:
			best = max(best, unsure)
		}
	}
	return best
}

// recipientEntry finds the entry that decides about mail to the list's owner: one
// that blocks before one that allows, and one with proof before one without.
func (l *List) recipientEntry(s sender) (Entry, bool) {
	var best Entry
	found := false
	for at := range l.candidates(s) {
		switch e := l.entry(at.record); {
		case e.Sender, at.standing == unsure, !e.Block && at.standing != proved:
		case e.Block:
			return e, true
		case !found, best.Unsafe != "":
			best, found = e, true
		}
	}
	return best, found
}

// senderEntry finds an entry of somebody who may write in the owner's name.
// unsure: there is none, but there might be if the DNS answered.
func (l *List) senderEntry(s sender) (e Entry, found, unsureAbout bool) {
	for at := range l.candidates(s) {
		if l.records[at.record].does != listsSender {
			continue
		}
		switch at.standing {
		case proved:
			return l.entry(at.record), true, false
		case unsure:
			unsureAbout = true
		}
	}
	return Entry{}, false, unsureAbout
}

// candidate is an entry that names the sender, and what he showed for it.
type candidate struct {
	record   uint32
	standing standing
}

// candidates are the entries in force that name the sender in one of his ways.
func (l *List) candidates(s sender) iter.Seq[candidate] {
	return func(yield func(candidate) bool) {
		if l == nil {
			return
		}
		for first := range l.networks.of(s.client) {
			if !l.chain(first, s, proved, yield) {
				return
			}
		}
		for _, d := range s.domains {
			for name := range upward(d.text, l.depth) {
				if !l.chain(l.first(byDomain, name), s, d.standing, yield) {
					return
				}
			}
		}
		for _, d := range s.signers {
			if !l.chain(l.first(bySigner, d.text), s, d.standing, yield) {
				return
			}
		}
		for _, a := range s.addresses {
			if !l.chain(l.first(byAddress, a.text), s, a.standing, yield) ||
				!l.chain(l.first(byUnsafe, a.text), s, proved, yield) {
				return
			}
		}
	}
}

// first finds the first record of a kind and text, 0 if there is none.
func (l *List) first(k kind, text string) uint32 {
	var room [320]byte
	key := append(append(room[:0], byte(k)), text...)
	return l.names[string(key)]
}

// chain gives the records that hold at this hour and from this client.
func (l *List) chain(at uint32, s sender, st standing, yield func(candidate) bool) bool {
	for ; at != 0; at = l.records[at].next {
		r := &l.records[at]
		if r.expired(s.now) {
			continue
		}
		if r.network != 0 && !(s.client.IsValid() && l.prefixes[r.network].Contains(s.client)) {
			continue
		}
		if !yield(candidate{at, st}) {
			return false
		}
	}
	return true
}

// String is an entry for the log: what it names, without its author and note.
func (e Entry) String() string {
	verb := "allow"
	switch {
	case e.Block:
		verb = "block"
	case e.Sender:
		verb = "sender"
	}
	words := []string{verb}
	for _, one := range [][2]string{{"domain", e.Domain}, {"address", e.Address}, {"signer", e.Signer}, {"unsafe", e.Unsafe}} {
		if one[1] != "" {
			words = append(words, one[0]+"="+one[1])
		}
	}
	if e.Network.IsValid() {
		words = append(words, "network="+e.Network.String())
	}
	return strings.Join(words, " ")
}
