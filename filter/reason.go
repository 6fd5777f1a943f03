package filter

// The closed set of reasons, each with a reply of its own (see replies).
const (
	TrustedNetwork      Reason = "trusted_network"       // the operator's own: nothing is enforced
	BareNewline         Reason = "bare_newline"          // a CR or LF alone: the message may read differently behind us
	Blocked             Reason = "blocked"               // a list of the recipient's blocks the sender
	MalformedHeader     Reason = "malformed_header"      // control bytes, or lines that are no header field
	AuthorMissing       Reason = "author_missing"        // no From field, or none with a domain
	AuthorMalformed     Reason = "author_malformed"      // several From fields, or one that does not parse
	AuthorMultiple      Reason = "author_multiple"       // From names several domains
	ProtectedAuthor     Reason = "protected_author"      // From has a protected domain, and nothing proves it
	ProtectedName       Reason = "protected_name"        // the display name has an address of one, and nothing proves it
	ProtectedSender     Reason = "protected_sender"      // MAIL FROM has one, and nothing proves it
	ListedSender        Reason = "listed_sender"         // From has a protected domain, and its owner lists the sender
	Allowed             Reason = "allowed"               // a list of the recipient's lets the sender through, who has proved who he is
	AllowedUnsafe       Reason = "allowed_unsafe"        // likewise, but anybody can say to be this sender
	DMARCPass           Reason = "dmarc_pass"            // the author's domain vouches for it
	DMARCFailReject     Reason = "dmarc_fail_reject"     // policy reject, and nobody at all vouches for it
	DMARCFailOther      Reason = "dmarc_fail_other"      // policy reject, but somebody else vouches for it: a list, a forwarder, a spoofer
	DMARCFailQuarantine Reason = "dmarc_fail_quarantine" // policy quarantine
	DMARCFailNone       Reason = "dmarc_fail_none"       // policy none: the domain only watches
	SPFFail             Reason = "spf_fail"              // no DMARC record, SPF forbids the client, no DKIM
	DNSTempError        Reason = "dns_temperror"         // the DNS did not answer what would have decided
	DMARCNone           Reason = "dmarc_none"            // no DMARC record, and nothing against it
	NoReverseName       Reason = "no_reverse_name"       // the client has no name in the DNS that points back to it
	SenderMissing       Reason = "sender_missing"        // the domain of MAIL FROM does not exist
	SenderNullMX        Reason = "sender_null_mx"        // the domain of MAIL FROM takes no mail (RFC 7505)
	Unauthenticated     Reason = "unauthenticated"       // no SPF pass, no DKIM pass, and the author's domain has no DMARC record
	InternalError       Reason = "internal_error"        // a fault of ours
)

// Reasons lists them all, in the order in which Decide asks.
func Reasons() []Reason {
	return []Reason{
		BareNewline, TrustedNetwork, Blocked, MalformedHeader, AuthorMissing, AuthorMalformed, AuthorMultiple,
		ProtectedAuthor, ProtectedName, ProtectedSender, ListedSender, Allowed, AllowedUnsafe,
		DMARCPass, DMARCFailReject, DMARCFailOther, DMARCFailQuarantine, DMARCFailNone,
		SPFFail, DNSTempError, DMARCNone,
		SenderMissing, SenderNullMX, NoReverseName, Unauthenticated, InternalError,
	}
}
