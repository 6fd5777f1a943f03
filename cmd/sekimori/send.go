package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// sender is a plain SMTP client that sends bytes exactly as they are, good or
// bad, for the demo and for load.
type sender struct {
	conn net.Conn
	text *textproto.Conn
	lap  func(step string) // told after each reply of a transaction; may be nil
}

// netipNone is no client: the connection speaks for itself.
var netipNone netip.Addr

// sendTimeout bounds a whole conversation, unless the caller renews the
// connection's deadline.
const sendTimeout = 30 * time.Second

// dialSender connects and greets. A valid client is told to the server in a
// PROXY header as the address that the mail seems to come from.
func dialSender(addr string, client netip.Addr, helo string) (*sender, error) {
	conn, err := net.DialTimeout("tcp", addr, sendTimeout)
	if err != nil {
		return nil, err
	}
	s := newSender(conn)
	if err := s.greet(client, helo); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func newSender(conn net.Conn) *sender {
	return &sender{conn: conn, text: textproto.NewConn(conn)}
}

// refusedError is a reply that ends a conversation before its first message.
type refusedError struct{ step, reply string }

func (e *refusedError) Error() string { return e.step + ": " + e.reply }

func (s *sender) greet(client netip.Addr, helo string) error {
	if err := s.conn.SetDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if client.IsValid() {
		from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 25))
		to := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25}
		if client.Is6() {
			to.IP = net.IPv6loopback
		}
		if _, err := proxyproto.HeaderProxyFromAddrs(2, from, to).WriteTo(s.conn); err != nil {
			return err
		}
	}
	if reply := s.read(); !positive(reply) {
		return &refusedError{"greeting", reply}
	}
	return s.hello(helo)
}

func (s *sender) hello(helo string) error {
	if reply := s.command("EHLO %s", helo); !positive(reply) {
		return &refusedError{"EHLO", reply}
	}
	return nil
}

// startTLS goes on in TLS and takes any certificate, as most MTAs do that send.
func (s *sender) startTLS(helo string) error {
	if reply := s.command("STARTTLS"); !positive(reply) {
		return &refusedError{"STARTTLS", reply}
	}
	secured := tls.Client(s.conn, &tls.Config{InsecureSkipVerify: true})
	if err := secured.Handshake(); err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	s.conn, s.text = secured, textproto.NewConn(secured)
	return s.hello(helo) // RFC 3207 section 4.2: what was said before is forgotten
}

// letter is a message ready to be sent many times.
type letter struct {
	from       string
	rcpts      []string
	parameters string // of MAIL
	wire       []byte // what follows DATA
}

func newLetter(from string, rcpts []string, data []byte) letter {
	return letter{from, rcpts, parameters(from, rcpts, data), stuffed(data)}
}

// send plays one transaction and gives the last reply: to the final dot, or to
// the first command that was refused.
func (s *sender) send(from string, rcpts []string, data []byte) string {
	return s.post(newLetter(from, rcpts, data))
}

// post is send for a letter that is ready.
func (s *sender) post(l letter) string {
	reply := s.command("MAIL FROM:<%s>%s", l.from, l.parameters)
	s.passed("MAIL")
	for _, r := range l.rcpts {
		if !positive(reply) {
			return reply
		}
		reply = s.command("RCPT TO:<%s>", r)
		s.passed("RCPT")
	}
	if !positive(reply) {
		return reply
	}
	reply = s.data(l.wire)
	s.passed("DATA")
	return reply
}

func (s *sender) data(wire []byte) string {
	if reply := s.command("DATA"); !strings.HasPrefix(reply, "354") {
		return reply
	}
	if _, err := s.conn.Write(wire); err != nil {
		return "connection lost: " + err.Error()
	}
	return s.read()
}

func (s *sender) passed(step string) {
	if s.lap != nil {
		s.lap(step)
	}
}

func parameters(from string, rcpts []string, data []byte) string {
	p := ""
	if !ascii([]byte(from + strings.Join(rcpts, ""))) {
		p = " SMTPUTF8"
	}
	if !ascii(data) {
		p += " BODY=8BITMIME"
	}
	return p
}

func ascii(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r >= 0x80 }) < 0
}

func (s *sender) close() {
	s.command("QUIT")
	s.conn.Close()
}

func (s *sender) command(format string, args ...any) string {
	if err := s.text.PrintfLine(format, args...); err != nil {
		return "connection lost: " + err.Error()
	}
	return s.read()
}

// read gives one reply, its lines divided by "\n", the code on the first only.
func (s *sender) read() string {
	code, message, err := s.text.ReadResponse(0)
	if err != nil && code == 0 {
		return "connection lost: " + err.Error()
	}
	return fmt.Sprintf("%d %s", code, message)
}

func positive(reply string) bool { return strings.HasPrefix(reply, "2") }

// stuffed makes a message ready for DATA (RFC 5321 section 4.5.2): nothing but
// dots after CR LF is changed, and the end is put behind it.
func stuffed(data []byte) []byte {
	out := bytes.ReplaceAll(data, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(out, []byte(".")) {
		out = append([]byte("."), out...)
	}
	if !bytes.HasSuffix(out, []byte("\r\n")) {
		out = append(out, "\r\n"...)
	}
	return append(out, ".\r\n"...)
}
