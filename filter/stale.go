package filter

import (
	"context"
	"slices"

	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// results gathers what the message is decided by. A stale answer of the DNS (RFC
// 8767) is a real one of earlier, so it may let a message pass. It condemns none:
// its owner may have changed it since, and that we cannot reach him is not the
// sender's fault. Where such answers do not lead to a pass, all is as if
// there were none.
func (f *Filter) results(ctx context.Context, m *mail.Message, d *Domains) Results {
	r := f.gather(ctx, m, d)
	if r.clean() || !slices.ContainsFunc(r.DNS, isStale) {
		return r
	}
	fresh := *f
	fresh.fresh = true
	again := fresh.gather(ctx, m, d)
	again.DNS = append(slices.DeleteFunc(r.DNS, func(e dns.Exchange) bool { return !isStale(e) }), again.DNS...)
	return again
}

// clean tells that nothing was found that could be held against the sender.
func (r Results) clean() bool {
	_, short := shortest(r.Claims)
	return r.DMARC.Word == dmarc.Pass && !short && !r.Sender.bad() && !badName(r.IPRev)
}

func isStale(e dns.Exchange) bool { return e.Answer.Stale != "" }
