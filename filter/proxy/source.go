package proxy

import "io"

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
