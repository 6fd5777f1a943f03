package dns

import (
	"errors"
	"strings"
)

// ErrName is in the chain of Answer.Err when the name cannot be asked for at
// all: it is empty, has an empty label, or breaks the sizes of RFC 1035 section
// 2.3.4 (63 bytes a label, 253 in all). No packet was sent, and asking again
// later gives the same.
var ErrName = errors.New("not a name the DNS can have")

// canonical is the form of a Question's name: ASCII letters in lower case
// (RFC 4343), no trailing dot. Other bytes stay as they are.
func canonical(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := 0; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return lowered(name)
		}
	}
	return name
}

func lowered(name string) string {
	b := []byte(name)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// askable tells whether a canonical name fits into a question. Any byte may
// stand in a label (RFC 2181 section 11): SPF macros make such names.
func askable(name string) bool {
	// RFC 1035 section 2.3.4: 255 octets on the wire, two of which are no text.
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// present writes a name as master files do (RFC 1035 section 5.1): absolute,
// with every byte that could be misread escaped.
func present(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= 0x7f || special(byte(r)) }) {
		return name + "."
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if special(c) || c >= 0x7f {
			b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String() + "."
}

func special(c byte) bool { return c <= ' ' || strings.IndexByte(`"'\;()@$`, c) >= 0 }

// parseName reads the presentation form of an absolute name into the canonical
// one. Not ok: a name that is not absolute, or has a dot inside a label, which
// the canonical form cannot tell from two labels.
func parseName(s string) (name string, ok bool) {
	if s == "" || s[len(s)-1] != '.' {
		return "", false
	}
	if strings.IndexByte(s, '\\') < 0 {
		return canonical(s), true
	}
	raw, dotted := unescape(s)
	if dotted || raw[len(raw)-1] != '.' {
		return "", false
	}
	return canonical(raw), true
}

// parseHost is parseName for the names that records hand to us as data. A
// host's name has nothing that needs an escape, so what has comes from somebody
// who tries what we do with it.
func parseHost(s string) (name string, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\' {
			return "", false
		}
	}
	return parseName(s)
}

// unescape turns presentation format into bytes: \DDD is one byte, \X is X.
// dotted: an escaped dot was among them.
func unescape(s string) (raw string, dotted bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, false
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			i++
			c = s[i]
			if i+2 < len(s) && digit(c) && digit(s[i+1]) && digit(s[i+2]) {
				c = (c-'0')*100 + (s[i+1]-'0')*10 + (s[i+2] - '0')
				i += 2
			}
			dotted = dotted || c == '.'
		}
		b = append(b, c)
	}
	return string(b), dotted
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
