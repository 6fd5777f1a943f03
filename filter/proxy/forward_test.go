package proxy

import (
	"bufio"
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// offer has the double offer something more, and the proxy learn of it.
func (d *door) offer(keywords ...string) {
	d.t.Helper()
	d.mta.mu.Lock()
	d.mta.offers = append(slices.Clone(d.mta.offers), keywords...)
	d.mta.mu.Unlock()
	d.probe()
}

func (d *door) probe() {
	d.t.Helper()
	d.server.Upstream.ProbeAll(d.t.Context())
	eventually(d.t, func() bool { return slices.Contains(d.mta.heard(), "QUIT") })
	d.mta.mu.Lock()
	d.mta.commands, d.mta.opened = nil, 0
	d.mta.mu.Unlock()
}

// heardOf gives the commands with this verb.
func (d *door) heardOf(verb string) (all []string) {
	for _, c := range d.mta.heard() {
		if strings.HasPrefix(c, verb) {
			all = append(all, c)
		}
	}
	return all
}

const xclient = "XCLIENT NAME REVERSE_NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT NOVEL"

func TestXCLIENT(t *testing.T) {
	d := newDoor(t, func(s *Server) {
		s.ClientName = func(context.Context, netip.Addr) ClientName {
			return ClientName{Verified: "mail.example", Reverse: "host=1.example"}
		}
	})
	d.offer(xclient)
	k := d.dial().ready()
	if got := k.send(letterText); got != accepted {
		t.Fatalf("reply %q", got)
	}
	port := portValue(clientOf(k.c.LocalAddr()))
	destination := portValue(clientOf(k.c.RemoteAddr()))
	want := []string{
		"EHLO mx.example",
		"XCLIENT NAME=mail.example REVERSE_NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT=" + port + " PROTO=ESMTP HELO=client.example DESTADDR=127.0.0.1 DESTPORT=" + destination,
		"EHLO client.example",
		"MAIL FROM:<a@sender.example>",
	}
	if got := d.mta.heard(); len(got) < 4 || !slices.Equal(got[:4], want) {
		t.Errorf("the MTA heard %q", got)
	}
	k.send(letterText)
	if n := len(d.heardOf("XCLIENT")); n != 1 {
		t.Errorf("%d XCLIENT for one client", n)
	}
	k.say("HELO other.example", "250") // another introduction, and not by EHLO
	k.send(letterText)
	if all := d.heardOf("XCLIENT"); len(all) != 2 || !strings.Contains(all[1], "PROTO=SMTP HELO=other.example") {
		t.Errorf("the MTA heard %q", all)
	}
}

// What an MTA says to XCLIENT is of the client if it is a greeting, else of us.
func TestXCLIENTRefused(t *testing.T) {
	for name, c := range map[string]struct {
		step, say, want string
		event           bool
	}{
		"greeting":    {"XCLIENT", "554 5.7.1 not you\r\n", "554 5.7.1 not you", false},
		"too many":    {"XCLIENT", "421 4.7.0 too many from you\r\n", "421 4.7.0 too many from you", false},
		"not allowed": {"XCLIENT", "550 5.7.0 insufficient authorization\r\n", "451 4.4.1 ", true},
		"bad":         {"XCLIENT", "501 5.5.4 bad\r\n", "451 4.4.1 ", true},
		"positive":    {"XCLIENT", "250 2.0.0 ok\r\n", "451 4.4.1 ", true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			d.offer(xclient)
			d.mta.do(c.step, misdeed{say: c.say})
			d.dial().ready().say("MAIL FROM:<a@b.example>", c.want)
			if d.happened("upstream forward") != c.event {
				t.Errorf("events %q", d.events)
			}
			d.mta.behave()
			if got := d.dial().ready().send(letterText); got != accepted {
				t.Errorf("reply %q", got)
			}
		})
	}
}

func TestXFORWARD(t *testing.T) {
	d := newDoor(t, func(s *Server) {
		s.ClientName = func(context.Context, netip.Addr) ClientName { return ClientName{Unsure: true} }
	})
	d.offer("XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT")
	k := d.dial().ready()
	k.send(letterText)
	k.send(letterText)
	all := d.heardOf("XFORWARD")
	want := "XFORWARD NAME=[TEMPUNAVAIL] ADDR=127.0.0.1 PROTO=ESMTP HELO=client.example SOURCE=REMOTE PORT=" + portValue(clientOf(k.c.LocalAddr()))
	if len(all) != 2 || all[0] != want || all[1] != want {
		t.Errorf("the MTA heard %q, want twice %q", all, want)
	}
	d.mta.do("XFORWARD", misdeed{say: "501 5.5.4 no\r\n"})
	d.dial().ready().say("MAIL FROM:<a@b.example>", "451 4.4.1 ")
}

