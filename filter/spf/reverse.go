package spf

import (
	"context"
	"net"
	"strings"

	"sekimori/filter/dns"
)

// reverse are the validated names of the client (RFC 7208 section 5.5), looked
// up once.
type reverse struct {
	done  bool
	void  bool // the client has no names; said once
	names []string
}

// maxNames: RFC 7208 section 4.6.4, only the first ten are looked at.
const maxNames = 10

// names gives the client's names that lead back to its address. RFC 7208
// section 5.5: an error means that there is none, never a temperror, as the
// reverse zone is not in the hands of the domain.
func (e *evaluation) names(ctx context.Context) []string {
	if e.ptr.done {
		return e.ptr.names
	}
	e.ptr.done = true
	found, err := e.ask.names(ctx, e.client)
	e.ptr.void = notFound(err) || err == nil && len(found) == 0
	for _, name := range found[:min(len(found), maxNames)] {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if askable(name) && e.leadsBack(ctx, name) {
			e.ptr.names = append(e.ptr.names, name)
		}
	}
	return e.ptr.names
}

func (e *evaluation) leadsBack(ctx context.Context, name string) bool {
	addrs, _ := e.ask.addrs(ctx, name, e.client.Is4())
	for _, addr := range addrs {
		if addr == e.client {
			return true
		}
	}
	return false
}

// reverse answers a ptr term.
func (a answers) reverse(ctx context.Context, s *step) ([]net.IPAddr, error) {
	domain := strings.ToLower(a.name(ctx, s))
	for _, name := range a.names(ctx) {
		s.hit = s.hit || below(name, domain)
	}
	if s.hit {
		return []net.IPAddr{{IP: net.IPv4(127, 0, 0, 2)}}, nil
	}
	if a.ptr.void {
		a.ptr.void = false // RFC 7208 section 4.6.4 counts lookups, and there was one
		return nil, libraryError(&dns.Error{Outcome: dns.NoData})
	}
	return nothing(), nil
}

// validated is the macro "p": RFC 7208 section 7.3 prefers the domain itself,
// then a name below it, then any.
func (e *evaluation) validated(ctx context.Context, domain string) string {
	domain = strings.ToLower(domain)
	best := "unknown"
	for i, name := range e.names(ctx) {
		switch {
		case name == domain:
			return name
		case i == 0, below(name, domain) && !below(best, domain):
			best = name
		}
	}
	return best
}

// below tells whether the name is the domain or under it.
func below(name, domain string) bool {
	return name == domain || domain != "" && strings.HasSuffix(name, "."+domain)
}
