package proxy

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 makes a PROXY header of version 2, octet by octet.
func v2(command, family byte, addresses string) string {
	b := []byte(v2Signature + string([]byte{command, family}))
	return string(binary.BigEndian.AppendUint16(b, uint16(len(addresses)))) + addresses
}

const (
	v4Pair   = "\xc0\x00\x02\x01\xc0\x00\x02\x02\x30\x39\x00\x19"
	v6Pair   = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x30\x39\x00\x19"
	v4Mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x02" + "\x30\x39\x00\x19"
)

func here() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

// at gives the door's listener settings of its own.
func at(l Listener) func(*Server) {
	return func(s *Server) { s.Listeners = map[string]Listener{"test": l} }
}

func TestProxyHeaderNamesTheClient(t *testing.T) {
	for name, c := range map[string]struct{ header, client, local string }{
		"v1 IPv4":               {"PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\n", "192.0.2.1:12345", "192.0.2.2:25"},
		"v1 IPv6":               {"PROXY TCP6 2001:db8::1 2001:db8::2 12345 25\r\n", "[2001:db8::1]:12345", "[2001:db8::2]:25"},
		"v1 mapped":             {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 12345 25\r\n", "192.0.2.1:12345", "192.0.2.2:25"},
		"v2 IPv4":               {v2(0x21, 0x11, v4Pair), "192.0.2.1:12345", "192.0.2.2:25"},
		"v2 IPv4 with a TLV":    {v2(0x21, 0x11, v4Pair+"\x04\x00\x01\x00"), "192.0.2.1:12345", "192.0.2.2:25"},
		"v2 IPv6":               {v2(0x21, 0x21, v6Pair), "[2001:db8::1]:12345", "[2001:db8::2]:25"},
		"v2 mapped":             {v2(0x21, 0x21, v4Mapped), "192.0.2.1:12345", "192.0.2.2:25"},
		"v2 UNIX has no client": {v2(0x21, 0x31, strings.Repeat("/x\x00\x00", 54)), "invalid AddrPort", "invalid AddrPort"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, at(Listener{Balancers: here()}))
			k := d.dial()
			k.raw(c.header + "EHLO client.example\r\n") // in one packet
			k.want("220 ", "the header")
			k.want("250", "EHLO")
			var got *conn
			for _, g := range d.server.open() {
				got = g
			}
			if got.client.String() != c.client || got.local.String() != c.local {
				t.Errorf("client %v, connected to %v", got.client, got.local)
			}
			if reply := k.send(letterText); reply != accepted {
				t.Fatal(reply)
			}
			want, _ := netip.ParseAddrPort(c.client)
			if r := d.record(1); r.Envelope.Client != want.Addr() || r.Envelope.Port != want.Port() {
				t.Errorf("record %+v", r.Envelope)
			}
			if head := d.mta.got()[0].data; want.IsValid() && !strings.Contains(head, want.Addr().String()) || strings.Contains(head, "127.0.0.1") {
				t.Errorf("trace %.200q", head)
			}
		})
	}
}

// The balancer looks whether we live. What a message came of would be judged as
// the balancer's own.
func TestProxyHeaderOfTheBalancerItself(t *testing.T) {
	for name, header := range map[string]string{
		"v2 LOCAL":              v2(0x20, 0x00, ""),
		"v2 LOCAL with address": v2(0x20, 0x11, v4Pair),
		"v1 UNKNOWN":            "PROXY UNKNOWN\r\n",
		"v1 UNKNOWN with more":  "PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, at(Listener{Balancers: here(), GreetDelay: time.Minute, Rates: Rates{Connections: Rate{1, time.Hour}}, Limits: Limits{ConnectionsPerClient: 1}}))
			for range 3 {
				k := d.dial()
				k.raw(header)
				k.ready()
				k.say("MAIL FROM:<a@b.example>", "450 4.7.0")
				k.say("NOOP", "250")
			}
			if len(d.mta.heard()) != 0 {
				t.Errorf("the MTA heard %q", d.mta.heard())
			}
		})
	}
}

func TestProxyHeaderMissingOrBad(t *testing.T) {
	for name, says := range map[string]string{
		"none":             "EHLO client.example\r\n",
		"silence":          "",
		"half of v1":       "PROXY TCP4 192.0.2.1",
		"half of v2":       v2(0x21, 0x11, v4Pair)[:20],
		"v1 without end":   "PROXY TCP4 " + strings.Repeat("1", 200),
		"v1 bad address":   "PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n",
		"v1 other family":  "PROXY TCP4 2001:db8::1 2001:db8::2 1 25\r\n",
		"v1 bad port":      "PROXY TCP4 192.0.2.1 192.0.2.2 70000 25\r\n",
		"v1 LF alone":      "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n",
		"v1 in lower case": "proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
		"v2 bad command":   v2(0x2f, 0x11, v4Pair),
		"v2 bad version":   v2(0x31, 0x11, v4Pair),
		"v2 short":         v2(0x21, 0x11, v4Pair[:8]),
		"v2 datagrams":     v2(0x21, 0x12, v4Pair),
		"v2 huge":          v2Signature + "\x21\x11\xff\xff" + strings.Repeat("x", 5000),
		"garbage":          "\x00\xff\x16\x03\x01\x02",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, at(Listener{Balancers: here(), Limits: Limits{HeaderTime: 150 * time.Millisecond}}))
			k := d.dial()
			began := time.Now()
			k.raw(says)
			if got := k.hear(); got != "421 4.3.5 a PROXY header is required from your address" {
				t.Errorf("reply %q", got)
			}
			k.over()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
			if !d.happened("refused proxy_header") || d.happened("accepted") {
				t.Errorf("events %v", d.events)
			}
		})
	}
}

