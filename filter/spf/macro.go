package spf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// macro is one piece of a macro-string (RFC 7208 section 7.1).
type macro struct {
	letter     byte   // lower case; 0 for a literal
	literal    string // with letter 0
	written    bool   // the literal stands so in the record; not %%, %_ or %-
	escape     bool   // the letter was upper case
	parts      int    // rightmost parts to keep, 0 for all
	reverse    bool
	delimiters string
}

// The letters that macros know (RFC 7208 section 7.2).
const (
	termLetters        = "slodipvh"
	explanationLetters = termLetters + "crt"
)

const (
	maxName  = 253  // RFC 7208 section 7.3
	maxParts = 9999 // a digit transformer beyond means the same: no value has so many parts
)

var (
	errByte  = errors.New("a byte that is not printable ASCII")
	errMacro = errors.New("a malformed macro")
)

// parseMacros reads a macro-string; letters are those allowed there. Space is
// for the caller to refuse. One pass.
func parseMacros(s, letters string) ([]macro, error) {
	var out []macro
	for s != "" {
		n := strings.IndexByte(s, '%')
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			out = append(out, macro{literal: s[:n], written: true})
			s = s[n:]
			continue
		}
		m, rest, err := parseExpand(s, letters)
		if err != nil {
			return nil, err
		}
		out, s = append(out, m), rest
	}
	return out, nil
}

// parseExpand reads the macro-expand at the start of s.
func parseExpand(s, letters string) (m macro, rest string, err error) {
	if len(s) < 2 {
		return m, "", errMacro
	}
	switch s[1] {
	case '%':
		return macro{literal: "%"}, s[2:], nil
	case '_':
		return macro{literal: " "}, s[2:], nil
	case '-':
		return macro{literal: "%20"}, s[2:], nil
	case '{':
		if body, rest, ok := strings.Cut(s[2:], "}"); ok && body != "" {
			m, err := parseLetter(body, letters)
			return m, rest, err
		}
	}
	return m, "", errMacro
}

// parseLetter reads what stands between the braces.
func parseLetter(body, letters string) (macro, error) {
	m := macro{letter: lower(body[0]), escape: body[0] < 'a', delimiters: "."}
	if strings.IndexByte(letters, m.letter) < 0 {
		return m, errMacro
	}
	body = body[1:]
	digits := len(body) - len(strings.TrimLeft(body, "0123456789"))
	for _, d := range []byte(body[:digits]) {
		m.parts = min(m.parts*10+int(d-'0'), maxParts)
	}
	if digits > 0 && m.parts == 0 {
		return m, errMacro // RFC 7208 section 7.3: the number must not be zero
	}
	body = body[digits:]
	if body != "" && lower(body[0]) == 'r' {
		m.reverse, body = true, body[1:]
	}
	if strings.Trim(body, ".-+,/_=") != "" {
		return m, errMacro
	}
	if body != "" {
		m.delimiters = body
	}
	return m, nil
}

// uses tells whether one of the letters stands in the macros.
func uses(macros []macro, letters string) bool {
	return slices.ContainsFunc(macros, func(m macro) bool {
		return m.letter != 0 && strings.IndexByte(letters, m.letter) >= 0
	})
}

// expandName expands a domain-spec. RFC 7208 section 7.3: a name of more than
// 253 characters loses labels from its left. So the work goes from the right
// and ends where nothing can be left.
func expandName(macros []macro, value func(letter byte) string) string {
	var pieces []string
	size := 0
	for i := len(macros) - 1; i >= 0 && size <= maxName+1; i-- {
		piece := macros[i].expand(value)
		pieces, size = append(pieces, piece), size+len(piece)
	}
	slices.Reverse(pieces)
	name := strings.TrimSuffix(strings.Join(pieces, ""), ".")
	if len(name) <= maxName {
		return name
	}
	tail := name[len(name)-maxName-1:]
	_, name, _ = strings.Cut(tail, ".")
	return name
}

// expandText expands an explanation, of which the first limit printable bytes
// are kept.
func expandText(macros []macro, limit int, value func(letter byte) string) string {
	var b strings.Builder
	for _, m := range macros {
		for _, c := range []byte(m.expand(value)) {
			if b.Len() >= limit {
				return b.String()
			}
			if c >= ' ' && c <= '~' {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

func (m macro) expand(value func(letter byte) string) string {
	if m.letter == 0 {
		return m.literal
	}
	parts := split(value(m.letter), m.delimiters)
	if m.reverse {
		slices.Reverse(parts)
	}
	if m.parts > 0 && m.parts < len(parts) {
		parts = parts[len(parts)-m.parts:]
	}
	s := strings.Join(parts, ".")
	if m.escape {
		return escape(s)
	}
	return s
}

// split cuts at each delimiter and keeps empty parts (RFC 7208 section 7.3).
func split(s, delimiters string) []string {
	var parts []string
	start := 0
	for i := range len(s) {
		if strings.IndexByte(delimiters, s[i]) >= 0 {
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

// escape writes all but the unreserved characters of RFC 3986 section 2.3 as
// %XX.
func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if alphanum(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func alpha(c byte) bool    { return lower(c) >= 'a' && lower(c) <= 'z' }
func digit(c byte) bool    { return c >= '0' && c <= '9' }
func alphanum(c byte) bool { return alpha(c) || digit(c) }
