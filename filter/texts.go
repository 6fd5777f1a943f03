package filter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts are what refusals say, by reason, in another language than ours or in an
// operator's words.
type Texts map[Reason]string

// Bounds of a file of texts.
const (
	maxTexts    = 256 << 10 // bytes
	maxTextLine = 400       // bytes of UTF-8
)

//go:embed texts
var texts embed.FS

// LanguageTexts gives the texts of a language: "en" has none but ours.
func LanguageTexts(language string) (Texts, error) {
	if language == "en" {
		return nil, nil
	}
	data, err := texts.ReadFile("texts/" + language + ".txt")
	if err != nil {
		return nil, fmt.Errorf("texts of language %q: %w", language, err)
	}
	return ParseTexts(data)
}

// ParseTexts reads a file of texts: a line with a reason in square brackets, and
// below it what is said, one to three lines. Blank lines and those that begin with
// # do not count.
func ParseTexts(data []byte) (Texts, error) {
	if len(data) > maxTexts || !utf8.Valid(data) {
		return nil, errors.New("the texts are too long or not UTF-8")
	}
	all, reason := Texts{}, Reason("")
	ours := DefaultReplies()
	for i, line := range strings.Split(string(bytes.TrimPrefix(data, []byte("\ufeff"))), "\n") {
		line = strings.TrimSpace(line)
		name, head := strings.CutPrefix(line, "[")
		var err error
		switch {
		case line == "" || line[0] == '#':
		case head:
			reason = Reason(strings.TrimSuffix(name, "]"))
			_, twice := all[reason]
			if _, known := ours[reason]; !known || twice || string(reason)+"]" != name {
				err = errors.New("not a reason that has a text, or its second one")
			}
		case reason == "":
			err = errors.New("a text before the first reason")
		default:
			err = checkTextLine(line, all[reason])
			all[reason] = strings.TrimPrefix(all[reason]+"\n"+line, "\n")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return all, nil
}

func checkTextLine(line, before string) error {
	switch {
	case len(line) > maxTextLine:
		return fmt.Errorf("longer than %d bytes", maxTextLine)
	case strings.Count(before, "\n") >= 2:
		return errors.New("more than three lines")
	case strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("characters that cannot be printed")
	}
	for _, after := range strings.Split(line, "{")[1:] {
		name, _, closed := strings.Cut(after, "}")
		if !closed || !slices.Contains(factNames(), name) {
			return fmt.Errorf("unknown placeholder {%.20s}", name)
		}
	}
	return nil
}

// factNames are the placeholders of texts.
func factNames() []string {
	return []string{"client", "domain", "domains", "sender", "mailfrom", "named", "policy", "owner", "advice", "spf", "dkim", "iprev", "fault", "trouble", "id", "help"}
}

// wordsFor is the text for a reason: an operator's own, else of his language if
// the client can be told so, else ours. RFC 6531 section 3.7.4: who has not said
// SMTPUTF8 gets nothing but ASCII.
func (p *Policy) wordsFor(reason Reason, utf8Allowed bool) string {
	if own := p.Replies[reason]; own != "" {
		return own
	}
	if t := p.Texts[reason]; t != "" && (utf8Allowed || isASCII(t)) {
		return t
	}
	return textOf(reason).reply
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// cleanUTF8 is clean for texts with characters beyond ASCII, which are cut
// between characters.
func cleanUTF8(s string, n int) string {
	var b strings.Builder
	line := 0
	for _, r := range s {
		size := utf8.RuneLen(r)
		switch {
		case b.Len()+size > n:
			return b.String()
		case r == '\n':
			line = 0
			b.WriteRune(r)
		case r == utf8.RuneError || !unicode.IsPrint(r) || line+size > maxReplyLine:
		default:
			line += size
			b.WriteRune(r)
		}
	}
	return b.String()
}
