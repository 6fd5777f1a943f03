// Package authres writes Authentication-Results fields (RFC 8601) and finds the
// received ones that pretend to be ours. It is the only place that escapes
// values for a header.
package authres

import "sekimori/filter/mail"

// Property is one ptype.property=value.
type Property struct {
	Type  string // "smtp", "header", "policy"
	Name  string
	Value string // any bytes: escaped on output
}

// Method is the result of one check.
type Method struct {
	Name       string // "spf", "dkim", "dmarc", "iprev"
	Result     string
	Reason     string // any bytes: escaped on output; "" for none
	Comment    string // likewise
	Properties []Property
}

// Results is one Authentication-Results field.
type Results struct {
	ID      string // our authserv-id
	Methods []Method
}

// Field gives the whole field, folded at about 78 and never beyond 998
// characters a line, ending in CRLF.
func (r Results) Field() string { return "" }

// Forged gives the indices of the fields of h which must be dropped: the
// Authentication-Results whose authserv-id is one of ids, or cannot be told for
// certain (RFC 8601 section 5).
func Forged(h mail.Header, ids []string) []int { return nil }
