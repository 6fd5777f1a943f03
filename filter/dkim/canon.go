package dkim

import (
	"bytes"
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

// Write passes on whole stretches that are canonical as they are. p[start:i] is
// the stretch under way.
func (r *relaxedBody) Write(p []byte) (int, error) {
	start, i := 0, 0
	if r.cr && len(p) > 0 {
		r.cr = false
		if p[0] == '\n' {
			r.line()
			start, i = 1, 1
		} else if err := r.text(r.blanks[:1]); err != nil {
			return 0, err
		}
	}
	for i < len(p) {
		c := p[i]
		if c > ' ' || c != ' ' && c != '\t' && c != '\r' || r.plain(p, i) {
			i++
			continue
		}
		if c == '\r' && start < i && i+2 < len(p) && p[i+2] > ' ' {
			i += 2 // a line end between two texts
			continue
		}
		if err := r.text(p[start:i]); err != nil {
			return 0, err
		}
		i = r.blank(p, i)
		start = i
	}
	return len(p), r.text(p[start:])
}

// plain tells whether the blank at p[i] stays as it is: a single space between
// two words, or a CR that ends no line.
func (r *relaxedBody) plain(p []byte, i int) bool {
	if i+1 == len(p) {
		return false
	}
	switch p[i] {
	case ' ':
		return p[i+1] > ' ' && (i > 0 || !r.space)
	case '\r':
		return p[i+1] != '\n'
	}
	return false
}

// blank takes in white space or a line end at p[i] and gives what follows it.
func (r *relaxedBody) blank(p []byte, i int) int {
	if p[i] != '\r' {
		for i < len(p) && (p[i] == ' ' || p[i] == '\t') {
			i++
		}
		r.space = true
		return i
	}
	if i+1 == len(p) {
		r.cr = true
		return i + 1
	}
	r.line()
	return i + 2
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
