// Package dmarc evaluates Domain-based Message Authentication, Reporting and
// Conformance (RFC 9989). Gather does all the asking, Evaluate is pure: facts
// and authenticated identifiers go in, the result and the policy in force come
// out.
package dmarc

// Word is a result of RFC 9989 section 9.
type Word string

// The results. PermError is never given: RFC 9989 section 4.10.1 says that a
// record without a usable policy means no DMARC processing, which is None.
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

// Result is the verdict of DMARC. Policy and Effective are what the record
// says, filled with every Word where the record is known: only Fail asks for
// them to be applied.
type Result struct {
	Word                 Word
	AuthorDomain         string
	OrganizationalDomain string   // of the author; "" if DNS trouble leaves it open
	PolicyDomain         string   // whose record applies; "" if none
	Record               string   // that record, printable ASCII, at most 1024 bytes
	Policy               Policy   // as published for this author (p, sp or np)
	Effective            Policy   // after t= (section 4.7)
	Testing              bool     // t=y
	SPFAligned           bool     // passed and aligned
	DKIMAligned          []bool   // by DKIM identifier: its domain is aligned for certain, whether it passed or not
	Reason               string   // plain words; "" with Pass
	Notes                []string // plain words: what an admin should know about how the result came to be
	Queries              []string
}
