package dmarc

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// world is a DNS in memory that counts what it is asked. A name that it lacks
// does not exist.
type world struct {
	texts map[string][]string    // by name, "_dmarc." included
	fails map[string]dns.Outcome // by name
	hosts map[string]bool        // names that exist

	mu     sync.Mutex
	asked  []string // TXT
	probed []string // addresses
}

// records makes a world of DMARC records by domain. A record that is
// SERVFAIL or TIMEOUT is such a failure; "|" divides several records.
func records(byDomain map[string]string) *world {
	w := &world{texts: map[string][]string{}, fails: map[string]dns.Outcome{}, hosts: map[string]bool{}}
	for domain, record := range byDomain {
		switch record {
		case "SERVFAIL":
			w.fails["_dmarc."+domain] = dns.ServFail
		case "TIMEOUT":
			w.fails["_dmarc."+domain] = dns.Timeout
		default:
			w.texts["_dmarc."+domain] = strings.Split(record, "|")
		}
	}
	return w
}

func (w *world) LookupTXT(_ context.Context, name string) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, name)
	if o, ok := w.fails[name]; ok {
		return nil, &dns.Error{Outcome: o}
	}
	if texts, ok := w.texts[name]; ok {
		return texts, nil
	}
	return nil, &dns.Error{Outcome: dns.NXDomain}
}

func (w *world) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probed = append(w.probed, host)
	if o, ok := w.fails[host]; ok {
		return nil, &dns.Error{Outcome: o}
	}
	if w.hosts[host] && network == "ip4" {
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	}
	return nil, &dns.Error{Outcome: dns.NXDomain}
}

// once fails the test if a name was asked for twice or kept from Queries.
func (w *world) once(t *testing.T, f Facts) {
	t.Helper()
	asked := slices.Sorted(slices.Values(w.asked))
	if n := len(slices.Compact(slices.Clone(asked))); n != len(asked) {
		t.Errorf("asked twice: %q", asked)
	}
	if told := slices.Sorted(slices.Values(f.Queries)); !slices.Equal(told, asked) {
		t.Errorf("Queries tells %q, asked were %q", told, asked)
	}
	if len(w.probed) > 1 {
		t.Errorf("probed %q", w.probed)
	}
}

// id reads "pass mail.example.com".
func id(s string) Identifier {
	result, domain, _ := strings.Cut(s, " ")
	if ascii, err := mail.ASCIIDomain(domain); err == nil {
		domain = ascii
	}
	return Identifier{Domain: domain, Result: result}
}

func ids(list ...string) []Identifier {
	var out []Identifier
	for _, s := range list {
		out = append(out, id(s))
	}
	return out
}

func (w *world) judge(t *testing.T, o Options, author string, spf Identifier, dkim []Identifier) Result {
	t.Helper()
	f := o.Gather(t.Context(), w, author, append([]Identifier{spf}, dkim...))
	w.once(t, f)
	return f.Evaluate(spf, dkim)
}
