package main

import (
	"bytes"
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
}

// netipNone is no client: the connection speaks for itself.
var netipNone netip.Addr

// sendTimeout bounds a whole conversation.
const sendTimeout = 30 * time.Second

// dialSender connects and greets. A valid client is told to the server in a
// PROXY header as the address that the mail seems to come from.
func dialSender(addr string, client netip.Addr, helo string) (*sender, error) {
	conn, err := net.DialTimeout("tcp", addr, sendTimeout)
	if err != nil {
		return nil, err
	}
	s := &sender{conn: conn, text: textproto.NewConn(conn)}
	if err := s.greet(client, helo); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

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
		return fmt.Errorf("greeting: %s", reply)
	}
	if reply := s.command("EHLO %s", helo); !positive(reply) {
		return fmt.Errorf("EHLO: %s", reply)
	}
	return nil
}

// send plays one transaction and gives the last reply: to the final dot, or to
// the first command that was refused.
func (s *sender) send(from string, rcpts []string, data []byte) string {
	if reply := s.command("MAIL FROM:<%s>%s", from, parameters(from, rcpts, data)); !positive(reply) {
		return reply
	}
	for _, r := range rcpts {
		if reply := s.command("RCPT TO:<%s>", r); !positive(reply) {
			return reply
		}
	}
	if reply := s.command("DATA"); !strings.HasPrefix(reply, "354") {
		return reply
	}
	if _, err := s.conn.Write(stuffed(data)); err != nil {
		return "connection lost: " + err.Error()
	}
	return s.read()
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
