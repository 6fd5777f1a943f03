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
// ends in ever leave. All of p is looked at before any of it is written, in
// stretches as long as they are.
func (s *stuffer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.bare(p) {
		return 0, errBareNewline
	}
	if s.hidesDot(p) {
		return 0, errHiddenDot
	}
	rest := p
	if s.cr { // its LF
		if err := s.w.WriteByte('\n'); err != nil {
			return 0, err
		}
		rest, s.within = p[1:], false
	}
	if len(rest) > 0 && !s.within && rest[0] == '.' {
		if err := s.w.WriteByte('.'); err != nil {
			return 0, err
		}
	}
	for i := bytes.Index(rest, []byte(dottedLine)); i >= 0; i = bytes.Index(rest, []byte(dottedLine)) {
		if _, err := s.w.Write(rest[:i+3]); err != nil { // its dot twice
			return len(p) - len(rest), err
		}
		rest = rest[i+2:]
	}
	s.within, s.cr = p[len(p)-1] != '\n', p[len(p)-1] == '\r'
	_, err := s.w.Write(rest)
	return len(p), err
}

// bare tells of a CR or LF that stands alone in p, or before it. If every LF has
// its CR and there are as many of them, then every CR has its LF; the last octet
// may be a CR of which it is not known yet.
func (s *stuffer) bare(p []byte) bool {
	before, lines := s.cr, 0
	for rest := p; ; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] != '\r' || i == 0 && !before {
			return true
		}
		lines++
		rest, before = rest[i+1:], false
	}
	returns := bytes.Count(p, []byte{'\r'})
	if s.cr {
		returns++
	}
	if p[len(p)-1] == '\r' {
		returns--
	}
	return returns != lines
}

// hidesDot tells of a line that is nothing but NULs before a dot.
func (s *stuffer) hidesDot(p []byte) bool {
	if !s.nuls && bytes.IndexByte(p, 0) < 0 {
		return false
	}
	begun := s.within
	for _, c := range p {
		switch {
		case c == '\n':
			begun, s.nuls = false, false
		case c == 0 && (!begun || s.nuls):
			begun, s.nuls = true, true
		case c == '.' && s.nuls:
			return true
		default:
			begun, s.nuls = true, false
		}
	}
	return false
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

// timedBlock is how much has one time.
const timedBlock = 64 << 10

func (t *timedWriter) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) && t.err == nil {
		if t.err = t.conn.SetDeadline(time.Now().Add(t.time)); t.err == nil {
			var n int
			n, t.err = t.conn.Write(p[sent:min(sent+timedBlock, len(p))])
			sent += n
		}
	}
	return sent, t.err
}

// writer gives one to gather small blocks in, of those that messages before have
// left: empty, and without an error.
func (u *Upstream) writer(out io.Writer) *bufio.Writer {
	w, ok := u.writers.Get().(*bufio.Writer)
	if !ok {
		return bufio.NewWriterSize(out, 32<<10)
	}
	w.Reset(out)
	return w
}

// putBack leaves a writer to the messages that follow. Neither the connection nor
// an octet of the message stays in it, however the message ended.
func (u *Upstream) putBack(w *bufio.Writer) {
	w.Reset(nil)
	room := w.AvailableBuffer()
	clear(room[:cap(room)])
	u.writers.Put(w)
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
	blocks := l.host.upstream.writer(out)
	defer l.host.upstream.putBack(blocks)
	w := &stuffer{w: blocks}
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
