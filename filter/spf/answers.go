package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"sekimori/filter/dns"
)

// answers is what the library takes for the DNS: its questions are about
// placeholders.
type answers struct{ *evaluation }

// errNoRecord and errRecord end the evaluation of a record, the latter with
// permerror.
var (
	errNoRecord = &net.DNSError{Err: "no SPF record", IsNotFound: true}
	errRecord   = errors.New("unusable SPF record")
)

// maxMX is one more than an mx term may have (RFC 7208 section 4.6.4): enough
// for the library to refuse it.
const maxMX = 11

// LookupTXT gives the record of the checked domain, of an include or a
// redirect.
func (a answers) LookupTXT(ctx context.Context, name string) ([]string, error) {
	s := a.target(name).step
	if s == nil {
		f, txt, err := a.fetch(ctx, a.sender.domain, a.sender.domain)
		a.root = f
		return txt, err
	}
	a.lookups++
	domain := a.name(ctx, s)
	f, txt, err := a.fetch(ctx, domain, fmt.Sprintf("%s refers to %s, which", printed(s.frame.domain), printed(domain)))
	s.child = f
	return txt, err
}

// fetch: RFC 7208 sections 4.3 to 4.6. subject is the domain in words.
func (a answers) fetch(ctx context.Context, domain, subject string) (*frame, []string, error) {
	if !askable(domain) || !strings.Contains(domain, ".") {
		return nil, nil, a.fail(errNoRecord, subject+" cannot be looked up")
	}
	txts, memo, err := a.ask.txt(ctx, domain)
	switch outcome(err) {
	case dns.NXDomain:
		return nil, nil, a.fail(errNoRecord, subject+" does not exist")
	case dns.NoData:
		return nil, nil, a.fail(errNoRecord, subject+" has no SPF record")
	}
	if err != nil {
		return nil, nil, a.fail(libraryError(err), silence(domain, dns.TXT, err))
	}
	p := dns.Remember(memo, func() (*published, int) {
		p := readTexts(txts)
		return p, p.bytes()
	})
	switch {
	case p.count == 0:
		return nil, nil, a.fail(errNoRecord, subject+" has no SPF record")
	case p.count > 1:
		return nil, nil, a.fail(errRecord, subject+" has more than one SPF record") // RFC 7208 section 4.5
	case p.err != nil:
		return nil, nil, a.fail(errRecord, fmt.Sprintf("the SPF record of %s is malformed: %s", printed(domain), p.err))
	}
	f, txt := a.frame(domain, p.record)
	return f, []string{txt}, nil
}

// fail keeps the reason for an error which ends the evaluation.
func (a answers) fail(err error, reason string) error {
	a.trouble = reason
	return err
}

func silence(name string, t dns.Type, err error) string {
	return fmt.Sprintf("the DNS did not answer for the %s records of %s: %s", t, printed(name), outcome(err))
}

// LookupMX gives placeholders for the hosts.
func (a answers) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	s := a.target(name).step
	a.lookups++
	domain := a.name(ctx, s)
	if !askable(domain) {
		return []*net.MX{a.host(s, ".")}, nil // matches nothing
	}
	found, err := a.ask.mx(ctx, domain)
	if err != nil {
		return nil, a.failed(domain, dns.MX, err)
	}
	var out []*net.MX
	for _, mx := range found {
		if len(out) < maxMX {
			out = append(out, a.host(s, mx.Host))
		}
	}
	return out, nil
}

// host stands for one mail exchanger; the null MX (RFC 7505) is the name "."
// of which nothing is asked.
func (a answers) host(s *step, name string) *net.MX {
	if name == "" {
		name = "."
	}
	return &net.MX{Host: a.placeholder(target{step: s, host: name})}
}

// LookupAddr is never asked: ptr terms are seen by the library as exists terms.
func (a answers) LookupAddr(context.Context, string) ([]string, error) { return nil, errNoRecord }

// LookupIPAddr answers a, exists, and what was written as exists; and the hosts
// of mx.
func (a answers) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	t := a.target(name)
	if t.host != "" {
		return a.addrs(ctx, t.step, t.host, a.client.Is4())
	}
	a.lookups++
	switch t.step.name {
	case "a":
		return a.addrs(ctx, t.step, a.name(ctx, t.step), a.client.Is4())
	case "exists":
		return a.addrs(ctx, t.step, a.name(ctx, t.step), true) // RFC 7208 section 5.7: never AAAA
	case "ptr":
		return a.reverse(ctx, t.step)
	case validateStep:
		a.names(ctx)
	}
	return nothing(), nil
}

// nothing is an answer that no term matches and that is no void lookup: there
// was no question.
func nothing() []net.IPAddr { return []net.IPAddr{{}} }

// addrs asks for the addresses of a name and notes whether the step matches.
func (a answers) addrs(ctx context.Context, s *step, name string, v4 bool) ([]net.IPAddr, error) {
	if !askable(name) {
		return nothing(), nil // RFC 7208 section 4.8 leaves it open
	}
	found, err := a.ask.addrs(ctx, name, v4)
	switch {
	case outcome(err) == dns.NoData && !v4:
		// Not counted as void, though the letter of RFC 7208 section 4.6.4
		// would: the name is there, and its owner cannot be blamed for a
		// client that came over IPv6.
		return nothing(), nil
	case err != nil && v4:
		return nil, a.failed(name, dns.A, err)
	case err != nil:
		return nil, a.failed(name, dns.AAAA, err)
	}
	for _, addr := range found {
		s.hit = s.hit || s.name == "exists" || s.contains(addr, a.client)
	}
	return toLibrary(found), nil
}

// failed turns an error about a term's records into the library's.
func (a answers) failed(name string, t dns.Type, err error) error {
	if notFound(err) {
		return libraryError(err)
	}
	return a.fail(libraryError(err), silence(name, t, err))
}

func toLibrary(addrs []netip.Addr) []net.IPAddr {
	out := make([]net.IPAddr, len(addrs))
	for i, addr := range addrs {
		out[i] = net.IPAddr{IP: addr.AsSlice()}
	}
	return out
}
