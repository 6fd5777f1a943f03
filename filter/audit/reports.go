package audit

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// Destination is where reports go.
type Destination struct {
	Tag        string `json:"tag"` // "rua" or "ruf"
	URI        string `json:"uri"`
	Host       string `json:"host"`
	External   bool   `json:"external"`   // of another organization: it has to agree (RFC 9990 section 4)
	Authorized State  `json:"authorized"` // "found": it agrees; "missing": it does not; "failed" or "unread": not known; "" if not external
	Name       string `json:"name"`       // where it has to agree; "" if not external
	Mail       State  `json:"mail"`       // whether the host takes mail, likewise
	Reason     string `json:"reason"`
}

const maxDestinations = 10 // hosts that are looked at

// auditReports looks at where the record in force sends reports.
func (a *auditor) auditReports(ctx context.Context) {
	d, record := &a.report.DMARC, a.policy
	seen := map[string]Destination{}
	for _, list := range []struct {
		tag  string
		uris []string
	}{{"rua", record.RUA}, {"ruf", record.RUF}} {
		for _, uri := range list.uris {
			host, ok := uriHost(uri)
			if !ok {
				continue
			}
			dest, known := seen[host]
			if !known && len(seen) == maxDestinations {
				dest = Destination{Host: host, Mail: Unread, Reason: "too many destinations"}
			} else if !known {
				dest = a.destination(ctx, host)
				seen[host] = dest
				a.judgeDestination(dest)
			}
			dest.Tag, dest.URI = list.tag, visible(uri)
			d.Reports = append(d.Reports, dest)
		}
	}
	a.wishPolicy(ctx)
}

// uriHost gives the domain of a mailto URI that dmarc.Parse let through.
func uriHost(uri string) (string, bool) {
	_, rest, _ := strings.Cut(uri, ":")
	rest, _, _ = strings.Cut(rest, "?")
	_, domain, ok := mail.SplitAddress(rest)
	if !ok {
		return "", false
	}
	if plain, err := url.PathUnescape(domain); err == nil {
		domain = plain
	}
	host, err := mail.ASCIIDomain(domain)
	return host, err == nil
}

// destination asks whether a host agrees and takes mail.
func (a *auditor) destination(ctx context.Context, host string) Destination {
	dest := Destination{Host: host, Mail: a.takesMail(ctx, host)}
	policyDomain := a.report.DMARC.PolicyDomain
	if host == policyDomain || host == a.org {
		return dest
	}
	org := a.options.DMARC.Gather(ctx, a.dns, host, nil).Evaluate(dmarc.Identifier{}, nil).OrganizationalDomain
	if org == a.org {
		return dest
	}
	dest.External = true
	dest.Name = policyDomain + "._report._dmarc." + host
	if len(dest.Name) > 253 {
		dest.Authorized, dest.Reason = Missing, "the name is too long for the DNS"
		return dest
	}
	answer := a.ask(ctx, dest.Name, dns.TXT)
	dest.Authorized = stateOf(answer)
	switch {
	case org == "":
		dest.Authorized, dest.Reason = Failed, "the DNS left open whether the host is of the same organization"
	case dest.Authorized == Failed:
		dest.Reason = string(answer.Outcome)
	case dest.Authorized == Found && !agrees(answer.TXT, host):
		dest.Authorized, dest.Reason = Missing, "the text there is no DMARC record, or sends the reports to yet another host"
	}
	return dest
}

// agrees: RFC 9990 section 4: one record that can be read is enough, but reports
// that it sends to another host go nowhere.
func agrees(texts []string, host string) bool {
	ok := false
	for _, t := range texts {
		r, isRecord := dmarc.Parse(t)
		if !isRecord {
			continue
		}
		ok = true
		for _, uri := range r.RUA {
			if h, known := uriHost(uri); !known || h != host {
				return false
			}
		}
	}
	return ok
}

// takesMail: RFC 5321 section 5.1, RFC 7505.
func (a *auditor) takesMail(ctx context.Context, host string) State {
	answer := a.ask(ctx, host, dns.MX)
	if state := stateOf(answer); state != Missing {
		if len(answer.MX) == 1 && answer.MX[0].Host == "" {
			return Missing
		}
		return state
	}
	return a.host(ctx, host).State
}

func (a *auditor) judgeDestination(dest Destination) {
	name := "_dmarc." + a.report.DMARC.PolicyDomain
	switch {
	case dest.Mail == Missing:
		a.wish = without(a.wish, dest.Host)
		a.add(DMARCUnreachable, name, fmt.Sprintf("Reports are to go to %s, which takes no mail.", dest.Host), txt(name, format(a.wish)))
	case dest.External && dest.Authorized == Missing:
		a.add(DMARCUnauthorized, name, fmt.Sprintf("Reports are to go to %s, which does not say that it wants them, so none are sent: ask for this record there.", dest.Host),
			txt(dest.Name, "v=DMARC1;"))
	case dest.Mail == Failed || dest.Authorized == Failed:
		a.add(DMARCUnresolved, name, fmt.Sprintf("The DNS did not say whether the reports to %s arrive.", dest.Host))
	}
}

// wishPolicy settles what is to stand in place of the record in force.
func (a *auditor) wishPolicy(ctx context.Context) {
	d := a.report.DMARC
	name := "_dmarc." + d.PolicyDomain
	if a.policy.Text == "" || !a.hastens(place{name, "TXT"}) {
		return
	}
	if len(a.policy.RUA) > 0 && len(a.wish.RUA) == 0 && !a.mute {
		a.addReports(ctx, d.PolicyDomain)
	}
	a.instead(txt(name, format(a.wish)))
}

// without takes out the addresses at a host.
func without(r dmarc.Record, host string) dmarc.Record {
	gone := func(uri string) bool {
		h, ok := uriHost(uri)
		return ok && h == host
	}
	r.RUA = slices.DeleteFunc(slices.Clone(r.RUA), gone)
	r.RUF = slices.DeleteFunc(slices.Clone(r.RUF), gone)
	return r
}
