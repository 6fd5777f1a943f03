package proxy

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// headerBuffer is more than a header of version 1 may have.
const headerBuffer = 256

// introduce reads the header in which a balancer names its client (the PROXY
// protocol of HAProxy, versions 1 and 2): all of it, in time, before anything
// else is done. Nothing that is no header is taken for the lack of one.
func (c *conn) introduce() Refusal {
	c.expect(time.Now().Add(c.limits.HeaderTime))
	defer c.expect(time.Time{})
	c.known()
	r := bufio.NewReaderSize(c, headerBuffer)
	h, err := proxyproto.Read(r)
	if err != nil {
		return RefusedHeader
	}
	rest, _ := r.Peek(r.Buffered())
	c.unread(bytes.Clone(rest))
	switch from := h.SourceAddr.(type) {
	case nil:
	case *net.TCPAddr:
		if h.Command.IsLocal() {
			break
		}
		c.client, c.local = clientOf(from), clientOf(h.DestinationAddr)
		return ""
	case *net.UnixAddr:
		if h.Command.IsLocal() {
			break
		}
		c.client, c.local = netip.AddrPort{}, netip.AddrPort{}
		return ""
	default: // datagrams, which no SMTP comes in
		return RefusedHeader
	}
	// A connection of the balancer's own, or one whose client it does not know.
	// No message may come of it, which would be judged as the balancer's.
	c.ownCheck = true
	return ""
}

// foreignHeader tells that the first octets of a client are a PROXY header.
// Nobody but a balancer may say where it comes from.
func foreignHeader(b []byte) bool {
	const v1, v2 = "PROXY ", "\r\n\r\n\x00\r\nQUIT\n"
	return bytes.HasPrefix(b, []byte(v1)) || bytes.HasPrefix(b, []byte(v2))
}
