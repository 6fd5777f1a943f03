package event

import (
	"strconv"
	"unicode/utf8"
)

// object is a JSON object that is being written: it has a member already and
// lacks its closing brace. Names are ours and need no escaping.
type object struct{ b []byte }

func (o *object) key(key string) {
	o.b = append(append(append(o.b, `,"`...), key...), `":`...)
}

// name is left out where it is empty, like text and list.
func (o *object) name(key, value string) { o.long(key, value, maxName) }

func (o *object) text(key, value string) { o.long(key, value, maxText) }

func (o *object) long(key, value string, limit int) {
	if value == "" {
		return
	}
	o.key(key)
	o.b = appendString(o.b, value, limit)
}

func (o *object) list(key string, values []string, limit int) {
	if len(values) == 0 {
		return
	}
	o.key(key)
	for i, v := range values[:min(len(values), limit)] {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.b = appendString(o.b, v, maxName)
	}
	o.b = append(o.b, ']')
}

func (o *object) number(key string, n int64) {
	o.key(key)
	o.b = appendInt(o.b, n)
}

func (o *object) flag(key string, value bool) {
	o.key(key)
	o.b = strconv.AppendBool(o.b, value)
}

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

func appendString(b []byte, s string, limit int) []byte {
	return append(appendEscaped(append(b, '"'), s, limit), '"')
}

const hexDigits = "0123456789abcdef"

// appendEscaped writes what may stand between the quotes of a JSON string (RFC
// 8259 section 7): at most limit bytes of s, then "...". Bytes that are no UTF-8
// become U+FFFD, and characters that a terminal obeys or that turn the direction
// of the text are escaped.
func appendEscaped(b []byte, s string, limit int) []byte {
	cut := len(s) > limit
	if cut {
		s = whole(s[:limit])
	}
	for i := 0; i < len(s); {
		if n := plain(s[i:]); n > 0 {
			b = append(b, s[i:i+n]...)
			i += n
			continue
		}
		if c := s[i]; c < utf8.RuneSelf {
			b = appendASCII(b, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case unsafe(r):
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	if cut {
		b = append(b, "..."...)
	}
	return b
}

// whole takes the beginning of a character off the end.
func whole(s string) string {
	for i := 1; i < utf8.UTFMax && i <= len(s); i++ {
		if c := s[len(s)-i]; utf8.RuneStart(c) {
			if !utf8.FullRuneInString(s[len(s)-i:]) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}

// plain is how many bytes from the start stand for themselves.
func plain(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// appendASCII escapes what is not plain.
func appendASCII(b []byte, c byte) []byte {
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c)
	case c == '\n':
		return append(b, '\\', 'n')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// unsafe characters are C1 controls, separators of lines, and what changes the
// direction of text or has no width. All are in the basic plane.
func unsafe(r rune) bool {
	switch {
	case r < 0xa0, 0x200b <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f, r == 0xfeff, 0xfff9 <= r && r <= 0xfffb:
		return true
	}
	return false
}
