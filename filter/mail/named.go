package mail

import (
	"io"
	"iter"
	"mime"
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
	d := mime.WordDecoder{CharsetReader: asIs}
	decoded, err := d.DecodeHeader(text)
	return err != nil || eachNamed(decoded, yield)
}

// asIs leaves text of charsets that are not decoded here as it is: the letters
// of a domain name and the @ are in nearly all of them what they are in ASCII.
func asIs(_ string, r io.Reader) (io.Reader, error) { return r, nil }

// eachNamed finds what stands behind each @.
func eachNamed(text string, yield func(string) bool) bool {
	text = strings.Map(plainly, text)
	for {
		at := strings.IndexByte(text, '@')
		if at < 0 {
			return true
		}
		text = text[at+1:]
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

// eachReading gives the domain, and that before the first letter beyond ASCII: a
// title may stand behind an address without a space.
func eachReading(name string, yield func(string) bool) bool {
	for {
		d, err := ASCIIDomain(strings.Trim(name, ".-"))
		if err == nil && strings.Contains(d, ".") && !yield(d) {
			return false
		}
		beyond := strings.IndexFunc(name, func(r rune) bool { return r >= utf8.RuneSelf })
		if beyond < 0 {
			return true
		}
		name = name[:beyond]
	}
}

// plainly drops what nobody sees and the backslashes of quoted pairs, and knows
// the wide forms of @.
func plainly(r rune) rune {
	switch {
	case r == '\uff20', r == '\ufe6b':
		return '@'
	case r == '\\', r == '\u200c', r == '\u200d', vanishes(r):
		return -1
	}
	return r
}

func endsName(r rune) bool {
	return r != '-' && fullStop(r) != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
}
