package audit

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// MX is where mail for the domain goes.
type MX struct {
	State State    `json:"state"` // "found", "missing", "malformed" or "failed"
	Null  bool     `json:"null"`  // RFC 7505: the domain takes no mail
	Hosts []MXHost `json:"hosts"` // the best first, at most 20
}

// MXHost is one target.
type MXHost struct {
	Preference int      `json:"preference"`
	Host       string   `json:"host"`
	State      State    `json:"state"`     // of its addresses
	Alias      string   `json:"alias"`     // where CNAMEs lead
	Addresses  []string `json:"addresses"` // at most 20
}

const (
	maxHosts     = 20 // of one MX record set
	maxAddresses = 20 // of one host
)

func (a *auditor) auditMX(ctx context.Context) {
	answer := a.ask(ctx, a.domain, dns.MX)
	m := &a.report.MX
	m.State, m.Hosts = stateOf(answer), []MXHost{}
	switch {
	case m.State == Failed:
		a.add(MXUnanswered, a.domain, fmt.Sprintf("The DNS did not answer for the MX records (%s): mail cannot reach the domain while that lasts.", answer.Outcome))
	case answer.Outcome == dns.NXDomain:
		a.mute = true
		a.add(MXNoDomain, a.domain, "The DNS says that this name does not exist: nothing can be sent to it, and many refuse mail from it.")
	case answer.Outcome == dns.NoData && answer.Err != nil:
		m.State = Malformed
		a.add(MXUnusable, a.domain, "The MX records name no host that can be used: write a host's name, no IP address and no special characters.")
	case m.State == Missing:
		a.withoutMX(ctx)
	case m.State == Found:
		a.withMX(ctx, slices.Clone(answer.MX))
	}
	if a.clean("mx") && m.State == Found {
		a.praiseMX()
	}
}

// withoutMX: RFC 5321 section 5.1, the implicit MX.
func (a *auditor) withoutMX(ctx context.Context) {
	h := a.host(ctx, a.domain)
	switch h.State {
	case Found:
		a.add(MXImplicit, a.domain, "There is no MX record, so mail goes to the address of the name itself: say so, or that no mail is taken (\"MX 0 .\").",
			Record{a.domain, "MX", "10 " + a.domain + "."})
	case Missing:
		if a.mute = !a.sends(ctx); a.mute {
			a.add(MXNothing, a.domain, "There is neither MX nor address, so no mail can come: a null MX says that at once (RFC 7505).",
				Record{a.domain, "MX", "0 ."})
			return
		}
		a.add(MXNothing, a.domain, "There is neither MX nor address, so no answer and no bounce can come to the mail that its SPF record lets be sent, which many refuse therefore: publish an MX.")
	}
}

// sends: an SPF record lets somebody send for the domain.
func (a *auditor) sends(ctx context.Context) bool {
	for _, text := range a.ask(ctx, a.domain, dns.TXT).TXT {
		if !spf.IsRecord(text) {
			continue
		}
		terms, err := spf.Terms(text)
		if err != nil || slices.ContainsFunc(terms, func(m spf.Term) bool { return m.Qualifier != '-' && m.Name != "exp" }) {
			return true
		}
	}
	return false
}

func (a *auditor) withMX(ctx context.Context, all []dns.MXRecord) {
	m := &a.report.MX
	slices.SortStableFunc(all, func(x, y dns.MXRecord) int { return cmp.Compare(x.Preference, y.Preference) })
	named := slices.DeleteFunc(slices.Clone(all), func(r dns.MXRecord) bool { return r.Host == "" })
	m.Null = len(named) < len(all)
	for _, r := range named[:min(len(named), maxHosts)] {
		h := a.host(ctx, r.Host)
		h.Preference = int(r.Preference)
		m.Hosts = append(m.Hosts, h)
	}
	switch {
	case m.Null && len(named) == 0:
		a.mute = true
		return
	case m.Null:
		// RFC 7505 section 3: MUST NOT advertise any other MX.
		a.add(MXNullOthers, a.domain, "A null MX (\"0 .\") stands beside other MX records: remove it if the domain takes mail, or else the others.", a.mended(len(named))...)
	}
	a.judgeHosts(len(named))
}

