package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"sekimori/filter"
)

// fake is a history out of the air.
type fake struct {
	err     error
	now     time.Time
	found   []Message
	asked   []Query
	counts  []Count
	domains []DomainCount
	sources []Source
}

func (f *fake) Counts(context.Context, time.Time, time.Time, time.Duration, string) ([]Count, error) {
	return f.counts, f.err
}
func (f *fake) Domains(_ context.Context, _, _ time.Time, limit int) ([]DomainCount, error) {
	return append([]DomainCount{}, f.domains[:min(len(f.domains), limit)]...), f.err
}
func (f *fake) Domain(_ context.Context, _, _ time.Time, domain string) (DomainCount, error) {
	for _, d := range f.domains {
		if d.Domain == domain {
			return d, f.err
		}
	}
	return DomainCount{Domain: domain}, f.err
}
func (f *fake) Sources(context.Context, SourceQuery) ([]Source, error) {
	return append([]Source{}, f.sources...), f.err
}
func (f *fake) Search(_ context.Context, q Query) ([]Message, error) {
	f.asked = append(f.asked, q)
	var all []Message
	for _, m := range f.found {
		if (q.Action == "" || q.Action == m.Action) && (q.MessageID == "" || q.MessageID == m.MessageID) {
			m.Detail = nil
			all = append(all, m)
		}
	}
	return all[:min(len(all), max(q.Limit, 0))], f.err
}
func (f *fake) Message(_ context.Context, id int64) (Message, bool, error) {
	for _, m := range f.found {
		if m.ID == id {
			return m, true, f.err
		}
	}
	return Message{}, false, f.err
}

// newFake has one message of each reason, and a day's numbers.
func newFake(now time.Time) *fake {
	f := &fake{now: now}
	for i := range 60 {
		at := now.Add(-time.Duration(i) * 6 * time.Minute).Truncate(5 * time.Minute)
		f.counts = append(f.counts,
			Count{at, filter.Delivered, "accept", "", "dmarc_pass", int64(400 + i*7%90)},
			Count{at, filter.Delivered, "quarantine", "", "dmarc_fail_other", int64(i % 13)},
			Count{at, filter.Rejected, "reject", "", "dmarc_fail_reject", int64(20 + i*5%40)},
			Count{at, filter.Deferred, "defer", "", "dns_temperror", int64(i % 3)},
			Count{at, filter.ClientLost, "", "", "", int64(i % 2)})
	}
	actions := []string{"accept", "reject", "quarantine", "tag", "defer"}
	outcomes := []filter.Outcome{filter.Delivered, filter.Rejected, filter.Delivered, filter.Delivered, filter.Deferred}
	for i, reason := range filter.Reasons() {
		f.found = append(f.found, newMessage(int64(i+1), now.Add(-time.Duration(i)*time.Minute), outcomes[i%5], actions[i%5], string(reason)))
	}
	f.found[1].Shadow, f.found[1].Action, f.found[1].Outcome = "reject", "accept", filter.Delivered
	f.domains = []DomainCount{{"example.com", 5021, 4410, 540, 512, 3}, {"shop.example.net", 310, 300, 10, 0, 10}, {"quiet.example.org", 0, 0, 0, 0, 0}}
	f.sources = []Source{{"203.0.113.0/24", 400, 0, 400, now}, {"2001:db8:1::/48", 80, 12, 60, now}, {"", 7, 0, 1, now}}
	return f
}

