package proxy

import "io"

// newlines gives what it reads with each bare CR and each bare LF made CR LF, so
// that nobody behind it can see other lines than we do (RFC 5321 section 2.3.8).
// It stands behind the search for the end of data, which it can therefore
// neither bring about nor hide: a line that becomes a lone dot is stuffed like
// any other when it is sent on. A dot after a bare newline is not unstuffed, for
// whoever stuffs by RFC 5321 section 4.5.2 did not take that place for the start
// of a line.
type newlines struct {
	r   io.Reader
	cr  bool   // the last octet read was CR, for which CR LF has been given
	out []byte // not yet given
	err error  // to give after out

	in   [newlineBlock]byte
	kept [2 * newlineBlock]byte
}

const newlineBlock = 2 << 10

// Read gives what is there; it waits for nothing but the first octet.
func (l *newlines) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(l.out) == 0 && l.err == nil {
		var n int
		n, l.err = l.r.Read(l.in[:])
		l.convert(l.in[:n])
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	if len(l.out) > 0 {
		return n, nil
	}
	return n, l.err
}

// convert takes a CR for a line end at once, and drops the LF after it.
func (l *newlines) convert(b []byte) {
	l.out = l.kept[:0]
	for _, c := range b {
		switch {
		case c == '\n' && l.cr:
		case c == '\r' || c == '\n':
			l.out = append(l.out, '\r', '\n')
		default:
			l.out = append(l.out, c)
		}
		l.cr = c == '\r'
	}
}
