package dns

import (
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// listen opens UDP and TCP on the same free port of the loopback.
func listen(t testing.TB) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err == nil {
			return udp.(*net.UDPConn), tcp
		}
		_ = tcp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// double is a name server that behaves as badly as a test wants.
type double struct {
	addr string
	udp  atomic.Int64 // packets it got
	tcp  atomic.Int64
}

// misbehave starts a double. reply makes the packets that are sent back for one
// question, over UDP or TCP.
func misbehave(t testing.TB, reply func(q *mdns.Msg, tcp bool) [][]byte) *double {
	t.Helper()
	udp, tcp := listen(t)
	d := &double{addr: tcp.Addr().String()}
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			d.udp.Add(1)
			q := new(mdns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, p := range reply(q, false) {
				_, _ = udp.WriteToUDPAddrPort(p, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			d.tcp.Add(1)
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				co := &mdns.Conn{Conn: conn}
				q, err := co.ReadMsg()
				if err != nil {
					return
				}
				for _, p := range reply(q, true) {
					_, _ = co.Write(p)
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close() })
	return d
}

// answering is a double that says the same each time; change, if not nil, spoils it.
func answering(t testing.TB, rcode int, rrs []mdns.RR, change func(m *mdns.Msg, tcp bool)) *double {
	return misbehave(t, func(q *mdns.Msg, tcp bool) [][]byte {
		return [][]byte{pack(t, answerTo(q, rcode, rrs), tcp, change)}
	})
}

func answerTo(q *mdns.Msg, rcode int, rrs []mdns.RR) *mdns.Msg {
	m := new(mdns.Msg).SetRcode(q, rcode)
	m.RecursionAvailable = true
	m.Answer = rrs
	return m
}

func pack(t testing.TB, m *mdns.Msg, tcp bool, change func(m *mdns.Msg, tcp bool)) []byte {
	if change != nil {
		change(m, tcp)
	}
	p, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return p
}

func silent(t testing.TB) *double {
	return misbehave(t, func(*mdns.Msg, bool) [][]byte { return nil })
}

// clientOf is a Client for doubles, impatient.
func clientOf(t testing.TB, doubles ...*double) *Client {
	t.Helper()
	c := &Client{Timeout: 500 * time.Millisecond, Attempts: 1}
	for _, d := range doubles {
		c.Servers = append(c.Servers, netip.MustParseAddrPort(d.addr))
	}
	return c
}
