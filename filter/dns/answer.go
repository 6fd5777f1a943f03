package dns

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	mdns "github.com/miekg/dns"
)

// The bounds of an answer.
const (
	maxChain       = 8              // CNAMEs followed for one question
	maxRecords     = 256            // records in the answer section of one message
	maxText        = 64 << 10       // bytes of all TXT of one answer
	maxTTL         = 24 * time.Hour // of records
	maxNegativeTTL = time.Hour      // of their absence; RFC 2308 section 5 allows up to three
)

// chain is one question on its way along CNAMEs (RFC 1034 section 3.6.2): what
// is known so far, and the name that comes next.
type chain struct {
	name   string
	wanted Type
	hops   int           // CNAMEs passed
	ttl    time.Duration // the least of the CNAMEs passed
	secure bool          // every message so far had AD
}

func newChain(q Question) chain {
	return chain{name: q.Name, wanted: q.Type, ttl: maxTTL, secure: true}
}

// read takes what one message says. When the message ends at a CNAME without a
// word on its target, more is true and c.name has to be asked for.
func (c *chain) read(m *mdns.Msg) (a Answer, more bool) {
	switch m.Rcode {
	case mdns.RcodeSuccess, mdns.RcodeNameError:
	case mdns.RcodeServerFailure:
		return Answer{Outcome: ServFail, Err: rcodeError(m)}, false
	default:
		return Answer{Outcome: Refused, Err: rcodeError(m)}, false
	}
	if len(m.Answer) > maxRecords {
		return Answer{Outcome: Malformed, Err: fmt.Errorf("more than %d records in one answer", maxRecords)}, false
	}
	c.secure = c.secure && m.AuthenticatedData
	before := c.hops
	if a, ok := c.follow(m.Answer); !ok {
		return a, false
	}
	// RFC 6604 section 3: the RCODE speaks of the last name of the chain.
	if m.Rcode == mdns.RcodeNameError {
		return c.negative(NXDomain, m.Ns), false
	}
	if a, ok := c.collect(m.Answer); ok {
		return a, false
	}
	if lame(m) && c.hops == before {
		return Answer{Outcome: Refused, Err: errors.New("gave a referral: it does not resolve for us")}, false
	}
	if _, said := absence(m.Ns, c.name); !said && c.hops > before {
		return Answer{}, true
	}
	return c.negative(NoData, m.Ns), false
}

// follow goes along the message's CNAMEs as far as they lead.
func (c *chain) follow(rrs []mdns.RR) (failed Answer, ok bool) {
	for {
		cname := alias(rrs, c.name)
		if cname == nil {
			return Answer{}, true
		}
		if c.hops++; c.hops > maxChain {
			return Answer{Outcome: ServFail, Err: fmt.Errorf("more than %d CNAMEs in a chain", maxChain)}, false
		}
		name, ok := parseName(cname.Target)
		if !ok || !askable(name) {
			return Answer{Outcome: Malformed, Err: errors.New("a CNAME leads to a name that cannot be asked for")}, false
		}
		c.name, c.ttl = name, min(c.ttl, ttl(cname.Hdr.Ttl))
	}
}

func alias(rrs []mdns.RR, name string) *mdns.CNAME {
	for _, rr := range rrs {
		if cname, ok := rr.(*mdns.CNAME); ok && owns(rr, name) {
			return cname
		}
	}
	return nil
}

// owns: the record is of the class IN and of this name.
func owns(rr mdns.RR, name string) bool {
	h := rr.Header()
	if h.Class != mdns.ClassINET {
		return false
	}
	owner, ok := parseName(h.Name)
	return ok && owner == name
}

// collect takes the records at the end of the chain; not ok when there are none.
func (c *chain) collect(rrs []mdns.RR) (a Answer, ok bool) {
	a = Answer{Outcome: Found, TTL: c.ttl, Secure: c.secure, Alias: c.alias()}
	text, usable := 0, false
	for _, rr := range rrs {
		if rr.Header().Rrtype != typeCode(c.wanted) || !owns(rr, c.name) {
			continue
		}
		ok = true
		a.TTL = min(a.TTL, ttl(rr.Header().Ttl))
		usable = a.add(rr) || usable
		if len(a.TXT) > 0 {
			text += len(a.TXT[len(a.TXT)-1])
		}
	}
	switch {
	case text > maxText:
		return Answer{Outcome: Malformed, Err: fmt.Errorf("more than %d bytes of text", maxText)}, true
	case ok && !usable:
		return Answer{Outcome: NoData, TTL: a.TTL, Secure: a.Secure, Alias: a.Alias, Err: errors.New("records, but none that can be used")}, true
	}
	return a, ok
}

