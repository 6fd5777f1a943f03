package proxy

import (
	"bytes"
	"io"
)

// source remembers how reading from the client ended, whatever becomes of the
// error further up.
type source struct {
	r   io.Reader
	n   int64
	err error // never io.EOF
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// lineReader finds the end of data that the library misses. After CR CR LF it
// does not know that a line begins, so that it neither takes the dot of a
// stuffed line away nor sees CR LF . CR LF as the end (RFC 5321 section
// 4.1.1.4), and waits for ever. Of what it hands over, only these octets make
// CR CR LF . CR LF: a stuffed dot is still two. Bare CRs are kept for the core
// to see.
type lineReader struct {
	r       io.Reader
	ended   func() // called once at an end that the library has missed
	state   lineState
	returns int    // carriage returns in a row, up to here
	out     []byte // in kept, not yet given
	kept    [endLength + 1]byte
	err     error // to give after out
	done    bool
}

type lineState int

const (
	lineKnown lineState = iota // the library knows where it is
	lineStart                  // first octet of a line that it does not know to be one
	lineDot                    // . seen there, held back
	lineDotCR                  // . CR seen there, held back
)

// lineBlock is how much Read gives at the most, so that a header is seen before
// much of the body has come.
const lineBlock = 2 << 10

func (l *lineReader) Read(p []byte) (int, error) {
	p = p[:min(len(p), lineBlock)]
	n := 0
	for n < len(p) {
		if len(l.out) > 0 {
			c := copy(p[n:], l.out)
			n, l.out = n+c, l.out[c:]
			continue
		}
		if l.err != nil {
			return n, l.err
		}
		n += l.fill(p[n:])
	}
	return n, nil
}

// fill reads a little, right into p where nothing needs to be looked at.
func (l *lineReader) fill(p []byte) int {
	var little [endLength]byte
	b := little[:l.distance()]
	if len(p) >= len(b) {
		b = p[:len(b)]
	}
	n, err := l.r.Read(b)
	b, l.err = b[:n], err
	if len(p) >= n && l.state == lineKnown && l.returns == 0 && bytes.IndexByte(b, '\r') < 0 {
		if n > 0 && &b[0] == &little[0] {
			copy(p, b)
		}
		return n
	}
	l.out = l.kept[:0]
	for _, c := range b {
		l.take(c)
	}
	if l.done {
		l.err = io.EOF
		l.ended()
	}
	return 0
}

// endLength is that of CR CR LF . CR LF.
const endLength = 6

// distance is how many octets there are at least to an end that the library
// would miss. Asked for more it would wait for octets that never come.
func (l *lineReader) distance() int {
	switch l.state {
	case lineStart:
		return 3
	case lineDot:
		return 2
	case lineDotCR:
		return 1
	}
	switch {
	case l.returns == 0:
		return endLength
	case l.returns%2 == 1:
		return 5
	}
	return 4
}

func (l *lineReader) take(c byte) {
	switch {
	case l.state == lineStart && c == '.':
		l.state, l.returns = lineDot, 0
		return
	case l.state == lineDot && c == '\r':
		l.state, l.returns = lineDotCR, 1
		return
	case l.state == lineDotCR && c == '\n':
		l.done = true
		return
	case l.state == lineDotCR:
		l.out = append(l.out, '\r')
	}
	l.state = lineKnown
	if c == '\r' {
		l.returns++
	} else {
		// Of an even number of CRs the library takes the last one for no CR.
		if c == '\n' && l.returns > 0 && l.returns%2 == 0 {
			l.state = lineStart
		}
		l.returns = 0
	}
	l.out = append(l.out, c)
}
