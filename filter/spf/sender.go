package spf

import (
	"strings"

	"sekimori/filter/mail"
)

// sender is the identity that is checked: local@domain.
type sender struct {
	local  string // without quoting
	domain string // as mail.ASCIIDomain, at least two labels
	fault  string // why there is nothing to check; "" if there is
}

// heloSender is postmaster@HELO (RFC 7208 sections 2.4 and 4.3).
func heloSender(helo string) sender {
	// RFC 8616 section 3: a greeting is in A-labels, never in U-labels.
	domain, ok := checkable(helo)
	if !ok || !ascii(helo) {
		return sender{fault: "the HELO name is not a domain name"}
	}
	return sender{local: "postmaster", domain: domain}
}

func mailSender(path string) sender {
	local, name, ok := splitPath(path)
	if !ok {
		return sender{fault: "the sender has no domain"}
	}
	domain, ok := checkable(name)
	if !ok {
		return sender{fault: "the sender's domain is not a domain name"}
	}
	if local == "" {
		local = "postmaster" // RFC 7208 section 4.3
	}
	return sender{local: local, domain: domain}
}

// splitPath cuts at the last @ outside quotes; unlike mail.SplitAddress it lets
// the local part be empty.
func splitPath(path string) (local, domain string, ok bool) {
	if domain, ok = strings.CutPrefix(path, "@"); ok && !strings.Contains(domain, "@") {
		return "", domain, true
	}
	local, domain, ok = mail.SplitAddress(path)
	return unquote(local), domain, ok
}

// unquote gives the meaning of a Quoted-string (RFC 5321 section 4.1.2): the
// quotes are no part of the mailbox's name.
func unquote(local string) string {
	if len(local) < 2 || local[0] != '"' || local[len(local)-1] != '"' {
		return local
	}
	var b strings.Builder
	inner := local[1 : len(local)-1]
	for i := 0; i < len(inner); i++ {
		if inner[i] == '\\' && i+1 < len(inner) {
			i++
		}
		b.WriteByte(inner[i])
	}
	return b.String()
}

// checkable gives the domain that check_host() may be asked about. RFC 7208
// section 4.3: malformed names, literals and single labels are none of its
// business, and a numeric last label is an address, not a name.
func checkable(name string) (string, bool) {
	domain, err := mail.ASCIIDomain(name)
	if err != nil {
		return "", false
	}
	dot := strings.LastIndexByte(domain, '.')
	return domain, dot >= 0 && toplabel(domain[dot+1:])
}

// askable tells whether a DNS question can be made of the name: labels of 1 to
// 63 octets, 253 in all (RFC 1035 section 2.3.4). Any printable byte may stand
// in a label, as macros put them there; what else there is nobody has published.
func askable(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
