package proxy

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// secure begins TLS. Nothing leaves in clear after what has been written.
func (c *conn) secure() (net.Conn, Refusal) {
	c.writing.Lock()
	c.secured = true
	c.writing.Unlock()
	t := tls.Server(c, c.gate.TLS)
	if err := t.Handshake(); err != nil {
		return c, RefusedTLS
	}
	return t, ""
}

// await lets the client wait for its greeting and sees whether it can.
// RFC 5321 section 3.1: a client waits for the greeting before it says anything;
// what sends mail without looking does not.
func (c *conn) await(top net.Conn) Refusal {
	if c.gate.GreetDelay <= 0 || c.exempt {
		return ""
	}
	c.expect(time.Now().Add(c.gate.GreetDelay))
	defer c.expect(time.Time{})
	var b [16]byte // enough to know a PROXY header by
	n, err := top.Read(b[:])
	switch {
	case c.foreign():
		return RefusedForeign
	case n > 0:
		return RefusedEarly
	case !errors.Is(err, errQuiet):
		return RefusedLeft
	}
	return ""
}
