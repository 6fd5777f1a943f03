package mail

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Named gives the domains of all that a reader may take for an address in the
// From fields: of the addresses themselves and of what display names and
// comments have behind an @, in the order of the text, perhaps several times. It
// is for fields that do not parse too, and takes encoded words apart wherever
// they stand, as mail programs do.
func (h *Header) Named() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h.Fields {
			f := &h.Fields[i]
			if !f.Is("From") && (f.Name != "" || !f.looksLike("From")) {
				continue
			}
			text := f.Value
			if f.Name == "" {
				text = f.Raw
			}
			if !named(text, yield) {
				return
			}
		}
	}
}

// named looks at what the text is as it stands and, where it has encoded words,
// at what these read as.
func named(value []byte, yield func(string) bool) bool {
	text := string(Unfold(value[:min(len(value), maxFrom)]))
	if !eachNamed(text, yield) {
		return false
	}
	if !strings.Contains(text, "=?") {
		return true
	}
	return eachNamed(decodedWords(text), yield)
}

// eachNamed finds what stands behind each @. A blank may come between, but not
// where there is one before the @ too: "meet us @ example.com" is no address.
func eachNamed(text string, yield func(string) bool) bool {
	text = strings.Map(plainly, text)
	for {
		at := strings.IndexByte(text, '@')
		if at < 0 {
			return true
		}
		spaced := at == 0 || text[at-1] == ' ' || text[at-1] == '\t'
		if text = text[at+1:]; !spaced {
			text = strings.TrimLeft(text, " \t")
		}
		end := strings.IndexFunc(text, endsName)
		if end < 0 {
			end = len(text)
		}
		if !eachReading(text[:end], yield) {
			return false
		}
		text = text[end:]
	}
}

// eachReading gives the domain, that before the first letter beyond ASCII, and
// that before the first underscore: a title may stand behind an address without a
// space.
func eachReading(name string, yield func(string) bool) bool {
	for {
		d, err := ASCIIDomain(strings.Trim(name, ".-_"))
		if err == nil && strings.Contains(d, ".") && !yield(d) {
			return false
		}
		beyond := strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf })
		if beyond < 0 {
			beyond = strings.IndexByte(name, '_')
		}
		if beyond < 0 {
			return true
		}
		name = name[:beyond]
	}
}

// plainly drops what nobody sees and the backslashes of quoted pairs, and knows
// the wide forms of @ and what looks like a dot.
func plainly(r rune) rune {
	switch {
	case r == '\uff20', r == '\ufe6b':
		return '@'
	case r == '\u2024':
		return '.'
	case r == '\\', r == '\u200c', r == '\u200d', vanishes(r):
		return -1
	}
	return r
}

func endsName(r rune) bool {
	return r != '-' && r != '_' && fullStop(r) != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}
