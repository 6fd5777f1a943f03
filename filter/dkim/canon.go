package dkim

import (
	"bytes"
	"encoding/binary"
	"io"
)

// canonicalization is an algorithm of RFC 6376 section 3.4.
type canonicalization string

const (
	simple  canonicalization = "simple"
	relaxed canonicalization = "relaxed"
)

func (c canonicalization) known() bool { return c == simple || c == relaxed }

// appendRelaxed appends a header field in the relaxed form of RFC 6376 section
// 3.4.2, without the line end.
func appendRelaxed(dst []byte, name string, value []byte) []byte {
	dst = append(appendLower(dst, name), ':')
	start, space := len(dst), false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == ' ' || c == '\t':
			space = true
		case c == '\r' && i+1 < len(value) && value[i+1] == '\n':
			i++
		default:
			if space && len(dst) > start {
				dst = append(dst, ' ')
			}
			space = false
			dst = append(dst, c)
		}
	}
	return dst
}

// newBody gives a writer that passes a body on to w in its canonical form.
// Close ends the body.
func newBody(c canonicalization, w io.Writer) io.WriteCloser {
	g := gap{w: w, blanks: append(bytes.Repeat([]byte("\r\n"), 128), ' ')}
	if c == relaxed {
		return &relaxedBody{gap: g}
	}
	return &simpleBody{gap: g}
}

// gap keeps back line ends until it is known whether anything comes after them.
type gap struct {
	w       io.Writer
	blanks  []byte // CRLFs to write, and a space at the end
	lines   int    // CRLFs kept back
	cr      bool   // the last block ended with a CR, which may begin a line end
	written bool
}

// emit passes on what was kept back, and then p.
func (g *gap) emit(p []byte) error {
	for g.lines > 0 {
		n := min(g.lines, len(g.blanks)/2)
		if _, err := g.w.Write(g.blanks[:2*n]); err != nil {
			return err
		}
		g.lines -= n
	}
	g.written = true
	_, err := g.w.Write(p)
	return err
}

// end writes the one CRLF that ends a canonical body, whatever was kept back.
func (g *gap) end() error {
	g.lines = 0
	return g.emit(g.blanks[:2])
}

// simpleBody is RFC 6376 section 3.4.3: empty lines at the end become one CRLF.
type simpleBody struct{ gap }

func (s *simpleBody) Write(p []byte) (int, error) {
	n := len(p)
	if n == 0 {
		return 0, nil
	}
	if s.cr {
		s.cr = false
		if p[0] == '\n' {
			s.lines++
			p = p[1:]
		} else if err := s.emit(s.blanks[:1]); err != nil {
			return 0, err
		}
	}
	end := len(p)
	if end > 0 && p[end-1] == '\r' {
		s.cr = true
		end--
	}
	full := end
	for end >= 2 && p[end-2] == '\r' && p[end-1] == '\n' {
		end -= 2
	}
	if end > 0 {
		if err := s.emit(p[:end]); err != nil {
			return 0, err
		}
	}
	s.lines += (full - end) / 2
	return n, nil
}

func (s *simpleBody) Close() error {
	if s.cr {
		if err := s.emit(s.blanks[:1]); err != nil {
			return err
		}
	}
	return s.end()
}

// relaxedBody is RFC 6376 section 3.4.4: white space shrinks to one space, goes
// at line ends, and empty lines go at the end.
type relaxedBody struct {
	gap
	space bool // white space kept back
}

// Write passes on whole stretches that are canonical as they are.
func (r *relaxedBody) Write(p []byte) (int, error) {
	n := len(p)
	if r.cr && n > 0 {
		r.cr = false
		if p[0] == '\n' {
			r.line()
			p = p[1:]
		} else if err := r.text(r.blanks[:1]); err != nil {
			return 0, err
		}
	}
	for len(p) > 0 {
		if blank := r.blank(p); blank > 0 {
			p = p[blank:]
			continue
		}
		plain := stretch(p)
		if err := r.text(p[:plain]); err != nil {
			return n - len(p), err
		}
		p = p[plain:]
	}
	return n, nil
}

// blank keeps the white space or the line end back that p begins with, and gives
// its length.
func (r *relaxedBody) blank(p []byte) int {
	switch {
	case p[0] == ' ' || p[0] == '\t':
		i := 1
		for i < len(p) && (p[i] == ' ' || p[i] == '\t') {
			i++
		}
		r.space = true
		return i
	case p[0] != '\r':
		return 0
	case len(p) == 1:
		r.cr = true
		return 1
	case p[1] == '\n':
		r.line()
		return 2
	}
	return 0 // a CR that ends no line is text
}

// stretch is the length of what stays as it is at the start of p, which begins
// with text: up to white space that does not stay, and without what may still
// turn out not to stay.
func stretch(p []byte) int {
	end := irregular(p)
	if end == len(p) && end > 1 && p[end-1] == '\r' {
		end--
	}
	for end > 2 && p[end-2] == '\r' && p[end-1] == '\n' {
		end -= 2
	}
	return end
}

// irregular finds the first white space that is more than a single space between
// two texts, or gives the length of p. It looks at eight octets at a time: for
// tabs, and for spaces and CRs side by side.
func irregular(p []byte) int {
	const each = 0x0101010101010101
	before := uint64(0) // whether the octet before is a space or a CR
	at := 0
	for ; at+8 <= len(p); at += 8 {
		w := binary.LittleEndian.Uint64(p[at:])
		edge := zeroes(w^' '*each) | zeroes(w^'\r'*each)
		if zeroes(w^'\t'*each)|edge&(edge<<8|before) != 0 {
			if i := firstIrregular(p, max(at-1, 0), at+8); i >= 0 {
				return i
			}
		}
		before = edge >> 56
	}
	if i := firstIrregular(p, max(at-1, 0), len(p)); i >= 0 {
		return i
	}
	return len(p)
}

// zeroes has the highest bit of each octet set that is zero in w.
func zeroes(w uint64) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	return ^(w&low + low | w | low)
}

func firstIrregular(p []byte, from, to int) int {
	for i := from; i < to; i++ {
		switch {
		case p[i] == '\t':
			return i
		case p[i] == ' ' && (i+1 == len(p) || p[i+1] == ' ' || p[i+1] == '\t' || p[i+1] == '\r'):
			return i
		}
	}
	return -1
}

func (r *relaxedBody) line() {
	r.lines++
	r.space = false
}

func (r *relaxedBody) text(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if r.space {
		r.space = false
		if err := r.emit(r.blanks[len(r.blanks)-1:]); err != nil {
			return err
		}
	}
	return r.emit(p)
}

func (r *relaxedBody) Close() error {
	if r.cr {
		if err := r.text(r.blanks[:1]); err != nil {
			return err
		}
	}
	if !r.written {
		return nil
	}
	return r.end()
}
