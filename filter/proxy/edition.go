package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"sekimori/filter/mail"
)

// edition is a message as the MTA gets it: fields on top, some fields left out,
// every other octet as it came, whether it is part of a field or not.
type edition struct {
	message *mail.Message
	top     []string
	keep    [][]byte // the parts of Header.Raw that stay
}

func newEdition(m *mail.Message, top []string, drop []int) (*edition, error) {
	for _, f := range top {
		if !wholeField(f) {
			return nil, errors.New("a field to prepend is not one whole field")
		}
	}
	keep, err := without(m.Header, drop)
	return &edition{message: m, top: top, keep: keep}, err
}

// wholeField tells that f is one header field with its line end and no more: a
// field that held others would be the sender's way to write our header.
func wholeField(f string) bool {
	b := []byte(f)
	colon := bytes.IndexByte(b, ':')
	if colon <= 0 || bytes.ContainsAny(b[:colon], " \t\r\n") || !bytes.HasSuffix(b, []byte("\r\n")) {
		return false
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(b, []byte("\r\n")), []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n\x00") || len(line) == 0 {
			return false
		}
	}
	lines := bytes.Count(b, []byte("\r\n"))
	return lines == 1+bytes.Count(b, []byte("\r\n "))+bytes.Count(b, []byte("\r\n\t"))
}

// without gives the parts of the header that are left when the fields of these
// indices, ascending, are gone.
func without(h mail.Header, drop []int) ([][]byte, error) {
	var keep [][]byte
	pos, last := 0, -1
	for _, i := range drop {
		if i <= last || i >= len(h.Fields) {
			return nil, fmt.Errorf("there is no field %d to drop", i)
		}
		start := h.Fields[i].Offset
		end := start + len(h.Fields[i].Raw)
		if start < pos || end > len(h.Raw) {
			return nil, fmt.Errorf("field %d is not in the header", i)
		}
		keep = append(keep, h.Raw[pos:start])
		pos, last = end, i
	}
	return append(keep, h.Raw[pos:]), nil
}

func (e *edition) write(w io.Writer) error {
	for _, f := range e.top {
		if _, err := io.WriteString(w, f); err != nil {
			return err
		}
	}
	for _, part := range e.keep {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	head := int64(len(e.message.Header.Raw))
	_, err := io.Copy(w, e.message.Section(head, e.message.Size()-head))
	return err
}

var (
	errBareNewline = errors.New("a bare CR or LF in the message")
	errHiddenDot   = errors.New("a line of the message begins with NUL and a dot")
)

// stuffer writes a message in the form of DATA (RFC 5321 section 4.5.2).
type stuffer struct {
	w      *bufio.Writer
	within bool // a line has begun and not ended
	cr     bool // the last octet was CR
	nuls   bool // the line so far is nothing but NULs
}

// Write stuffs dots. It refuses bare CRs and LFs, and dots that begin a line for
// an MTA which drops NULs: no octets that one MTA and another could see different
// ends in ever leave.
func (s *stuffer) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n') + 1
		ended := n > 0
		if !ended {
			n = len(p)
		}
		if err := s.line(p[:n], ended); err != nil {
			return total - len(p), err
		}
		p = p[n:]
	}
	return total, nil
}

// line takes a line or a part of one; only the last octet may be LF.
func (s *stuffer) line(b []byte, ended bool) error {
	text := b
	if ended {
		text = b[:len(b)-1]
	}
	if s.cr && len(text) > 0 {
		return errBareNewline
	}
	if i := bytes.IndexByte(text, '\r'); i >= 0 {
		if i != len(text)-1 {
			return errBareNewline
		}
		s.cr = true
	}
	if ended && !s.cr {
		return errBareNewline
	}
	if s.hidesDot(b) {
		return errHiddenDot
	}
	if !s.within && b[0] == '.' {
		if err := s.w.WriteByte('.'); err != nil {
			return err
		}
	}
	s.within = !ended
	s.cr = s.cr && !ended
	_, err := s.w.Write(b)
	return err
}

func (s *stuffer) hidesDot(b []byte) bool {
	if s.within && !s.nuls || b[0] != 0 && !s.within {
		return false
	}
	rest := bytes.TrimLeft(b, "\x00")
	s.nuls = len(rest) == 0
	return !s.nuls && rest[0] == '.'
}

// end writes the end of data and sends everything.
func (s *stuffer) end() error {
	if s.cr {
		return errBareNewline
	}
	end := ".\r\n"
	if s.within {
		end = "\r\n.\r\n"
	}
	if _, err := s.w.WriteString(end); err != nil {
		return err
	}
	return s.w.Flush()
}

// timedWriter gives each block its time.
type timedWriter struct {
	conn net.Conn
	time time.Duration
	err  error // of the connection, not of the message
}

func (t *timedWriter) Write(p []byte) (int, error) {
	n := 0
	if t.err = t.conn.SetDeadline(time.Now().Add(t.time)); t.err == nil {
		n, t.err = t.conn.Write(p)
	}
	return n, t.err
}

// data sends a message and gives the MTA's reply to it.
func (l *link) data(write func(io.Writer) error) (reply, error) {
	r, err := l.send(write)
	if err == nil && r.code == 0 {
		r, err = l.final(time.Now().Add(l.times.Final))
		l.pending = false
	}
	return r, err
}

// send sends a message. A reply with a code is the MTA's refusal before its end.
// Unless the end of data has been sent with all before it, the connection is
// dropped, so that the MTA never takes a part for the whole.
func (l *link) send(write func(io.Writer) error) (reply, error) {
	r, err := l.ask(l.times.Command, "DATA")
	if err != nil || r.negative() {
		return r, err
	}
	if r.code != 354 {
		return reply{}, l.fail(TroubleProtocol, "DATA", fmt.Errorf("answered with %d", r.code))
	}
	if err := l.quiet("DATA"); err != nil {
		return reply{}, err
	}
	return l.body(write)
}

// final reads a reply to a whole message, until the deadline.
func (l *link) final(deadline time.Time) (reply, error) {
	if err := l.conn.SetDeadline(deadline); err != nil {
		return reply{}, l.fail(TroubleLost, "end of data", err)
	}
	r, err := l.answer("end of data")
	if err == nil && !r.positive() && !r.negative() {
		err = l.fail(TroubleProtocol, "end of data", fmt.Errorf("answered with %d", r.code))
	}
	return r, err
}

// body sends the message and its end. An MTA may refuse in the midst of it: then
// there is a reply and the connection is gone.
func (l *link) body(write func(io.Writer) error) (reply, error) {
	sent := false
	defer func() {
		if !sent {
			l.drop()
		}
	}()
	out := &timedWriter{conn: l.conn, time: l.times.Data}
	w := &stuffer{w: bufio.NewWriterSize(out, 32<<10)}
	err := write(w)
	if err == nil {
		err = w.end()
	}
	if err == nil {
		sent = true
		return reply{}, nil
	}
	if out.err == nil {
		return reply{}, err // the message's fault, or ours
	}
	if l.conn.SetDeadline(time.Now().Add(time.Second)) == nil {
		if r, rerr := readReply(l.r); rerr == nil && r.negative() {
			return r, nil
		}
	}
	return reply{}, l.fail(TroubleLost, "message", out.err)
}
