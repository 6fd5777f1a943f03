package filter

import (
	"hash/fnv"

	"sekimori/filter/mail"
)

// rolledOut tells whether a reason is in force for the sender's domain already.
// It is the same for a domain from message to message and on every host, and
// once it is in force it stays so while the percentage grows. Each reason begins
// with other domains, so that it is not the same ones who always go first.
func (p *Policy) rolledOut(reason Reason, m *mail.Message, r Results) bool {
	percent, staged := p.Rollout[reason]
	if !staged || !Staged(reason) {
		return true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(string(reason) + "\x00" + senderName(m, r))) // never fails
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

// senderName is the domain that a rollout goes by: the author's, else that of
// MAIL FROM, else the client's address.
func senderName(m *mail.Message, r Results) string {
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
