package authres

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// lost stands at the end of a value which is not whole: what remains of a
// hostile value must not read as somebody's domain. Its brackets force quotes.
const lost = "[...]"

// clean makes any bytes printable: control characters, invisible ones and what
// is no UTF-8 are dropped, characters beyond ASCII become "?" unless the message
// may have them, and the end is cut off beyond maxValue bytes.
func clean(s string, international bool) string {
	if len(s) <= maxValue && isPlain(s) {
		return s
	}
	var b strings.Builder
	whole := true
	for _, r := range s {
		switch {
		case r == utf8.RuneError || !unicode.IsPrint(r):
			whole = false
			continue
		case r >= utf8.RuneSelf && !international:
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > maxValue {
			whole = false
			break
		}
		b.WriteRune(r)
	}
	if !whole && b.Len() > 0 {
		b.WriteString(lost)
	}
	return b.String()
}

// isPlain: printable ASCII, of which nothing has to be cleaned.
func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// idvalue writes a cleaned value as RFC 2045 section 5.1 has it: bare if it is a
// token, else as a quoted-string.
func idvalue(s string) string {
	if isToken(s) {
		return s
	}
	return quote(s)
}

// pvalue is idvalue for a property (RFC 8601 section 2.2), where an address or a
// domain may stand bare too.
func pvalue(s string) string {
	if isPlainAddress(s) {
		return s
	}
	return idvalue(s)
}

// quote makes a quoted-string (RFC 5322 section 3.2.4).
func quote(s string) string {
	return `"` + escape(s, `"\`) + `"`
}

// comment makes a comment (RFC 5322 section 3.2.2) of any bytes, in words
// between which it may be folded; nil if nothing is left.
func comment(s string, international bool) []string {
	words := strings.Fields(clean(s, international))
	if len(words) == 0 {
		return nil
	}
	for i := range words {
		// A semicolon may stand in a comment, but not every reader of the field knows.
		words[i] = escape(words[i], `()\;`)
	}
	words[0] = "(" + words[0]
	words[len(words)-1] += ")"
	return words
}

// escape sets a backslash before each of the special characters.
func escape(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isKeyword: RFC 5321 section 4.1.2, of at most maxKeyword bytes.
func isKeyword(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxKeyword && s[len(s)-1] != '-'
}

// isToken: RFC 2045 section 5.1.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

func isTokenByte(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

// isPlainAddress: [ [ local-part ] "@" ] domain-name where the local part needs
// no quotes and no character that a hasty reader would stumble over.
func isPlainAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && (local == "" || isToken(local) && isDotString(local)) && isDomainName(domain)
}

// isDotString: RFC 5321 section 4.1.2, with RFC 6531 section 3.3.
func isDotString(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := 0; i < len(atom); i++ {
			if !isAlnum(atom[i]) && atom[i] < 0x80 && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", atom[i]) < 0 {
				return false
			}
		}
	}
	return true
}

// isDomainName: RFC 6376 section 3.5, with RFC 6531 section 3.3 and, as the DNS
// has them, underscores.
func isDomainName(s string) bool {
	if len(s) > 255 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := 0; i < len(label); i++ {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' && c < 0x80 {
				return false
			}
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
