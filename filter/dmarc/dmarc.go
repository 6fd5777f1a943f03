// Package dmarc evaluates Domain-based Message Authentication, Reporting and
// Conformance (RFC 9989). Gather does all the asking, Evaluate is pure: facts
// and authenticated identifiers go in, the result and the policy in force come
// out.
package dmarc

import "context"

// Word is a result of RFC 9989 section 9.
type Word string

// The results.
const (
	None      Word = "none"
	Pass      Word = "pass"
	Fail      Word = "fail"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// Policy is a domain's request (RFC 9989 section 4.7: p, sp, np).
type Policy string

// The policies; "" where there is no record.
const (
	PolicyNone       Policy = "none"
	PolicyQuarantine Policy = "quarantine"
	PolicyReject     Policy = "reject"
)

// Identifier is a domain that another check vouches for, or would.
type Identifier struct {
	Domain string // as mail.ASCIIDomain; "" if there is none
	Result string // of SPF or DKIM, RFC 8601's word: only "pass" authenticates
}

// Facts are all that the DNS says; Evaluate needs nothing else.
type Facts struct {
	Author  string
	Queries []string // names asked for TXT, in order, each once
}

// Result is the verdict of DMARC.
type Result struct {
	Word                 Word
	AuthorDomain         string
	OrganizationalDomain string // of the author
	PolicyDomain         string // whose record applies; "" if none
	Record               string // that record, printable ASCII, at most 1024 bytes
	Policy               Policy // as published for this author (p, sp or np)
	Effective            Policy // after t= (section 4.7)
	Testing              bool   // t=y
	SPFAligned           bool   // passed and aligned
	DKIMAligned          []bool // by DKIM identifier: its domain is aligned, whether it passed or not
	Reason               string // plain words
	Queries              []string
}

// Resolver is what Gather asks; *dns.Session is one. Errors are *dns.Error.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Gather walks the tree (RFC 9989 section 4.10) for the author domain and,
// where alignment needs it, for the identifiers. author is as mail.ASCIIDomain.
func Gather(ctx context.Context, r Resolver, author string, ids []Identifier) Facts {
	return Facts{Author: author}
}

// Evaluate applies RFC 9989 section 5.3 to the facts.
func (f Facts) Evaluate(spf Identifier, dkim []Identifier) Result {
	return Result{Word: None, AuthorDomain: f.Author}
}
