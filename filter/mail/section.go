package mail

import (
	"errors"
	"io"
)

// Section is a part of a message: an io.Reader with a place of its own, an
// io.ReaderAt, and an io.WriterTo that hands on large blocks without a copy.
// Several sections of one message may be read at the same time; one section's
// Read and WriteTo are for one goroutine. Its errors are *SpoolError, io.EOF and
// those of the writer.
type Section struct {
	spool *spool
	start int64
	off   int64
	end   int64
}

// Section gives n bytes from offset off of the received bytes, or what there is
// of them.
func (m *Message) Section(off, n int64) *Section {
	size := m.spool.size
	off = min(max(off, 0), size)
	end := off + min(max(n, 0), size-off)
	return &Section{spool: &m.spool, start: off, off: off, end: end}
}

// Size is the number of bytes in the section, read or not.
func (s *Section) Size() int64 { return s.end - s.start }

// Read implements io.Reader.
func (s *Section) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := s.ReadAt(p, s.off-s.start)
	s.off += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt; off counts from the start of the section.
func (s *Section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading a message at a negative offset")
	}
	if off >= s.Size() {
		return 0, io.EOF
	}
	var short error
	if left := s.Size() - off; int64(len(p)) > left {
		p, short = p[:left], io.EOF
	}
	if err := s.spool.readAt(p, s.start+off); err != nil {
		return 0, err
	}
	return len(p), short
}

// WriteTo implements io.WriterTo: it writes what has not been read yet. The
// writer must not change or keep what it is given (io.Writer).
func (s *Section) WriteTo(w io.Writer) (int64, error) {
	from := s.off
	start := int64(0)
	for _, b := range s.spool.blocks {
		if end := min(start+int64(len(b)), s.end); s.off < end {
			if err := s.hand(w, b[s.off-start:end-start]); err != nil {
				return s.off - from, err
			}
		}
		start += int64(len(b))
	}
	if s.off == s.end {
		return s.off - from, nil
	}
	buf := make([]byte, min(fileBlock, s.end-s.off))
	for s.off < s.end {
		p := buf[:min(int64(len(buf)), s.end-s.off)]
		if err := s.spool.readAt(p, s.off); err != nil {
			return s.off - from, err
		}
		if err := s.hand(w, p); err != nil {
			return s.off - from, err
		}
	}
	return s.off - from, nil
}

func (s *Section) hand(w io.Writer, p []byte) error {
	n, err := w.Write(p)
	s.off += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return err
}
