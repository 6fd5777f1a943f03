package event

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
)

// ToWriter carries to something open: standard error. It is never closed.
func (o *Output) ToWriter(w io.Writer) *Output { return o.to(&stream{w: w}) }

// stream is whatever bytes are written to. An attempt that stopped within a line
// leaves a torn one behind; the next begins on a line of its own and has the
// whole line again.
type stream struct {
	w    io.Writer
	torn bool
}

func (s *stream) send(lines []byte) (int, error) {
	if s.torn {
		if _, err := s.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		s.torn = false
	}
	n, err := s.w.Write(lines)
	if err == nil {
		return len(lines), nil
	}
	n = max(0, min(n, len(lines)))
	whole := bytes.LastIndexByte(lines[:n], '\n') + 1
	s.torn = n > whole
	return whole, err
}

func (s *stream) renew() {}
func (s *stream) close() {}

// ToFile appends to a file, which is made if need be, readable for owner and
// group. Reopen opens it anew, so that another may be in its place by then. The
// file must be there to be opened once before lines are taken.
func (o *Output) ToFile(path string) (*Output, error) {
	f := &file{path: path}
	if err := f.open(); err != nil {
		return nil, err
	}
	return o.to(f), nil
}

type file struct {
	path   string
	f      *os.File
	stream stream
}

func (f *file) open() (err error) {
	if f.f != nil {
		return nil
	}
	f.f, err = os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	f.stream = stream{w: f.f}
	return err
}

// send brings lines to the operating system. They are not forced onto the disk:
// that would cost every message, and what only a failing machine takes is the
// last seconds of the log, never mail.
func (f *file) send(lines []byte) (int, error) {
	if err := f.open(); err != nil {
		f.f = nil
		return 0, err
	}
	return f.stream.send(lines)
}

func (f *file) renew() { f.close() }

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close() // all that was written is the system's already
		f.f = nil
	}
}

// head is what every line begins with: see Format.open.
type head struct{ time, level, dataset []byte }

var errHead = errors.New("not a line of this log")

// headOf reads it without reading the whole line.
func headOf(line []byte) (head, error) {
	var h head
	for _, part := range []struct {
		name string
		to   *[]byte
	}{{`"@timestamp":"`, &h.time}, {`"log.level":"`, &h.level}, {`"event.dataset":"sekimori.`, &h.dataset}} {
		_, rest, ok := bytes.Cut(line, []byte(part.name))
		value, rest, closed := bytes.Cut(rest, []byte{'"'})
		if !ok || !closed || len(value) > 40 {
			return head{}, errHead
		}
		*part.to, line = value, rest
	}
	return h, nil
}

// severity is RFC 5424's, section 6.2.1.
func (h head) severity() int {
	switch string(h.level) {
	case "debug":
		return 7
	case "warn":
		return 4
	case "error":
		return 3
	}
	return 6
}

func appendNumber(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }
