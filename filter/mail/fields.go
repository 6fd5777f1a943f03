package mail

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// parseHeader cuts a whole header, without the empty line that ends it, into
// fields. Every byte of raw is in exactly one of them: a line that is no field
// stands among them without a name, so that it can be dropped like one.
func parseHeader(raw []byte) Header {
	h := Header{Raw: raw}
	n, blank := countFields(raw)
	if n > 0 {
		h.Fields = make([]Field, 0, n)
	}
	for at := 0; at < len(raw); {
		end := at + fieldLength(raw[at:])
		h.Fields = append(h.Fields, h.field(raw[at:end], at))
		at = end
	}
	h.nameFields()
	h.defects.set(blank, BlankFold)
	h.defects.set(hasControl(raw), HeaderNUL)
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

// field takes one field with all its lines.
func (h *Header) field(raw []byte, at int) Field {
	f := Field{Raw: raw, Offset: at}
	name, ok := fieldName(raw)
	if !ok {
		h.defects.set(true, HeaderLine)
		return f
	}
	colon := bytes.IndexByte(raw, ':')
	h.defects.set(len(name) < colon, ObsoleteField)
	f.Value = trimLineEnd(raw[colon+1:])
	return f
}

// fieldName is what stands before the colon, if that is a name (RFC 5322 section
// 3.6.8). Obsolete syntax (section 4.5) has WSP behind it. It may hold folding
// too, but then nobody agrees on what the field is.
func fieldName(raw []byte) (name []byte, ok bool) {
	before, _, colon := bytes.Cut(raw, []byte(":"))
	name = bytes.TrimRight(before, " \t")
	if !colon || len(name) == 0 {
		return nil, false
	}
	for _, c := range name {
		if c < 33 || c > 126 {
			return nil, false
		}
	}
	return name, true
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
		name, _ := fieldName(f.Raw)
		all.Write(name)
	}
	names := all.String()
	for i := range h.Fields {
		name, _ := fieldName(h.Fields[i].Raw)
		h.Fields[i].Name, names = names[:len(name)], names[len(name):]
	}
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
