package proxy

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"sekimori/filter/mail"
)

const localPartMax = 256 // octets; RFC 5321 section 4.5.3.1.1 asks for 64, mailing lists need more

// path makes a mailbox, from which the library has taken the quotes, fit to be
// said to an MTA: the local part is quoted again where it needs to be, and
// nothing in it can end the path or begin a parameter. syntax is the enhanced
// code of a bad one. What was refused has a code in the reply.
func path(mailbox string, international bool, syntax string) (string, reply) {
	local, domain, ok := cutLast(mailbox)
	if !ok || len(local) > localPartMax || !utf8.ValidString(mailbox) {
		return "", own(501, syntax, "bad address syntax")
	}
	// RFC 6531 section 3.5: without SMTPUTF8 an address is ASCII.
	if !international && !ascii(mailbox) {
		return "", own(553, "5.6.7", "a non-ASCII address needs SMTPUTF8")
	}
	local, ok = quoteLocal(local)
	if !ok || !domainOrLiteral(domain) {
		return "", own(501, syntax, "bad address syntax")
	}
	return local + "@" + domain, reply{}
}

// cutLast cuts at the last @: a domain has none, a quoted local part may.
func cutLast(mailbox string) (local, domain string, ok bool) {
	i := strings.LastIndexByte(mailbox, '@')
	if i < 0 {
		return "", "", false
	}
	return mailbox[:i], mailbox[i+1:], true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// quoteLocal gives the Local-part for an unquoted one (RFC 5321 section 4.1.2):
// a Dot-string if it can be, else a Quoted-string. Control characters can be in
// neither.
func quoteLocal(s string) (string, bool) {
	var quoted strings.Builder
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", false
		}
		if s[i] == '"' || s[i] == '\\' {
			quoted.WriteByte('\\')
		}
		quoted.WriteByte(s[i])
	}
	if dotString(s) {
		return s, true
	}
	return `"` + quoted.String() + `"`, true
}

func dotString(s string) bool {
	for _, atom := range strings.Split(s, ".") {
		if atom == "" || strings.ContainsAny(atom, "()<>[]:;@\\,\" ") {
			return false
		}
	}
	return true
}

// domainOrLiteral tells whether s may stand behind the @.
func domainOrLiteral(s string) bool {
	if len(s) > 255 {
		return false
	}
	if literal, ok := strings.CutPrefix(s, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		return ok && addressLiteral(literal)
	}
	_, err := mail.ASCIIDomain(s)
	return err == nil && !strings.ContainsAny(s, "<>@[]\\\"(),:; \t\r\n\x00")
}

// addressLiteral: RFC 5321 section 4.1.3, the two kinds that there are.
func addressLiteral(s string) bool {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		a, err := netip.ParseAddr(s[5:])
		return err == nil && a.Is6() && a.Zone() == ""
	}
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}

// hello tells whether a HELO name may be repeated anywhere at all. Syntax is
// not asked for: RFC 5321 section 4.1.4 forbids to refuse for more.
func hello(name string) bool {
	if name == "" || len(name) > 255 || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
