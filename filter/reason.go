package filter

// The closed set of reasons, each with a reply of its own (see replies).
const (
	TrustedNetwork      Reason = "trusted_network"       // the operator's own: nothing is enforced
	BareNewline         Reason = "bare_newline"          // a CR or LF alone: the message may read differently behind us
	MalformedHeader     Reason = "malformed_header"      // control bytes, or lines that are no header field
	AuthorMissing       Reason = "author_missing"        // no From field, or none with a domain
	AuthorMalformed     Reason = "author_malformed"      // several From fields, or one that does not parse
	AuthorMultiple      Reason = "author_multiple"       // From names several domains
	DMARCPass           Reason = "dmarc_pass"            // the author's domain vouches for it
	DMARCFailReject     Reason = "dmarc_fail_reject"     // policy reject, and nobody at all vouches for it
	DMARCFailOther      Reason = "dmarc_fail_other"      // policy reject, but somebody else vouches for it: a list, a forwarder, a spoofer
	DMARCFailQuarantine Reason = "dmarc_fail_quarantine" // policy quarantine
	DMARCFailNone       Reason = "dmarc_fail_none"       // policy none: the domain only watches
	SPFFail             Reason = "spf_fail"              // no DMARC record, SPF forbids the client, no DKIM
	DNSTempError        Reason = "dns_temperror"         // the DNS did not answer what would have decided
	DMARCNone           Reason = "dmarc_none"            // no DMARC record, and nothing against it
	InternalError       Reason = "internal_error"        // a fault of ours
)

// Reasons lists them all, in the order in which Decide asks.
func Reasons() []Reason {
	return []Reason{
		BareNewline, TrustedNetwork, MalformedHeader, AuthorMissing, AuthorMalformed, AuthorMultiple,
		DMARCPass, DMARCFailReject, DMARCFailOther, DMARCFailQuarantine, DMARCFailNone,
		SPFFail, DNSTempError, DMARCNone, InternalError,
	}
}
