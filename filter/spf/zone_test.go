package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"sekimori/filter/dns"
)

// zone answers out of a map and keeps what it was asked.
type zone struct {
	records map[dns.Question][]string
	fails   map[dns.Question]dns.Outcome // type "*" for all that the name has no records of
	names   map[string]bool
	asked   []dns.Question
}

// newZone reads lines "NAME TYPE VALUE"; a value "!servfail" is a failure.
func newZone(lines ...string) *zone {
	z := &zone{records: map[dns.Question][]string{}, fails: map[dns.Question]dns.Outcome{}, names: map[string]bool{}}
	for _, line := range lines {
		part := strings.SplitN(line, " ", 3)
		if fail, ok := strings.CutPrefix(part[2], "!"); ok {
			z.fail(part[0], dns.Type(part[1]), dns.Outcome(fail))
			continue
		}
		z.add(part[0], dns.Type(part[1]), part[2])
	}
	return z
}

func (z *zone) key(name string, t dns.Type) dns.Question {
	return dns.Question{Name: strings.TrimSuffix(strings.ToLower(name), "."), Type: t}
}

func (z *zone) add(name string, t dns.Type, values ...string) {
	q := z.key(name, t)
	z.names[q.Name] = true
	z.records[q] = append(z.records[q], values...)
}

func (z *zone) fail(name string, t dns.Type, o dns.Outcome) { z.fails[z.key(name, t)] = o }

func (z *zone) ask(ctx context.Context, name string, t dns.Type) ([]string, error) {
	q := z.key(name, t)
	z.asked = append(z.asked, q)
	if ctx.Err() != nil {
		return nil, &dns.Error{Question: q, Outcome: dns.Timeout, Err: ctx.Err()}
	}
	return z.find(q, 0)
}

func (z *zone) find(q dns.Question, depth int) ([]string, error) {
	if alias := z.records[dns.Question{Name: q.Name, Type: "CNAME"}]; len(alias) > 0 && depth < 9 {
		return z.find(z.key(alias[0], q.Type), depth+1)
	}
	if found := z.records[q]; len(found) > 0 {
		return found, nil
	}
	for _, t := range []dns.Type{q.Type, "*"} {
		if o, ok := z.fails[dns.Question{Name: q.Name, Type: t}]; ok {
			return nil, &dns.Error{Question: q, Outcome: o}
		}
	}
	if z.names[q.Name] {
		return nil, &dns.Error{Question: q, Outcome: dns.NoData}
	}
	return nil, &dns.Error{Question: q, Outcome: dns.NXDomain}
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, name, dns.TXT)
}

func (z *zone) LookupMX(ctx context.Context, name string) ([]dns.MXRecord, error) {
	found, err := z.ask(ctx, name, dns.MX)
	var out []dns.MXRecord
	for _, host := range found {
		out = append(out, dns.MXRecord{Host: strings.TrimSuffix(host, ".")})
	}
	return out, err
}

func (z *zone) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	t := map[string]dns.Type{"ip4": dns.A, "ip6": dns.AAAA}[network]
	found, err := z.ask(ctx, host, t)
	var out []netip.Addr
	for _, addr := range found {
		out = append(out, netip.MustParseAddr(addr))
	}
	return out, err
}

func (z *zone) LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error) {
	return z.ask(ctx, dns.ReverseName(addr), dns.PTR)
}

// many makes n lines out of a pattern.
func many(n int, pattern string) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(pattern, i))
	}
	return lines
}
