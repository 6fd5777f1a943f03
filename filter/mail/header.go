package mail

import (
	"bytes"
	"iter"
	"strings"
)

// Header is the header block: raw fields in the order received.
type Header struct {
	Fields []Field
	Raw    []byte // all of it, without the blank line that ends it

	defects defects
}

// Field is one header field as it came.
type Field struct {
	Name   string // as written, WSP before the colon removed; %d33-126 without the colon; "" for a line that is no field
	Raw    []byte // the whole field, name to last line end: a slice of Header.Raw
	Value  []byte // all after the colon, folding and all, without the last line end: a slice of Raw
	Offset int    // of Raw in Header.Raw, and so in the message
}

// Is tells whether the field has that name. Names are compared without regard
// to case (RFC 5322 section 1.2.2).
func (f *Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// All gives the fields of that name from the top, with their indices into Fields.
func (h *Header) All(name string) iter.Seq2[int, *Field] {
	return func(yield func(int, *Field) bool) {
		for i := range h.Fields {
			if f := &h.Fields[i]; f.Is(name) && !yield(i, f) {
				return
			}
		}
	}
}

// Get gives the topmost field of that name, nil if there is none.
func (h *Header) Get(name string) *Field {
	for _, f := range h.All(name) {
		return f
	}
	return nil
}

// Count is the number of fields of that name.
func (h *Header) Count(name string) int {
	n := 0
	for range h.All(name) {
		n++
	}
	return n
}

// Unfold takes the line ends out of a Value (RFC 5322 section 2.2.3); the white
// space after them stays. Without any, v itself comes back.
func Unfold(v []byte) []byte {
	if bytes.IndexByte(v, '\n') < 0 {
		return v
	}
	out := make([]byte, 0, len(v))
	for {
		line, rest, more := bytes.Cut(v, []byte("\n"))
		if !more {
			return append(out, line...)
		}
		out = append(out, bytes.TrimSuffix(line, []byte("\r"))...)
		v = rest
	}
}

func isWSP(c byte) bool { return c == ' ' || c == '\t' }
