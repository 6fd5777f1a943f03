package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"sekimori/filter/dns"
)

// asker puts bounded questions to the resolver: at most left different ones,
// none once the context is over. All errors are *dns.Error.
type asker struct {
	resolver Resolver
	left     int
	seen     map[dns.Question]bool
}

func (a *asker) allow(ctx context.Context, name string, t dns.Type) error {
	q := dns.Question{Name: name, Type: t}
	if ctx.Err() != nil {
		return &dns.Error{Question: q, Outcome: dns.Timeout, Err: context.Cause(ctx)}
	}
	if a.seen[q] {
		return nil
	}
	if a.left <= 0 {
		return &dns.Error{Question: q, Outcome: dns.OverLimit, Err: errors.New("too many questions for one identity")}
	}
	a.left--
	a.seen[q] = true
	return nil
}

func (a *asker) txt(ctx context.Context, name string) ([]string, *dns.Memo, error) {
	if err := a.allow(ctx, name, dns.TXT); err != nil {
		return nil, nil, err
	}
	return dns.Texts(ctx, a.resolver, name)
}

func (a *asker) mx(ctx context.Context, name string) ([]dns.MXRecord, error) {
	if err := a.allow(ctx, name, dns.MX); err != nil {
		return nil, err
	}
	return a.resolver.LookupMX(ctx, name)
}

func (a *asker) names(ctx context.Context, addr netip.Addr) ([]string, error) {
	if err := a.allow(ctx, dns.ReverseName(addr), dns.PTR); err != nil {
		return nil, err
	}
	return a.resolver.LookupAddr(ctx, addr)
}

// addrs gives the addresses of one family only (RFC 7208 section 5).
func (a *asker) addrs(ctx context.Context, name string, v4 bool) ([]netip.Addr, error) {
	network, t := "ip4", dns.A
	if !v4 {
		network, t = "ip6", dns.AAAA
	}
	if err := a.allow(ctx, name, t); err != nil {
		return nil, err
	}
	all, err := a.resolver.LookupNetIP(ctx, network, name)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, addr := range all {
		if addr.Is4() == v4 && !addr.Is4In6() {
			out = append(out, addr)
		}
	}
	return out, nil
}

// outcome is how a lookup ended: ServFail for an error of unknown make.
func outcome(err error) dns.Outcome {
	var e *dns.Error
	switch {
	case err == nil:
		return dns.Found
	case errors.As(err, &e):
		return e.Outcome
	}
	return dns.ServFail
}

func notFound(err error) bool {
	o := outcome(err)
	return o == dns.NXDomain || o == dns.NoData
}

// libraryError says it in the only two ways that the library understands: a
// bare *net.DNSError that was not found or is temporary. Whatever is not known
// for certain is temporary (RFC 7208 section 4.4): nobody may be blamed for it.
func libraryError(err error) error {
	if err == nil {
		return nil
	}
	missing := notFound(err)
	return &net.DNSError{Err: fmt.Sprint(outcome(err)), IsNotFound: missing, IsTemporary: !missing}
}
