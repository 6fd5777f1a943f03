package filter

import (
	"sekimori/filter/dns"
	"sekimori/filter/spf"
)

// sessions are the budgets of one message's questions. Each method has its own:
// a sender who makes one of them expensive, in the DNS of a domain of his, must
// not keep the others from finding out about the domain that he forges.
type sessions struct {
	spf, dkim, dmarc, iprev, sender *dns.Session
}

const (
	dmarcQueries = 14 // a walk of eight, the author's existence, and walks of names below
	iprevQueries = 11 // a PTR and ten names; only where the check is on, beside Filter.Queries
	minQueries   = 48
)

func (f *Filter) sessions() sessions {
	return sessions{
		spf:   f.session("spf", f.spfQueries()),
		dkim:  f.session("dkim", f.dkimQueries()),
		dmarc: f.session("dmarc", dmarcQueries),
		iprev: f.session("iprev", iprevQueries),

		sender: f.session("sender", 1), // beside Filter.Queries, where it is asked at all
	}
}

func (f *Filter) session(purpose string, budget int) *dns.Session {
	s := dns.NewSession(f.Resolver, budget)
	s.Purpose, s.Fresh = purpose, f.fresh
	return s
}

func (s sessions) exchanges() []dns.Exchange {
	return dns.AllExchanges(s.iprev, s.spf, s.dkim, s.dmarc, s.sender)
}

// spf gives MAIL FROM two thirds of SPF's questions and HELO the rest.
func (f *Filter) spf() spf.Checker {
	return spf.Checker{Receiver: f.Policy.AuthservID, Voids: f.Voids, Questions: f.spfQueries() * 2 / 3, Now: f.Now}
}

func (f *Filter) spfQueries() int {
	all := f.Queries
	if all == 0 {
		all = 60
	}
	return max(all, minQueries) - dmarcQueries - f.dkimQueries()
}

// dkimQueries is one for each signature that is verified.
func (f *Filter) dkimQueries() int {
	if f.DKIM.Signatures == 0 {
		return 10
	}
	return min(f.DKIM.Signatures, minQueries/3)
}
