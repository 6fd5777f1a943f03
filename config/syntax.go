package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// syntax notes a syntax error and finds where to go on: on the next line, if
// the error lies on the line on which its expression begins. What spans several
// lines, a list or a text that is never closed, may have swallowed the rest.
func (d *decoder) syntax(err error) bool {
	d.broken = true
	at, message := d.position(err)
	s := d.expressionLine()
	switch {
	case at.start > s.end:
		d.fault("", at, "%s; what is read here begins on line %d", message, line(d.doc, s.start))
		return false
	case at.start < s.start: // in a comment above
		s = span{at.start, d.lineEnd(at.start)}
	case bytes.HasPrefix(bytes.TrimLeft(d.doc[s.start:s.end], " \t"), []byte("[")):
		d.current = nil // whose the following keys are cannot be told
	default:
		at, message = d.plainly(s, at, message)
	}
	d.fault("", at, "%s", message)
	d.base = min(s.end+1, len(d.doc))
	d.last = d.base
	return d.base < len(d.doc) && !d.more
}

// expressionLine is the line after the last good expression that is neither
// blank nor a comment, without its line end.
func (d *decoder) expressionLine() span {
	s := span{d.last, d.lineEnd(d.last)}
	fresh := d.last == d.base
	for {
		text := bytes.TrimSpace(d.doc[s.start:s.end])
		if fresh && len(text) > 0 && text[0] != '#' || s.end == len(d.doc) {
			return s
		}
		fresh = true
		s = span{s.end + 1, d.lineEnd(s.end + 1)}
	}
}

func (d *decoder) lineEnd(from int) int {
	if i := bytes.IndexByte(d.doc[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(d.doc)
}

// plainly says what the commonest slips are, texts without quotes or with one,
// in place of what the grammar makes of them.
func (d *decoder) plainly(s, at span, message string) (span, string) {
	text := strings.TrimSuffix(string(d.doc[s.start:s.end]), "\r")
	key, value, found := strings.Cut(text, "=")
	if !found || strings.ContainsAny(key, "\"'[{#") {
		return at, message
	}
	start := s.start + len(text) - len(strings.TrimLeft(value, " \t"))
	if value = strings.TrimSpace(value); value != "" && strings.Contains("\"'", value[:1]) {
		if at.start >= s.start+len(text) {
			return span{start, start + len(value)}, "the closing quote is missing"
		}
		return at, message
	}
	value, _, _ = strings.Cut(value, "#")
	value = strings.TrimSpace(value)
	switch {
	case value == "":
		return span{s.start + len(key), s.start + len(key) + 1}, "the value is missing"
	case at.start < start || !isWord(value):
		return at, message
	}
	return span{start, start + len(value)}, remedy(strings.TrimSpace(key), value)
}

// isWord tells a text that was meant from a number or a list gone wrong.
func isWord(value string) bool {
	return strings.ContainsAny(value, ".:/%") || strings.ContainsFunc(value, unicode.IsLetter)
}

func remedy(key, value string) string {
	switch strings.ToLower(value) {
	case "yes", "on", "true":
		return "not a value; write true"
	case "no", "off", "false":
		return "not a value; write false"
	}
	return fmt.Sprintf("not a value; text, durations and sizes need quotes: %s = %s", key, quote(value))
}

// line is the number of the line on which a byte stands.
func line(doc []byte, offset int) int { return bytes.Count(doc[:offset], []byte("\n")) + 1 }
