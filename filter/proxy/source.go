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
	returns int // carriage returns in a row, up to here
	out     []byte
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

func (l *lineReader) Read(p []byte) (int, error) {
	if len(l.out) == 0 && l.err == nil {
		n, err := l.r.Read(p)
		if l.plain(p[:n]) {
			return n, err
		}
		l.err = err
		l.out = make([]byte, 0, n+1)
		for i := 0; i < n && !l.done; i++ {
			l.take(p[i])
		}
		if l.done {
			l.err = io.EOF
			l.ended()
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	if len(l.out) == 0 {
		return n, l.err
	}
	return n, nil
}

// plain tells that nothing has to be looked at octet by octet.
func (l *lineReader) plain(b []byte) bool {
	if l.state != lineKnown || l.returns > 0 || bytes.Contains(b, []byte("\r\r")) {
		return false
	}
	if bytes.HasSuffix(b, []byte("\r")) {
		l.returns = 1
	}
	return true
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
