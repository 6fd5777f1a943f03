package config

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong.
type Problem struct {
	Line    int    // from 1; 0 where the file does not speak of Key
	Column  int    // from 1, in characters
	Key     string // "listener.max_recipients", "dns.servers[1]"; "" where it is the file's syntax
	Message string // one line
	Excerpt string // the line with the place marked below it; "" with Line 0 and for secrets
}

// Error is all that is wrong with a configuration, in the order of the file.
type Error struct {
	File     string // as given to Load or Parse; "" from Validate
	Problems []Problem
	More     bool // the file was given up after a hundred
}

// maxProblems bounds the work that a file of rubbish makes.
const maxProblems = 100

// Error lists the problems for people, one or three lines each.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.text(e.File))
	}
	if e.More {
		b.WriteString("\nand more")
	}
	return b.String()
}

func (p Problem) text(file string) string {
	var b strings.Builder
	if file != "" {
		b.WriteString(file + ":")
	}
	if p.Line > 0 {
		fmt.Fprintf(&b, "%d:%d:", p.Line, p.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	if p.Key != "" {
		b.WriteString(strings.Map(visible, shorten(p.Key, 120)) + ": ")
	}
	b.WriteString(strings.Map(visible, p.Message))
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	return b.String()
}

// span is a piece of the document in bytes.
type span struct{ start, end int }

// nowhere is where a span starts of which the file does not speak: after all others.
const nowhere = math.MaxInt

// maxExcerpt is how many characters of a line are shown.
const maxExcerpt = 100

// at fills in the place of a problem.
func (p Problem) at(doc []byte, s span) Problem {
	first := bytes.LastIndexByte(doc[:s.start], '\n') + 1
	end := len(doc)
	if i := bytes.IndexByte(doc[s.start:], '\n'); i >= 0 {
		end = s.start + i
	}
	p.Line = line(doc, s.start)
	p.Column = utf8.RuneCount(doc[first:s.start]) + 1
	if secret(p.Key) {
		return p
	}

	// What excerpt cuts off anyway is not even looked at.
	first = max(first, s.start-maxExcerpt*utf8.UTFMax)
	marked := utf8.RuneCount(doc[s.start:max(s.start, min(s.end, end))])
	end = min(end, s.start+maxExcerpt*utf8.UTFMax)
	text := []rune(string(bytes.TrimSuffix(doc[first:end], []byte("\r"))))
	p.Excerpt = excerpt(text, min(utf8.RuneCount(doc[first:s.start]), len(text)), marked, p.Line)
	return p
}

// excerpt shows a window of the line with column characters before the mark.
func excerpt(line []rune, column, marked, number int) string {
	if over := column - maxExcerpt*3/4; over > 0 && len(line) > maxExcerpt {
		line, column = append([]rune("..."), line[over:]...), column-over+3
	}
	if len(line) > maxExcerpt {
		line = append(line[:maxExcerpt:maxExcerpt], []rune("...")...)
	}
	marked = max(1, min(marked, len(line)-column))
	return fmt.Sprintf("%5d | %s\n      | %s^%s", number, strings.Map(visible, string(line)),
		strings.Repeat(" ", column), strings.Repeat("~", marked-1))
}

// visible keeps a terminal safe and the mark below its text.
func visible(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	}
	return '?'
}
