package mail

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// parseHeader cuts a whole header, without the empty line that ends it, into
// fields and lines that are none. Every byte of raw is in exactly one of them.
func parseHeader(raw []byte) Header {
	h := Header{Raw: raw}
	n, blank := countFields(raw)
	if n > 0 {
		h.Fields = make([]Field, 0, n)
	}
	for at := 0; at < len(raw); {
		end := at + fieldLength(raw[at:])
		h.add(raw[at:end], at)
		at = end
	}
	h.nameFields()
	h.defects.set(blank, BlankFold)
	h.defects.set(hasControl(raw), HeaderNUL)
	h.defects.set(len(h.stray) > 0, HeaderLine)
	h.defects.set(!utf8.Valid(raw), HeaderNotUTF8)
	h.defects.set(len(raw) > 0 && raw[len(raw)-1] != '\n', HeaderWithoutNL)
	h.defects.set(h.hasDuplicate(), DuplicateField)
	return h
}

// countFields counts the lines that begin a field, and tells whether another
// line is blank.
func countFields(raw []byte) (n int, blank bool) {
	for first := true; len(raw) > 0; first = false {
		line := raw[:lineLength(raw)]
		raw = raw[len(line):]
		if first || !isWSP(line[0]) {
			n++
		} else if len(bytes.TrimLeft(line, " \t\r\n")) == 0 {
			blank = true
		}
	}
	return n, blank
}

// lineLength is that of the first line of b with its end.
func lineLength(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// fieldLength is that of the first line of b and of all that continue it.
func fieldLength(b []byte) int {
	n := lineLength(b)
	for n < len(b) && isWSP(b[n]) {
		n += lineLength(b[n:])
	}
	return n
}

// add takes one field with all its lines.
func (h *Header) add(raw []byte, at int) {
	f := Field{Raw: raw, Offset: at}
	colon := bytes.IndexByte(raw, ':')
	if colon < 0 {
		h.stray = append(h.stray, f)
		return
	}
	// RFC 5322 section 4.5: obsolete syntax has WSP before the colon. It may
	// hold folding too, but then nobody agrees on what the field is.
	name := bytes.TrimRight(raw[:colon], " \t")
	if !isFieldName(name) {
		h.stray = append(h.stray, f)
		return
	}
	h.defects.set(len(name) < colon, ObsoleteField)
	f.Value = trimLineEnd(raw[colon+1:])
	h.Fields = append(h.Fields, f)
}

// isFieldName: RFC 5322 section 3.6.8.
func isFieldName(name []byte) bool {
	for _, c := range name {
		if c < 33 || c > 126 {
			return false
		}
	}
	return len(name) > 0
}

func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		return bytes.TrimSuffix(b[:n-1], []byte("\r"))
	}
	return b
}

// nameFields sets all names as parts of one string.
func (h *Header) nameFields() {
	var all strings.Builder
	for _, f := range h.Fields {
		all.Write(f.name())
	}
	names := all.String()
	for i := range h.Fields {
		n := len(h.Fields[i].name())
		h.Fields[i].Name, names = names[:n], names[n:]
	}
}

// name is the name in Raw.
func (f *Field) name() []byte {
	return bytes.TrimRight(f.Raw[:bytes.IndexByte(f.Raw, ':')], " \t")
}

// hasControl: RFC 5322 section 4.1 has no place in a header for a C0 control but
// HTAB, CR and LF. A CR or LF that stands alone is a BareNewline.
func hasControl(raw []byte) bool {
	for _, c := range raw {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' {
			return true
		}
	}
	return false
}

// hasDuplicate: RFC 5322 section 3.6, the table's fields with a maximum of one.
func (h *Header) hasDuplicate() bool {
	once := [...]string{
		"Date", "Sender", "Reply-To", "To", "Cc", "Bcc",
		"Message-ID", "In-Reply-To", "References", "Subject",
	}
	var met [len(once)]bool
	for i := range h.Fields {
		for j, name := range once {
			if len(h.Fields[i].Name) != len(name) || !h.Fields[i].Is(name) {
				continue
			}
			if met[j] {
				return true
			}
			met[j] = true
			break
		}
	}
	return false
}

// looksLike tells of a line that is no field whether some reader may take it
// for one of that name: what stands before the colon, or all of it, is the name
// once spaces, controls and 8-bit bytes are gone.
func (f *Field) looksLike(name string) bool {
	i := 0
	for _, c := range f.Raw {
		switch {
		case c == ':':
			return i == len(name)
		case c <= ' ' || c > '~':
		case i == len(name) || lower(c) != lower(name[i]):
			return false
		default:
			i++
		}
	}
	return i == len(name)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
