package mail

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath is in octets: 256 with its angle brackets (RFC 5321 section
// 4.5.3.1.3). A local part may take what the domain leaves: section 4.5.3.1.1
// asks for 64, but lists and forwarders make longer ones.
const maxPath = 254

// PathError is an address that SMTP has no place for: 501 5.1.7 in MAIL and
// 5.1.3 in RCPT, or 5.6.7 where UTF8 is true (RFC 6531 section 3.5). It holds
// no bytes of the address.
type PathError struct {
	Reason string // plain words
	UTF8   bool   // it would be right with SMTPUTF8
}

func (e *PathError) Error() string { return e.Reason }

// ParsePath checks a path whose quotes and angle brackets are off, as an SMTP
// server library hands it over (`"a b"@d` came as `a b@d`), and gives it in the
// form that Envelope keeps and that may stand in a command again: the local part
// in quotes if it needs them, else without, the domain as written. "" is the
// null reverse-path and comes back as it is; no recipient may be that.
//
//   - The domain is what follows the last @ (RFC 5321 section 4.1.2): labels that
//     ASCIIDomain takes, without a trailing dot, or an address literal.
//   - A local part of atext and dots is right wherever the dots stand, so that
//     `a..b@example.jp` is not changed. Anything else is quoted. Controls are
//     never right.
//   - `a@b@d` may have been `"a@b"@d`, but an unquoted second @ looks the same
//     by now. It is refused unless other bytes show that there were quotes.
//   - Bytes beyond ASCII need smtputf8, the parameter SMTPUTF8 (RFC 6531).
//   - At most 254 octets in all.
//
// A source route is the library's to strip (RFC 5321 appendix C) or to refuse;
// one that comes here is an error. Errors are *PathError.
func ParsePath(s string, smtputf8 bool) (string, error) {
	if s == "" {
		return "", nil
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "", &PathError{Reason: "the address has no @"}
	}
	local := s[:at]
	if first, _, two := strings.Cut(local, "@"); two && !wasQuoted(first, local) {
		return "", &PathError{Reason: "the address has more than one @"}
	}
	return joinPath(local, s[at+1:], smtputf8)
}

// wasQuoted tells whether a local part with an @ in it can only have been in
// quotes: a space or > would have ended the path, and nothing but a dot-string
// could have led to the first @. Where that @ is the first byte of all, it may be
// a source route.
func wasQuoted(first, local string) bool {
	return first != "" && (strings.ContainsAny(local, " >") || !isDots(first))
}

// ParseMailbox is ParsePath for an address as it is written in a command, with
// its quotes (RFC 5321 section 4.1.2 Mailbox), so that no doubt remains:
// `"a@b"@d` is right, `a@b@d` is not. "" is not right.
func ParseMailbox(s string, smtputf8 bool) (string, error) {
	local, domain, ok := SplitAddress(s)
	if !ok {
		return "", &PathError{Reason: "the address has no @ with something on either side"}
	}
	if local[0] != '"' {
		if !isDots(local) {
			return "", &PathError{Reason: "the local part of the address has characters that need quotes"}
		}
		return joinPath(local, domain, smtputf8)
	}
	plain, ok := unquote(local)
	if !ok {
		return "", &PathError{Reason: "the local part of the address is not quoted right"}
	}
	return joinPath(plain, domain, smtputf8)
}

// unquote takes a Quoted-string apart; quoted begins with a quote.
func unquote(quoted string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(quoted); i++ {
		switch c := quoted[i]; c {
		case '"':
			return b.String(), i == len(quoted)-1
		case '\\':
			if i++; i == len(quoted) {
				return "", false
			}
		}
		b.WriteByte(quoted[i])
	}
	return "", false
}

// joinPath checks both sides, a local part without quotes and a domain, and
// puts them together.
func joinPath(local, domain string, smtputf8 bool) (string, error) {
	if err := checkLocal(local, smtputf8); err != nil {
		return "", err
	}
	if err := checkPathDomain(domain, smtputf8); err != nil {
		return "", err
	}
	if !isDots(local) {
		local = quote(local)
	}
	if len(local)+1+len(domain) > maxPath {
		return "", &PathError{Reason: "the address is too long"}
	}
	return local + "@" + domain, nil
}

func checkLocal(local string, smtputf8 bool) error {
	switch {
	case local == "":
		return &PathError{Reason: "the address has no local part"}
	case !utf8.ValidString(local):
		return &PathError{Reason: "the local part of the address is not UTF-8"}
	case strings.ContainsFunc(local, unicode.IsControl):
		return &PathError{Reason: "the local part of the address has control characters"}
	case !smtputf8 && !isASCII(local):
		return &PathError{Reason: "the address is internationalized and SMTPUTF8 was not asked for", UTF8: true}
	}
	return nil
}

func checkPathDomain(domain string, smtputf8 bool) error {
	if strings.HasPrefix(domain, "[") {
		if !isAddressLiteral(domain) {
			return &PathError{Reason: "the address literal of the address cannot be read"}
		}
		return nil
	}
	switch _, absolute, err := asciiDomain(domain); {
	case err != nil:
		return &PathError{Reason: "the address: " + err.Error()}
	case absolute:
		return &PathError{Reason: "the domain of the address has a dot at its end"}
	case !smtputf8 && !isASCII(domain):
		return &PathError{Reason: "the domain of the address is internationalized and SMTPUTF8 was not asked for", UTF8: true}
	}
	return nil
}

// isAddressLiteral: RFC 5321 section 4.1.3; of the tags, only IPv6 is registered.
func isAddressLiteral(s string) bool {
	inner, ok := strings.CutSuffix(strings.TrimPrefix(s, "["), "]")
	if !ok {
		return false
	}
	const tag = "IPv6:"
	want6 := len(inner) > len(tag) && strings.EqualFold(inner[:len(tag)], tag)
	if want6 {
		inner = inner[len(tag):]
	}
	a, err := netip.ParseAddr(inner)
	return err == nil && a.Is6() == want6 && a.Zone() == ""
}

// isDots: atext and dots only, in any order: a Dot-string (RFC 5321 section
// 4.1.2) but for the dots' places.
func isDots(local string) bool {
	for i := range len(local) {
		if c := local[i]; !isAtext(c) && c != '.' && c < utf8.RuneSelf {
			return false
		}
	}
	return local != ""
}

// quote makes a Quoted-string (RFC 5321 section 4.1.2).
func quote(local string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(local) {
		if c := local[i]; c == '"' || c == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(local[i])
	}
	b.WriteByte('"')
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
