package proxy

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/pires/go-proxyproto"
)

// Forward is how the MTA learns who the client is. Our Received field says it in
// any case.
type Forward string

// The ways.
const (
	ForwardAuto     Forward = "auto"     // XCLIENT if the MTA offers it, else XFORWARD, else ForwardReceived
	ForwardXCLIENT  Forward = "xclient"  // an MTA that does not offer it is of no use
	ForwardXFORWARD Forward = "xforward" // likewise
	ForwardPROXY    Forward = "proxy"    // the header of the PROXY protocol, version 2: one connection, one client
	ForwardReceived Forward = "received" // by our Received field alone
)

// ClientName is what the DNS says of a client's address.
type ClientName struct {
	Verified string // points back to the address; "" if there is none
	Reverse  string // from the address alone; "" if there is none
	Unsure   bool   // the DNS gave no answer
}

// introduction is what an MTA is told of a client. The zero value is ourselves.
type introduction struct {
	client, dest netip.AddrPort
	name         ClientName
	helo         string
	esmtp        bool
}

// introduction of the present client. Its HELO name may change.
func (x *session) introduction() introduction {
	w := introduction{
		client: x.guard.client,
		dest:   x.guard.local,
		helo:   x.helo,
		esmtp:  x.talk.esmtp,
	}
	if x.server.ClientName != nil && w.client.IsValid() && x.server.Upstream.wantsName() {
		if x.name == nil {
			name := x.server.ClientName(x.ctx, w.client.Addr())
			x.name = &name
		}
		w.name = *x.name
	}
	return w
}

// wantsName tells whether some host would listen to a client's name.
func (u *Upstream) wantsName() bool {
	return slices.ContainsFunc(u.every(), func(h *host) bool {
		o := h.offered.Load()
		if o == nil {
			return false
		}
		verb := u.verb(*o)
		return verb != "" && strings.Contains(strings.ToUpper((*o)[verb]), "NAME")
	})
}

// verb is the command by which a client is introduced, "" if there is none.
func (u *Upstream) verb(o offers) string {
	switch f := u.Forward; {
	case f == ForwardXCLIENT:
		return "XCLIENT"
	case f == ForwardXFORWARD:
		return "XFORWARD"
	case f != ForwardAuto && f != "":
		return ""
	case o.has("XCLIENT"):
		return "XCLIENT"
	case o.has("XFORWARD"):
		return "XFORWARD"
	}
	return ""
}

// way is verb, or an error where the MTA lacks what it has to have: it would take
// all mail for ours, which it may well trust.
func (u *Upstream) way(l *link) (string, error) {
	verb := u.verb(l.own)
	if verb == "" || l.own.has(verb) {
		return verb, nil
	}
	return "", l.fail(TroubleForward, verb, errors.New("not offered"))
}

// introduce tells the MTA whose the next transaction is. A reply with a code is
// the MTA's refusal of this client, and ends the connection.
func (l *link) introduce(who introduction) (reply, error) {
	verb, err := l.host.upstream.way(l)
	switch {
	case err != nil || verb == "":
		return reply{}, err
	case verb == "XFORWARD":
		return reply{}, l.xforward(who)
	case l.as == who:
		return reply{}, nil
	case l.bound:
		return reply{}, l.fail(TroubleForward, verb, errors.New("not offered for a second client"))
	}
	return l.xclient(who)
}

// xforward holds for one transaction.
func (l *link) xforward(who introduction) error {
	for _, line := range who.lines("XFORWARD", l.own["XFORWARD"]) {
		r, err := l.expect(l.times.Command, line)
		if err != nil {
			return err
		}
		if !r.positive() {
			return l.fail(TroubleForward, "XFORWARD", r.asError())
		}
	}
	return nil
}

// xclient makes the MTA take us for the client: it greets anew and knows nothing
// of what was before.
func (l *link) xclient(who introduction) (reply, error) {
	for _, line := range who.lines("XCLIENT", l.own["XCLIENT"]) {
		r, err := l.ask(l.times.Greeting, line)
		if err != nil {
			return reply{}, err
		}
		switch r.code {
		case 220:
		case 421, 521, 554: // RFC 5321 section 3.1, RFC 7504: a greeting that refuses
			l.close()
			return r, nil
		default:
			return reply{}, l.fail(TroubleForward, "XCLIENT", r.asError())
		}
	}
	r, err := l.hello(who.helo)
	if err != nil {
		return reply{}, err
	}
	if !r.positive() {
		l.close()
		return r, nil
	}
	l.as, l.bound = who, !l.offers.has("XCLIENT")
	return reply{}, nil
}

// proxyHeader is that of a client, or without one it says that we mean ourselves.
func (w introduction) proxyHeader() *proxyproto.Header {
	if !w.client.IsValid() {
		return &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	}
	dest := w.dest
	if !dest.IsValid() || dest.Addr().Is4() != w.client.Addr().Is4() {
		dest = unspecified(w.client.Addr())
	}
	return proxyproto.HeaderProxyFromAddrs(2, net.TCPAddrFromAddrPort(w.client), net.TCPAddrFromAddrPort(dest))
}

// unspecified is no address, of the same family as another.
func unspecified(like netip.Addr) netip.AddrPort {
	if like.Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}
