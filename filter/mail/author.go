package mail

// AuthorStatus says what the From field gives.
type AuthorStatus string

// One of these, always.
const (
	AuthorDomain    AuthorStatus = "domain"    // exactly one domain
	AuthorNone      AuthorStatus = "none"      // no From field, or one without a domain
	AuthorMultiple  AuthorStatus = "multiple"  // several different domains
	AuthorMalformed AuthorStatus = "malformed" // several From fields, or one that does not parse
)

// Author is the author of a message as RFC 9989 section 5.3.1 asks for it:
// exactly one domain, or why there is none.
type Author struct {
	Status  AuthorStatus
	Domain  string   // A-label, lower case; only with AuthorDomain
	Domains []string // each once, in order; one with AuthorDomain, two or more with AuthorMultiple, else as far as certain
	Reason  string   // plain words, no bytes of the message; "" with AuthorDomain
}

// Author reads the From field (RFC 5322 section 3.6.2).
func (m *Message) Author() Author { return Author{Status: AuthorNone} }