// An MTA that has to listen and does not is of no use; one that need not gets the
// mail with our Received field alone.
func TestForwardNotOffered(t *testing.T) {
	for f, want := range map[Forward]string{
		ForwardXCLIENT: "451 4.4.1 ", ForwardXFORWARD: "451 4.4.1 ", ForwardAuto: "250", ForwardReceived: "250", "": "250",
	} {
		d := newDoor(t)
		d.server.Upstream.Forward = f
		err := d.server.Upstream.Probe(t.Context())
		if (err == nil) != (want == "250") {
			t.Errorf("%q: the probe gives %v", f, err)
		}
		d.dial().ready().say("MAIL FROM:<a@b.example>", want)
	}
}

func TestForwardReceived(t *testing.T) {
	d := newDoor(t)
	d.server.Upstream.Forward = ForwardReceived
	d.offer(xclient, "XFORWARD NAME ADDR")
	d.dial().ready().send(letterText)
	if len(d.heardOf("X")) != 0 {
		t.Errorf("the MTA heard %q", d.mta.heard())
	}
}

func TestAttributes(t *testing.T) {
	six := netip.MustParseAddrPort("[2001:db8::1]:2525")
	for _, c := range []struct {
		who    introduction
		listed string
		want   []string
	}{
		{introduction{}, "NAME ADDR PORT PROTO HELO DESTADDR DESTPORT LOGIN",
			[]string{"XCLIENT NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=SMTP HELO= DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE]"}},
		{introduction{client: six, dest: six, helo: "a+b=c\u3042", esmtp: true}, "addr port proto helo destaddr source",
			[]string{"XCLIENT ADDR=IPV6:2001:db8::1 PORT=2525 PROTO=ESMTP HELO=a+2Bb+3Dc+E3+81+82 DESTADDR=IPV6:2001:db8::1"}},
		{introduction{client: six, helo: strings.Repeat("+", 200)}, "ADDR HELO PORT",
			[]string{"XCLIENT ADDR=IPV6:2001:db8::1", "XCLIENT HELO=" + strings.Repeat("+2B", 200), "XCLIENT PORT=2525"}},
		{introduction{name: ClientName{Verified: "a\r\nb", Reverse: "x y"}}, "NAME REVERSE_NAME", []string{"XCLIENT NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE]"}},
		{introduction{name: ClientName{Unsure: true}}, "NAME", []string{"XCLIENT NAME=[TEMPUNAVAIL]"}},
		{introduction{}, "LOGIN", nil},
		{introduction{}, "", nil},
	} {
		if got := c.who.lines("XCLIENT", c.listed); !slices.Equal(got, c.want) {
			t.Errorf("%q gives %q", c.listed, got)
		}
	}
}

func TestPROXYHeader(t *testing.T) {
	four, six := netip.MustParseAddrPort("192.0.2.1:1000"), netip.MustParseAddrPort("[2001:db8::1]:2000")
	for _, c := range []struct {
		who            introduction
		source, target string
	}{
		{introduction{client: four, dest: four}, "192.0.2.1:1000", "192.0.2.1:1000"},
		{introduction{client: six, dest: six}, "[2001:db8::1]:2000", "[2001:db8::1]:2000"},
		{introduction{client: four, dest: six}, "192.0.2.1:1000", "0.0.0.0:0"},
		{introduction{client: six, dest: four}, "[2001:db8::1]:2000", "[::]:0"},
		{introduction{client: six}, "[2001:db8::1]:2000", "[::]:0"},
		{introduction{}, "", ""},
	} {
		var b bytes.Buffer
		if _, err := c.who.proxyHeader().WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		h, err := proxyproto.Read(bufio.NewReader(&b))
		if err != nil {
			t.Fatal(err)
		}
		if c.source == "" {
			if !h.Command.IsLocal() {
				t.Errorf("%+v", h)
			}
			continue
		}
		if h.SourceAddr.String() != c.source || h.DestinationAddr.String() != c.target || !h.Command.IsProxy() {
			t.Errorf("%+v, want %s %s", h, c.source, c.target)
		}
	}
}