// A header that trickles in has its time as a whole, and nobody else waits.
func TestProxyHeaderSlow(t *testing.T) {
	d := newDoor(t, at(Listener{Balancers: here(), Limits: Limits{HeaderTime: 300 * time.Millisecond}}))
	slow := d.dial()
	go func() {
		for _, b := range []byte(v2(0x21, 0x11, v4Pair)) {
			slow.raw(string(b))
			time.Sleep(50 * time.Millisecond)
		}
	}()
	quick := d.dial()
	quick.raw("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\n")
	began := time.Now()
	quick.ready()
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("the slow one held up the quick one for %v", took)
	}
	slow.want("421 4.3.5", "a slow header")
	slow.over()
}

// The time for the header is over with the header.
func TestProxyHeaderAndSilentClient(t *testing.T) {
	d := newDoor(t, at(Listener{Balancers: here(), Limits: Limits{HeaderTime: 100 * time.Millisecond}}))
	k := d.dial()
	k.raw("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\n")
	k.want("220 ", "the header")
	time.Sleep(200 * time.Millisecond)
	k.say("EHLO client.example", "250")
}

// SM-19: nobody but a balancer may say where it comes from.
func TestProxyHeaderFromSomebodyElse(t *testing.T) {
	for name, l := range map[string]Listener{
		"no balancers":    {},
		"other balancers": {Balancers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		"greet delay":     {GreetDelay: 5 * time.Second},
	} {
		for version, header := range map[string]string{"v1": "PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\n", "v2": v2(0x21, 0x11, v4Pair)} {
			t.Run(name+"/"+version, func(t *testing.T) {
				d := newDoor(t, at(l))
				k := d.dial()
				k.raw(header + "EHLO evil.example\r\nMAIL FROM:<a@b.example>\r\n")
				if l.GreetDelay == 0 {
					k.want("220 ", "connecting")
				}
				k.want("554 5.7.1 no PROXY header is taken from your address", "a header")
				k.over()
				if !d.happened("refused proxy_forged") || len(d.mta.heard()) != 0 {
					t.Errorf("events %v, the MTA heard %q", d.events, d.mta.heard())
				}
			})
		}
	}
}

// Limits are for the client, not for the balancer before it.
func TestProxyHeaderAndLimits(t *testing.T) {
	d := newDoor(t, at(Listener{Balancers: here(), Limits: Limits{ConnectionsPerClient: 1}}))
	for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
		k := d.dial()
		k.raw("PROXY TCP4 " + client + " 192.0.2.9 1 25\r\n")
		k.ready()
	}
	k := d.dial()
	k.raw("PROXY TCP4 192.0.2.1 192.0.2.9 2 25\r\n")
	k.want("421 4.7.0 too many connections from your address", "a second one")
	k.over()
}

// A shutdown does not wait for a header.
func TestProxyHeaderAndShutdown(t *testing.T) {
	d := newDoor(t, at(Listener{Balancers: here(), Limits: Limits{HeaderTime: time.Minute}}))
	k := d.dial()
	eventually(t, func() bool { return d.happened("opened") })
	if err := <-d.shutdown(5 * time.Second); err != nil {
		t.Error(err)
	}
	k.want("421 4.3.2 ", "a shutdown")
	k.over()
}

func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 12345 25\r\nEHLO x\r\n"))
	f.Add([]byte(v2(0x21, 0x21, v6Pair) + "NOOP\r\n"))
	f.Add([]byte(v2(0x20, 0x00, "")))
	f.Add([]byte(v2Signature))
	f.Fuzz(func(t *testing.T, says []byte) {
		c := newConn(&pipeConn{client: strings.NewReader(string(says))}, newGate("test", Listener{AllBalancers: true}, time.Now))
		why := c.introduce()
		if why != "" && why != RefusedHeader {
			t.Errorf("refused as %q", why)
		}
		if why != "" {
			return
		}
		if !strings.HasPrefix(string(says), "PROXY ") && !strings.HasPrefix(string(says), v2Signature) {
			t.Error("what is no header was taken for one")
		}
		if a := c.client.Addr(); a.Is4In6() || a.Zone() != "" {
			t.Errorf("client %v", a)
		}
		rest := make([]byte, len(says)+1)
		n := 0
		for {
			m, err := c.Read(rest[n:])
			if n += m; err != nil {
				break
			}
		}
		if n > 0 && !strings.HasSuffix(string(says), string(rest[:n])) {
			t.Errorf("what follows became %q", rest[:n])
		}
	})
}

// Peers on a unix socket have no address to be known by.
func TestUnixSocket(t *testing.T) {
	for _, balancer := range []bool{false, true} {
		d := newDoor(t, func(s *Server) {
			s.Listeners = map[string]Listener{"unix": {AllBalancers: balancer, Rates: Rates{Connections: Rate{1, time.Hour}}, Limits: Limits{ConnectionsPerClient: 1}}}
		})
		path := t.TempDir() + "/s"
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		d.serveAs("unix", l)
		for i := range 2 { // who has no address is not counted
			k := d.call("unix", path)
			if balancer {
				k.raw("PROXY TCP4 192.0.2." + string(rune('1'+i)) + " 192.0.2.9 1 25\r\n")
			}
			if got := k.ready().send(letterText); got != accepted {
				t.Fatal(got)
			}
			r := d.record(i + 1)
			if r.Outcome != filter.Delivered || r.Listener != "unix" || r.Envelope.Client.IsValid() != balancer {
				t.Errorf("record %+v", r)
			}
		}
		if !balancer && !strings.Contains(d.mta.got()[0].data, "Received: from client.example (local)\r\n") {
			t.Errorf("trace %.100q", d.mta.got()[0].data)
		}
	}
}
