package dkim

import (
	"errors"
	"math"
	"strings"
)

// tag is one of a tag-list (RFC 6376 section 3.2).
type tag struct {
	name, value string // value without the white space around it
	from, to    int    // where the value stands in the text, white space and all
}

type tags []tag

// get finds a tag by its name, which is case-sensitive.
func (t tags) get(name string) (tag, bool) {
	for i := range t {
		if t[i].name == name {
			return t[i], true
		}
	}
	return tag{}, false
}

// value is that of a tag, "" if it is not there.
func (t tags) value(name string) string {
	v, _ := t.get(name)
	return v.value
}

// parseTags reads a tag-list of at most limit tags. Octets beyond ASCII are let
// through (RFC 8616), controls are not.
func parseTags(text string, limit int) (tags, error) {
	if hasControl(text) {
		return nil, errors.New("a control character in the tags")
	}
	all := make(tags, 0, 16)
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], ';'); i >= 0 {
			end = at + i
		}
		if end == len(text) && trim(text[at:]) == "" {
			break // after the last semicolon
		}
		if len(all) == limit {
			return nil, errors.New("too many tags")
		}
		t, err := parseTag(text, at, end)
		if err != nil {
			return nil, err
		}
		// RFC 6376 section 3.2: a name twice invalidates the entire list.
		if _, twice := all.get(t.name); twice {
			return nil, errors.New("a tag stands twice")
		}
		all = append(all, t)
		at = end + 1
	}
	return all, nil
}

func parseTag(text string, at, end int) (tag, error) {
	name, _, ok := strings.Cut(text[at:end], "=")
	if !ok {
		return tag{}, errors.New("a tag without =")
	}
	from := at + len(name) + 1
	name = trim(name)
	if !isTagName(name) {
		return tag{}, errors.New("a tag without a proper name")
	}
	return tag{name: name, value: trim(text[from:end]), from: from, to: end}, nil
}

// isTagName: ALPHA *( ALPHA / DIGIT / "_" ).
func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && !isSpace(s[i]) || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// isSpace: of FWS, wherever it stands (RFC 6376 section 2.8).
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// trim cuts white space off both ends.
func trim(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// compact takes all white space out.
func compact(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if !isSpace(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}

// list cuts a value at its colons.
func list(s string) []string {
	items := strings.Split(s, ":")
	for i := range items {
		items[i] = trim(items[i])
	}
	return items
}

// number reads digits; what is too big for us is math.MaxInt64.
func number(s string) (int64, bool) {
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n < math.MaxInt64/10 {
			n = n*10 + int64(s[i]-'0')
		} else {
			n = math.MaxInt64
		}
	}
	return n, s != ""
}

// lower is for ASCII alone: no other letter may become one of a field name.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return string(appendLower(make([]byte, 0, len(s)), s))
		}
	}
	return s
}

func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
