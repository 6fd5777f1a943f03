package proxy

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"sekimori/filter"
	"sekimori/filter/dns"
)

// answers is a DNS that is out of order.
type answers func(ctx context.Context, q dns.Question) dns.Answer

func (f answers) Query(ctx context.Context, q dns.Question) dns.Answer { return f(ctx, q) }

func silence(ctx context.Context, _ dns.Question) dns.Answer {
	<-ctx.Done()
	return dns.Answer{Outcome: dns.Timeout, Err: context.Cause(ctx)}
}

func failure(o dns.Outcome) answers {
	return func(context.Context, dns.Question) dns.Answer {
		return dns.Answer{Outcome: o, Err: errors.New("boom \r\nX-Injected: yes")}
	}
}

// lies gives every question the answer of somebody who means harm.
func lies(text string) answers {
	return func(_ context.Context, q dns.Question) dns.Answer {
		return dns.Answer{
			Outcome: dns.Found, TXT: []string{text, strings.Repeat(text, 100)}, Names: []string{q.Name, "a\r\nb.example."},
			Addrs: []netip.Addr{{}, netip.MustParseAddr("::ffff:127.0.0.1")}, MX: []dns.MXRecord{{Host: q.Name}}, Alias: q.Name, TTL: -1,
		}
	}
}

const chaosZone = `
sender.example.        TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.sender.example. TXT "v=DMARC1; p=reject"
`

// A DNS that is dead, slow or lies is never the sender's fault (RFC 7208 section
// 2.6.6: temperror), never an accept by accident, and never anything in the
// header but a result.
func TestLedgerDNS(t *testing.T) {
	zone, err := dns.ParseZone("chaos.zone", strings.NewReader(chaosZone))
	if err != nil {
		t.Fatal(err)
	}
	var turns atomic.Int64
	for name, c := range map[string]struct {
		source dns.Source
		accept string // the reply's begin where temperror lets mail through; "" is any
		defers string // and where it makes it wait

		timeout time.Duration // of all questions about a message; without it nothing is too late
	}{
		"well":       {zone, "250", "250", 0},
		"silent":     {answers(silence), "250", "451 4.7.0", 60 * time.Millisecond},
		"servfail":   {failure(dns.ServFail), "250", "451 4.7.0", 0},
		"refused":    {failure(dns.Refused), "250", "451 4.7.0", 0},
		"unreadable": {failure(dns.Malformed), "250", "451 4.7.0", 0},
		"no outcome": {failure(""), "250", "4", 0},
		"slow": {answers(func(ctx context.Context, q dns.Question) dns.Answer {
			time.Sleep(5 * time.Millisecond)
			return zone.Query(ctx, q)
		}), "250", "250", 0},
		"flapping": {answers(func(ctx context.Context, q dns.Question) dns.Answer {
			if turns.Add(1)%2 == 0 {
				return failure(dns.ServFail)(ctx, q)
			}
			return zone.Query(ctx, q)
		}), "250", "", 0},
		"panics":       {answers(func(context.Context, dns.Question) dns.Answer { panic("boom") }), "451 4.3.0", "451 4.3.0", 0},
		"nothing":      {failure(dns.NXDomain), "250", "250", 0},
		"garbage":      {lies("\x00\xff\r\n\r\n.\r\nMAIL FROM:<>\r\n;;==\"\\("), "", "", 0},
		"endless SPF":  {lies("v=spf1 include:%{l}.x.example redirect=%{d} exists:%{i}.x.example -all"), "", "", 0},
		"broken DMARC": {lies("v=DMARC1; p=reject; rua=mailto:a@b\r\nX-Injected: yes; psd=?; sp=\x1b[31m; t=y"), "", "", 0},
	} {
		for _, tempError := range []filter.Action{filter.Accept, filter.Defer} {
			t.Run(name+"/"+tempError.String(), func(t *testing.T) {
				want := c.accept
				if tempError == filter.Defer {
					want = c.defers
				}
				ledgerDNS(t, c.source, tempError, want, cmp.Or(c.timeout, patient))
			})
		}
	}
}

func ledgerDNS(t *testing.T, source dns.Source, tempError filter.Action, want string, timeout time.Duration) {
	core := &filter.Filter{
		Rules: filter.Rules{Policy: filter.Policy{
			AuthservID: "mx.example", Author: filter.Reject, MalformedHeader: filter.Reject, DMARCReject: filter.Corroborated,
			DMARCQuarantine: filter.Quarantine, SPFFail: filter.Quarantine, TempError: tempError, Explain: true,
			NoReverseName: filter.Accept, Unauthenticated: filter.Accept,
		}, IPRev: true},
		Resolver: source, Timeout: timeout,
	}
	d := newDoor(t, func(s *Server) { s.Check, s.Prefetch = core.Check, core.Prefetch })
	d.mta.queue = true
	l := &ledger{}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c := &courier{d: d, l: l, helo: "client.example"}
			defer c.leave()
			for range 2 {
				if got := strings.Replace(c.deliver(l.write(c.helo, 5)), "-", " ", 1); !strings.HasPrefix(got, want) || len(got) < 4 || strings.ContainsAny(got, "\x00\x1b") || !utf8.ValidString(got) {
					t.Errorf("reply %q, want %q", got, want)
				}
			}
		})
	}
	all.Wait()
	for _, m := range d.mta.got() {
		for line := range strings.SplitSeq(m.data, "\r\n") {
			if strings.HasPrefix(line, "X-Injected") || strings.HasPrefix(line, "MAIL") {
				t.Errorf("a stranger's line in the header: %q", line)
			}
		}
	}
	l.settle(t, d.mta.got())
}
