package audit

import (
	"fmt"
	"strings"
)

const (
	maxVisible = 4096 // bytes of a text from the DNS in the report
	maxQuoted  = 120  // bytes of one in a sentence
	maxTexts   = 50   // texts of one name
)

// visible makes a text from the DNS fit for a report: see Report.
func visible(s string) string {
	if len(s) <= maxVisible && isPrintable(s) && !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if b.Len() >= maxVisible {
			return b.String() + "..."
		}
		if c := s[i]; c < ' ' || c > '~' || c == '\\' {
			fmt.Fprintf(&b, `\%03d`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// quoted is a text from the DNS in a sentence.
func quoted(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%+q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%+q", s)
}

func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// indexFold finds an ASCII word in whatever case. strings.ToLower would not do: it
// makes three bytes of one that is no UTF-8.
func indexFold(s, word string) int {
	for i := range len(s) - len(word) + 1 {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return i
		}
	}
	return -1
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// within: name is parent or below it.
func within(name, parent string) bool {
	return parent != "" && (name == parent || strings.HasSuffix(name, "."+parent))
}