// host asks for the addresses of a host.
func (a *auditor) host(ctx context.Context, name string) MXHost {
	h := MXHost{Host: visible(name), State: Missing, Addresses: []string{}}
	for _, t := range []dns.Type{dns.A, dns.AAAA} {
		answer := a.ask(ctx, name, t)
		h.Alias = cmp.Or(h.Alias, visible(answer.Alias))
		switch s := stateOf(answer); {
		case s == Found:
			h.State = Found
		case s != Missing && h.State == Missing:
			h.State = s
		}
		for _, addr := range answer.Addrs {
			if len(h.Addresses) < maxAddresses {
				h.Addresses = append(h.Addresses, addr.String())
			}
		}
	}
	return h
}

// mended are the MX records with all that can be cured: no null MX, no host
// without an address, and the end of each CNAME in its stead. None if not all of
// the named hosts were looked at.
func (a *auditor) mended(named int) []Record {
	if named > maxHosts {
		return nil
	}
	hosts := slices.DeleteFunc(resolved(a.report.MX.Hosts), func(h MXHost) bool { return h.State == Missing })
	return mxRecords(a.domain, hosts)
}

func (a *auditor) judgeHosts(named int) {
	hosts := a.report.MX.Hosts
	reached := slices.ContainsFunc(hosts, func(h MXHost) bool { return h.State != Missing })
	if !reached {
		a.add(MXAllVoid, a.domain, "None of the MX hosts has an address: no mail can reach the domain.")
	}
	for _, h := range hosts {
		switch {
		case h.State == Failed:
			a.add(MXUnresolved, a.domain, fmt.Sprintf("The DNS did not answer for the addresses of the MX host %s.", quoted(h.Host)))
		case h.State == Missing && reached:
			a.add(MXTargetVoid, a.domain, fmt.Sprintf("The MX host %s has no address: senders try it in vain.", quoted(h.Host)), a.mended(named)...)
		}
		if h.Alias != "" {
			// RFC 2181 section 10.3, RFC 5321 section 5.1.
			a.add(MXAlias, a.domain, fmt.Sprintf("The MX host %s is a CNAME, which an MX must not lead to: name %s itself.", quoted(h.Host), quoted(h.Alias)),
				a.mended(named)...)
		}
		if i := slices.IndexFunc(h.Addresses, unreachable); i >= 0 {
			a.add(MXPrivate, a.domain, fmt.Sprintf("The MX host %s has the address %s, which the internet cannot reach.", quoted(h.Host), h.Addresses[i]))
		}
	}
}

func unreachable(s string) bool {
	addr, err := netip.ParseAddr(s)
	return err == nil && (addr.IsPrivate() || addr.IsLoopback() || addr.IsUnspecified() || addr.IsLinkLocalUnicast() || addr.IsMulticast())
}

// resolved names the end of each CNAME in its stead.
func resolved(hosts []MXHost) []MXHost {
	hosts = slices.Clone(hosts)
	for i := range hosts {
		hosts[i].Host = cmp.Or(hosts[i].Alias, hosts[i].Host)
	}
	return hosts
}

// mxRecords are the records of all hosts, each once; none if one cannot be
// written down.
func mxRecords(domain string, hosts []MXHost) []Record {
	var records []Record
	seen := map[string]bool{}
	for _, h := range hosts {
		if name, err := mail.ASCIIDomain(h.Host); err != nil || name != h.Host {
			return nil
		}
		if !seen[h.Host] {
			records = append(records, Record{domain, "MX", fmt.Sprintf("%d %s.", h.Preference, h.Host)})
		}
		seen[h.Host] = true
	}
	return records
}

func (a *auditor) praiseMX() {
	if a.report.MX.Null {
		a.add(MXNull, a.domain, "The domain says by a null MX that it takes no mail.")
		return
	}
	if n := len(a.report.MX.Hosts); n > 1 {
		a.add(MXOK, a.domain, fmt.Sprintf("All %d MX hosts have an address.", n))
		return
	}
	a.add(MXOK, a.domain, "The MX host has an address.")
}
