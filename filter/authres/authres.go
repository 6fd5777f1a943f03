// Package authres writes and reads Authentication-Results fields (RFC 8601) and
// finds the received ones that pretend to be ours. Typed results go in, one
// whole field comes out, and back. It is the only place that escapes values for
// a header.
package authres

import "strings"

// Property is one ptype.property=value.
type Property struct {
	Type  string // "smtp", "header", "policy"
	Name  string
	Value string // any bytes: escaped on output
}

// Method is the result of one check.
type Method struct {
	Name       string // "spf", "dkim", "dmarc", "iprev"
	Result     string
	Reason     string // any bytes: escaped on output; "" for none
	Comment    string // likewise
	Properties []Property
}

// Results is one Authentication-Results field.
type Results struct {
	ID      string // our authserv-id
	Methods []Method
	UTF8    bool // the message is internationalized (RFC 6532): values may keep characters beyond ASCII
}

// Bounds of one field: hostile values may make it ugly, never long.
const (
	foldAt        = 78  // RFC 5322 section 2.1.1
	maxValue      = 256 // bytes of a value, a reason or a comment before escaping
	maxKeyword    = 64
	maxRepeats    = 32 // results of one method, e.g. signatures
	maxProperties = 16 // of one result

	usualField = 512 // bytes of a field, beyond which it costs more allocations
)

// Field gives the whole field, folded at about 78 and never beyond 998
// characters a line, ending in CRLF. What is no Keyword where one has to stand
// (method, result, ptype, property) is a mistake of the caller's: that result or
// property is left out, so that the field is valid whatever comes in. Of one
// method the first 32 results are written.
func (r Results) Field() string {
	sections := append(make([][]string, 0, 2+len(r.Methods)), []string{r.id()})
	seen := map[string]int{}
	for _, m := range r.Methods {
		words := m.words(r.UTF8)
		if words == nil || seen[strings.ToLower(m.Name)] == maxRepeats {
			continue
		}
		seen[strings.ToLower(m.Name)]++
		sections = append(sections, words)
	}
	// RFC 8601 section 2.2: no-result, when nothing was done.
	if len(sections) == 1 {
		sections = append(sections, []string{"none"})
	}
	return fold("Authentication-Results:", sections)
}

// id is the authserv-id. The reserved name "invalid" (RFC 2606) stands for one
// of which nothing is left.
func (r Results) id() string {
	id := clean(r.ID, r.UTF8)
	if id == "" {
		return "invalid"
	}
	return idvalue(id)
}

// words are the parts of one resinfo between which the field may be folded; nil
// if it cannot be written.
func (m Method) words(utf8 bool) []string {
	if !isKeyword(m.Name) || !isKeyword(m.Result) {
		return nil
	}
	words := make([]string, 0, 4+min(len(m.Properties), maxProperties))
	words = append(words, strings.ToLower(m.Name)+"="+strings.ToLower(m.Result))
	words = append(words, comment(m.Comment, utf8)...)
	if reason := clean(m.Reason, utf8); reason != "" {
		words = append(words, "reason="+quote(reason))
	}
	n := 0
	for _, p := range m.Properties {
		if !isKeyword(p.Type) || !isKeyword(p.Name) || n == maxProperties {
			continue
		}
		n++
		words = append(words, strings.ToLower(p.Type)+"."+strings.ToLower(p.Name)+"="+pvalue(clean(p.Value, utf8)))
	}
	return words
}

// fold writes the sections, each on lines of its own but the first, divided by
// semicolons.
func fold(name string, sections [][]string) string {
	var b strings.Builder
	b.Grow(usualField)
	b.WriteString(name)
	column := len(name)
	for i, words := range sections {
		for j, w := range words {
			size := 1 + len(w)
			end := j == len(words)-1 && i < len(sections)-1
			if end {
				size++
			}
			// RFC 5322 section 2.2.3: folding adds CRLF before white space that is there.
			if i > 0 && j == 0 || column+size > foldAt && column > 1 {
				b.WriteString("\r\n")
				column = 0
			}
			b.WriteByte(' ')
			b.WriteString(w)
			if end {
				b.WriteByte(';')
			}
			column += size
		}
	}
	b.WriteString("\r\n")
	return b.String()
}
