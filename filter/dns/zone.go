package dns

import (
	"context"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// Zone answers from master files (RFC 1035 section 5) without a network: for
// tests, `check --zone` and `demo`. A name that no file holds does not exist.
// Immutable once read. Failures are comment lines of the files:
//
//	;fail NAME TYPE SERVFAIL|REFUSED|TIMEOUT
//
// NAME is absolute, with or without the last dot; *.NAME means every name below
// it. TYPE may be *. TIMEOUT answers at once as if time had passed.
type Zone struct {
	nodes map[string][]mdns.RR // by canonical name; no records: an empty non-terminal
	fails map[Question]Outcome // of anyType: whatever is asked
}

// anyType is the type of a ;fail line for every question about its name.
const anyType Type = "*"

// defaultTTL is the TTL of records in a file without $TTL, in seconds.
const defaultTTL = 3600

// Query answers at once.
func (z *Zone) Query(ctx context.Context, q Question) Answer {
	q.Name = canonical(q.Name)
	switch {
	case ctx.Err() != nil:
		return Answer{Outcome: Timeout, Err: context.Cause(ctx)}
	case !askable(q.Name) || typeCode(q.Type) == mdns.TypeNone:
		return Answer{Outcome: Malformed, Err: ErrName}
	}
	a := Answer{Outcome: Timeout, Err: errSilence}
	if m := z.reply(q.Name, typeCode(q.Type)); m != nil {
		on := newChain(q)
		a, _ = on.read(m) // never more: a reply of ours follows every CNAME
	}
	a.Secure = false
	a.Server = "zone"
	return a
}

// reply makes the message that a name server would send; nil is silence.
func (z *Zone) reply(name string, qtype uint16) *mdns.Msg {
	m := &mdns.Msg{MsgHdr: mdns.MsgHdr{Response: true, Authoritative: true, RecursionAvailable: true}}
	for range maxChain + 1 {
		switch z.failure(name, qtype) {
		case ServFail:
			m.Rcode = mdns.RcodeServerFailure
			return m
		case Refused:
			m.Rcode = mdns.RcodeRefused
			return m
		case Timeout:
			return nil
		}
		rrs, exists := z.node(name)
		if !exists {
			m.Rcode = mdns.RcodeNameError
			m.Ns = []mdns.RR{z.soa(name)}
			return m
		}
		answer, next := match(rrs, qtype)
		for _, rr := range answer {
			rr = mdns.Copy(rr)
			rr.Header().Name = present(name) // RFC 4592 section 3.3.1: a wildcard's records get the name asked for
			m.Answer = append(m.Answer, rr)
		}
		if len(answer) == 0 {
			m.Ns = []mdns.RR{z.soa(name)}
		}
		if next == "" {
			return m
		}
		name = next
	}
	return m
}

// match picks the records of a type, or the CNAME that stands in their place.
func match(rrs []mdns.RR, qtype uint16) (answer []mdns.RR, next string) {
	for _, rr := range rrs {
		if rr.Header().Rrtype == qtype || qtype == mdns.TypeANY {
			answer = append(answer, rr)
		} else if cname, ok := rr.(*mdns.CNAME); ok {
			target, _ := parseName(cname.Target) // was checked when it was read
			return []mdns.RR{rr}, target
		}
	}
	return answer, ""
}

// node finds a name's records, from the wildcard at its closest encloser if it
// does not exist itself (RFC 4592 section 3.3.1).
func (z *Zone) node(name string) (rrs []mdns.RR, exists bool) {
	if rrs, ok := z.nodes[name]; ok {
		return rrs, true
	}
	for encloser := range parents(name) {
		if _, ok := z.nodes[encloser]; ok || encloser == "" {
			rrs, ok := z.nodes[under("*", encloser)]
			return rrs, ok
		}
	}
	return nil, false
}

// failure is what a ;fail line wants for the question; "" for nothing.
func (z *Zone) failure(name string, qtype uint16) Outcome {
	if len(z.fails) == 0 {
		return ""
	}
	t := Type(mdns.TypeToString[qtype])
	find := func(name string) Outcome {
		if o, ok := z.fails[Question{name, t}]; ok {
			return o
		}
		return z.fails[Question{name, anyType}]
	}
	if o := find(name); o != "" {
		return o
	}
	for parent := range parents(name) {
		if o := find(under("*", parent)); o != "" {
			return o
		}
	}
	return ""
}

// soa is what vouches for an absence: the nearest SOA above, or one made up for
// files without.
func (z *Zone) soa(name string) mdns.RR {
	if rr := apex(z.nodes[name]); rr != nil {
		return rr
	}
	for parent := range parents(name) {
		if rr := apex(z.nodes[parent]); rr != nil {
			return rr
		}
	}
	const negative = 300
	return &mdns.SOA{
		Hdr: mdns.RR_Header{Name: ".", Rrtype: mdns.TypeSOA, Class: mdns.ClassINET, Ttl: negative},
		Ns:  ".", Mbox: ".", Serial: 1, Refresh: defaultTTL, Retry: negative, Expire: uint32(maxTTL / time.Second), Minttl: negative,
	}
}

func apex(rrs []mdns.RR) mdns.RR {
	for _, rr := range rrs {
		if rr.Header().Rrtype == mdns.TypeSOA {
			return rr
		}
	}
	return nil
}

// parents yields the names above a name, the nearest first, the root last.
func parents(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name != "" {
			_, name, _ = strings.Cut(name, ".")
			if !yield(name) {
				return
			}
		}
	}
}

func under(label, parent string) string {
	if parent == "" {
		return label
	}
	return label + "." + parent
}
