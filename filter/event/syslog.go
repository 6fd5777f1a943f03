package event

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Syslog is a receiver of RFC 5424 messages. Each has a line as its MSG, in UTF-8,
// "message" or "program" as its MSGID, and no structured data.
type Syslog struct {
	Network  string      // "unix", "tcp"
	Address  string      // path, or host and port
	TLS      *tls.Config // RFC 5425; nil: none
	Facility int         // RFC 5424 section 6.2.1
	Host     string      // HOSTNAME; "" is unknown
	PID      int         // PROCID
	Timeout  time.Duration
}

// ToSyslog carries to a receiver. There are no receipts in syslog: what was sent
// into a connection that then breaks may be lost, and nobody knows.
func (o *Output) ToSyslog(s Syslog) *Output {
	s.Timeout = or(s.Timeout, 10*time.Second)
	return o.to(&syslogSink{Syslog: s})
}

type syslogSink struct {
	Syslog
	conn      net.Conn
	datagrams bool // one message each, without a frame
	gone      *atomic.Bool
	frames    []byte
}

func (s *syslogSink) send(lines []byte) (int, error) {
	if s.conn == nil || s.gone.Load() {
		s.close()
		if err := s.dial(); err != nil {
			return 0, err
		}
	}
	sent := 0
	for sent < len(lines) {
		n := s.pack(lines[sent:])
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.Timeout))
		_, err := s.conn.Write(s.frames)
		if err != nil && !(s.datagrams && errors.Is(err, syscall.EMSGSIZE)) { // too long for a datagram: never will it fit
			s.close()
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// pack fills frames with what goes in one write, and tells how many bytes of
// lines that was.
func (s *syslogSink) pack(lines []byte) int {
	s.frames = s.frames[:0]
	packed := 0
	for packed < len(lines) && len(s.frames) < enough {
		end := packed + bytes.IndexByte(lines[packed:], '\n')
		message := s.message(lines[packed:end])
		if !s.datagrams { // RFC 6587 section 3.4.1: octet counting
			s.frames = append(appendNumber(s.frames, len(message)), ' ')
		}
		s.frames = append(s.frames, message...)
		packed = end + 1
		if s.datagrams {
			break
		}
	}
	return packed
}

// message is RFC 5424 section 6. Its time is the line's: RFC 3339 with
// microseconds.
func (s *syslogSink) message(line []byte) []byte {
	h, err := headOf(line)
	if err != nil {
		h = head{time: []byte("-"), dataset: []byte("-")}
	}
	b := make([]byte, 0, len(line)+100)
	b = append(appendNumber(append(b, '<'), s.Facility*8+h.severity()), ">1 "...)
	b = append(append(b, h.time...), ' ')
	b = append(b, or(s.Host, "-")...)
	b = append(b, " sekimori "...)
	b = append(appendNumber(b, s.PID), ' ')
	b = append(append(b, h.dataset...), " - "...)
	return append(b, line...)
}

func (s *syslogSink) dial() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.Timeout)
	defer cancel()
	var d net.Dialer
	s.datagrams = false
	switch {
	case s.Network == "unix":
		if s.conn, err = d.DialContext(ctx, "unixgram", s.Address); err == nil {
			s.datagrams = true
			break
		}
		s.conn, err = d.DialContext(ctx, "unix", s.Address)
	case s.TLS != nil:
		s.conn, err = (&tls.Dialer{NetDialer: &d, Config: s.TLS}).DialContext(ctx, "tcp", s.Address)
	default:
		s.conn, err = d.DialContext(ctx, "tcp", s.Address)
	}
	if err != nil {
		s.conn = nil
		return err
	}
	s.gone = new(atomic.Bool)
	if !s.datagrams {
		go listen(s.conn, s.gone)
	}
	return nil
}

// listen notices the end of a connection, on which nobody ever says anything,
// before something is sent into it.
func listen(c net.Conn, gone *atomic.Bool) {
	_, _ = io.Copy(io.Discard, c)
	gone.Store(true)
}

func (s *syslogSink) renew() {}

func (s *syslogSink) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// Facility gives the number of RFC 5424 section 6.2.1 for a word of the
// configuration; any other is mail.
func Facility(word string) int {
	switch word {
	case "daemon":
		return 3
	case "auth":
		return 4
	}
	if n, err := strconv.Atoi(word[max(0, len(word)-1):]); err == nil {
		return 16 + n&7
	}
	return 2
}
