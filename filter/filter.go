// Package filter judges mail. Check gathers what SPF, DKIM and DMARC say of one
// message, in the order that RFC 9989 fixes, and hands these facts to one pure
// function, Policy.Decide. What comes out is a Verdict: data that a door (SMTP
// proxy, command line) carries out.
package filter

import (
	"context"
	"time"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// Filter judges messages. Immutable: a reload makes a new one.
type Filter struct {
	Policy   Policy
	Resolver dns.Source
	Timeout  time.Duration // of all lookups of one message
}

// Policy is what the operator decided.
type Policy struct{}

// Check judges one message. It never fails and never panics: what goes wrong
// within it is a Defer.
func (f *Filter) Check(ctx context.Context, m *mail.Message) Verdict { return Verdict{} }

// Prefetch warms the cache with what Check will ask. h is nil at MAIL.
func (f *Filter) Prefetch(ctx context.Context, env mail.Envelope, h *mail.Header) {}
