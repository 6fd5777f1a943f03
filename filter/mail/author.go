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
	Domains []string // each once, in order; one with AuthorDomain, two or more with AuthorMultiple, else none
	Reason  string   // plain words, no bytes of the message; "" with AuthorDomain

	// Addresses are those of From, the first ten: the local part as written, valid
	// UTF-8, the domain as in Domains. Nothing is decided by a local part.
	Addresses []string
}

// Author reads the From field (RFC 5322 section 3.6.2).
func (m *Message) Author() Author { return m.Header.Author() }

// Author reads the From field. Sender, Author (RFC 9057) and the Resent fields
// say nothing of it (RFC 5322 section 3.6.6).
//
// A From field is one whatever the case of its name and with WSP before its
// colon too (RFC 5322 section 4.5). A line that is no field but that a reader
// may take for a From field makes the author malformed.
func (h *Header) Author() Author {
	for i := range h.Fields {
		if f := &h.Fields[i]; f.Name == "" && f.looksLike("From") {
			return malformed("a line that is no header field looks like a From field")
		}
	}
	switch h.Count("From") {
	case 0:
		return Author{Status: AuthorNone, Reason: "there is no From field"}
	case 1:
		return parseAuthor(h.Get("From").Value)
	}
	return malformed("there are several From fields")
}

func malformed(reason string) Author { return Author{Status: AuthorMalformed, Reason: reason} }

// parseAuthor reads the value of a From field.
func parseAuthor(value []byte) Author {
	p := addressParser{in: value}
	if !p.list() {
		return malformed(p.fault)
	}
	switch {
	case len(p.domains) == 1 && !p.literal:
		return Author{Status: AuthorDomain, Domain: p.domains[0], Domains: p.domains, Addresses: p.addresses}
	case len(p.domains) > 1:
		return Author{Status: AuthorMultiple, Domains: p.domains, Addresses: p.addresses, Reason: "the From field has authors of several domains"}
	case len(p.domains) == 1:
		return malformed("the From field has an address literal beside a domain")
	case p.literal:
		return Author{Status: AuthorNone, Reason: "the From field has an address literal and no domain"}
	}
	return Author{Status: AuthorNone, Reason: "the From field has no address"}
}
