package dmarc

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// registered is the number of labels that a name's organizational domain has at
// the least: one more than its public suffix, or all of a name that is itself a
// suffix.
//
// This is a safety net under RFC 9989 section 4.10.2, whose third rule makes a
// registry that publishes a record without psd=y (section 11.8) the
// organization of all its registrants, who could then pass for one another.
// Organizational domains only ever get longer by it, so names that the RFC keeps
// apart by registrant stay apart.
//
// Only registries count: the ICANN section of the list, and any top-level
// domain, known to it or not. The private section (hosting platforms) does not:
// such a suffix is one registrant's property, who runs the DNS of all names in
// it, signs mail for them with his own domain, and has psd=y to set them apart.
func registered(name string) int {
	suffix, icann := publicsuffix.PublicSuffix(name)
	for !icann && strings.Contains(suffix, ".") {
		suffix, icann = publicsuffix.PublicSuffix(parent(suffix))
	}
	return min(labels(name), labels(suffix)+1)
}