func newMessage(id int64, at time.Time, outcome filter.Outcome, action, reason string) Message {
	view := &filter.View{}
	view.Author = filter.AuthorView{Status: "domain", Domain: "example.com", Domains: []string{"example.com"}}
	view.SPF.MailFrom = filter.SPFIdentityView{Result: "fail", Domain: "bounce.attacker.example", Mechanism: "-all"}
	view.SPF.Helo = filter.SPFIdentityView{Result: "none", Domain: "mx.attacker.example"}
	view.DKIM = []filter.DKIMView{{Result: "pass", Domain: "attacker.example", Selector: "s1", Algorithm: "rsa-sha256", KeyBits: 2048}}
	view.DMARC = filter.DMARCView{Result: "fail", PolicyDomain: "example.com", Record: "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"}
	view.Verdict = filter.VerdictView{Action: action, Reason: reason, Setting: "policy.dmarc.reject",
		Explanation: "example.com asks to reject what fails DMARC, and nobody vouches for the message: SPF fail for bounce.attacker.example; DKIM none."}
	view.Edit = filter.EditView{Drop: []string{"Authentication-Results: mx.example.net; dmarc=pass"}, Prepend: []string{"X-Sekimori-Verdict: quarantine; reason=" + reason + "; id=q7ta0h8r6fs13t3h"}}
	return Message{
		ID: id, Cursor: fmt.Sprintf("%d-%d", at.Unix(), id), At: at, MessageID: fmt.Sprintf("q7ta0h8r6fs%05d", id), Node: "mx1.example.net", Listener: ":25",
		Client: "203.0.113.77", Helo: "mx.attacker.example", MailFrom: "ceo-office@bounce.attacker.example", Author: "example.com",
		Recipients: []string{"accounting@example.net", "ceo@example.net"}, Rcpts: 2, Size: 18432, Outcome: outcome, Action: action, Reason: reason,
		Protected: "example.com", Technique: "own_domain", SPF: "fail", DKIM: "none", DMARC: "fail", ReplyCode: 550, Check: 2300 * time.Microsecond, Total: 180 * time.Millisecond,
		Detail: &Detail{
			View: view, Reply: filter.ReplyView{Code: 550, Enhanced: "5.7.26", Text: "Refused by the DMARC policy (p=reject) of example.com: SPF fail; DKIM none.\nAdmin of example.com: sign it with DKIM. [q7ta0h8r6fs13t3h]"},
			Upstream: "127.0.0.1:10025", TLS: "TLS 1.3",
			Exchanges: []Exchange{{"dmarc", "_dmarc.example.com TXT", "found", []string{"v=DMARC1; p=reject; rua=mailto:dmarc@example.com"}, "127.0.0.1:53", true, 0.0012, ""},
				{"spf", "bounce.attacker.example TXT", "found", []string{"v=spf1 -all"}, "127.0.0.1:53", false, 0.0312, ""}},
		},
	}
}

// site is a console with a fake behind it.
type site struct {
	*Console
	fake    *fake
	handler http.Handler
}

func newSite(t testing.TB) *site {
	t.Helper()
	now := time.Date(2026, 11, 1, 12, 34, 56, 0, time.UTC)
	f := newFake(now)
	c, err := New(Options{
		History: f,
		Health: func() []Health {
			return []Health{{Part: "process", State: Good}, {Part: "upstream", State: Bad, Words: "127.0.0.1:10025: connection refused"}, {Part: "dns", State: Warn, Key: "health.dns", Args: []string{"3", "120"}}, {Part: "history", State: Good}, {Part: "sources", State: Off}}
		},
		Policy: func() Policy {
			p := Policy{Domains: 3, Loaded: now, Settings: []string{`policy.mode: "enforce" -> "shadow"`},
				Tenants: []Tenant{{"customer-1", []string{"example.net"}, []string{`dmarc.reject: "corroborated" -> "strict"`}}},
				Reloads: []Reload{{At: now, Now: []string{`policy.mode: "enforce" -> "shadow"`}}, {At: now, Error: "sekimori.toml:3:1: no such key"}},
				Sources: []Health{{Part: "/etc/userdomains", State: Good, Words: "3 domains"}}}
			for _, r := range filter.Reasons() {
				p.Rules = append(p.Rules, Rule{string(r), "reject", "policy.dmarc.reject", "corroborated"})
			}
			return p
		},
		Protected: func(domain string) (string, bool) { return "customer-1", domain == "example.com" },
		Audit: func(ctx context.Context, domain string) ([]Finding, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return []Finding{{"broken", "spf", domain, "There is no SPF record.", []Record{{domain, "TXT", "v=spf1 -all"}}}, {"fine", "mx", domain, "Mail is taken.", nil}}, nil
		},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }, Name: "mx.example.net", Version: "v1.0.0",
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		mux.Handle(r.Path, r.Handler)
	}
	return &site{c, f, mux}
}

// get gives status and page.
func (s *site) get(path string, language string) (int, string) {
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// paths are one of each page.
func paths() []string {
	return []string{"/", "/?period=30d", "/messages", "/messages?sender=example.com&verdict=reject&client=nonsense", "/messages/2", "/domains", "/domains/example.com",
		"/domains/example.com?audit=1", "/policy", "/nothing"}
}

var errPlanted = errors.New("planted trouble")