// add puts one record's data into the answer, or drops it when it is none that
// a host can have.
func (a *Answer) add(rr mdns.RR) bool {
	switch rr := rr.(type) {
	case *mdns.A:
		addr, ok := netip.AddrFromSlice(rr.A.To4())
		if ok {
			a.Addrs = append(a.Addrs, addr)
		}
		return ok
	case *mdns.AAAA:
		addr, ok := netip.AddrFromSlice(rr.AAAA)
		if ok = ok && addr.Is6(); ok {
			a.Addrs = append(a.Addrs, addr)
		}
		return ok
	case *mdns.TXT:
		a.TXT = append(a.TXT, joined(rr.Txt))
		return true
	case *mdns.SPF:
		a.TXT = append(a.TXT, joined(rr.Txt))
		return true
	case *mdns.MX:
		host, ok := parseHost(rr.Mx)
		if ok {
			a.MX = append(a.MX, MXRecord{rr.Preference, host})
		}
		return ok
	case *mdns.PTR:
		host, ok := parseHost(rr.Ptr)
		if ok = ok && host != ""; ok {
			a.Names = append(a.Names, host)
		}
		return ok
	}
	return false
}

// joined: RFC 7208 section 3.3, RFC 6376 section 3.6.2.2: strings are joined
// without space.
func joined(txt []string) string {
	var text strings.Builder
	for _, s := range txt {
		s, _ = unescape(s)
		text.WriteString(s)
	}
	return text.String()
}

// alias is the name at the end of the CNAMEs so far; "" if there was none.
func (c *chain) alias() string {
	if c.hops == 0 {
		return ""
	}
	return c.name
}

// negative is the answer that there is nothing, with the time for which that
// may be remembered (RFC 2308 section 5).
func (c *chain) negative(o Outcome, authority []mdns.RR) Answer {
	t, _ := absence(authority, c.name)
	return Answer{Outcome: o, TTL: min(c.ttl, t), Secure: c.secure, Alias: c.alias()}
}

// absence finds the SOA that vouches for the absence, and how long it does:
// the lesser of its TTL and its MINIMUM. Without one it is zero.
func absence(authority []mdns.RR, name string) (t time.Duration, said bool) {
	for _, rr := range authority {
		soa, ok := rr.(*mdns.SOA)
		if !ok {
			continue
		}
		if apex, ok := parseName(soa.Hdr.Name); ok && within(name, apex) {
			return min(maxNegativeTTL, ttl(soa.Hdr.Ttl), ttl(soa.Minttl)), true
		}
	}
	return 0, false
}

// within: name is apex or below it.
func within(name, apex string) bool {
	return apex == "" || name == apex || strings.HasSuffix(name, "."+apex)
}

// lame: a server without recursion that points to others. Its empty answer says
// nothing of the name.
func lame(m *mdns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable {
		return false
	}
	ns := false
	for _, rr := range m.Ns {
		switch rr.(type) {
		case *mdns.SOA:
			return false
		case *mdns.NS:
			ns = true
		}
	}
	return ns
}

// ttl reads a TTL as RFC 2181 section 8 has it: 31 bits, more is zero.
func ttl(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return min(maxTTL, time.Duration(seconds)*time.Second)
}

// rcodeError names the RCODE and the first extended error (RFC 8914), but none
// of the server's free text.
func rcodeError(m *mdns.Msg) error {
	s, ok := mdns.RcodeToString[m.Rcode]
	if !ok {
		s = fmt.Sprintf("RCODE %d", m.Rcode)
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*mdns.EDNS0_EDE); ok {
				return fmt.Errorf("%s (extended error %d %s)", s, ede.InfoCode, mdns.ExtendedErrorCodeToString[ede.InfoCode])
			}
		}
	}
	return errors.New(s)
}

// typeCode is the number of a type that we ask for; zero for others.
func typeCode(t Type) uint16 {
	switch t {
	case A:
		return mdns.TypeA
	case AAAA:
		return mdns.TypeAAAA
	case MX:
		return mdns.TypeMX
	case PTR:
		return mdns.TypePTR
	case TXT:
		return mdns.TypeTXT
	case SPF:
		return mdns.TypeSPF
	}
	return mdns.TypeNone
}
