package main

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/audit"
	"sekimori/filter/console"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/guard"
	"sekimori/filter/sources"
)

// inForce is what the console tells of the configuration in force.
type inForce struct {
	cfg      config.Config
	name     string // our SMTP name
	filter   *filter.Filter
	resolver dns.Source
	sources  func() []sources.Status
	expiry   func() map[string]time.Time // of certificates
}

// show is called whenever another configuration is in force.
func (s *service) show(cfg config.Config, h *house) {
	feeds := s.common.feeds
	s.inForce.Store(&inForce{cfg, h.server.Hostname, h.filter, h.filter.Resolver, func() []sources.Status {
		return append(feeds.domains.Snapshot(), feeds.lists.Snapshot()...)
	}, func() map[string]time.Time { return certificates(cfg, h) }})
}

// readings remembers what came of the last readings of the configuration.
type readings struct {
	mu  sync.Mutex
	all []console.Reload // the oldest first
}

const maxReadings = 50

func (r *readings) add(err error, c changes) {
	one := console.Reload{At: time.Now().UTC(), Now: c.now, Later: c.later}
	if err != nil {
		one.Error = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
	r.all = slices.Delete(r.all, 0, max(0, len(r.all)-maxReadings))
}

// list gives them from the newest on, for the caller to keep, and when the one in
// force was read.
func (r *readings) list() (all []console.Reload, loaded time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range slices.Backward(r.all) {
		one.Now, one.Later = slices.Clone(one.Now), slices.Clone(one.Later)
		all = append(all, one)
		if one.Error == "" && loaded.IsZero() {
			loaded = one.At
		}
	}
	return all, loaded
}

// failed tells whether the last one did.
func (r *readings) failed() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.all); n > 0 {
		return r.all[n-1].Error
	}
	return ""
}

// consoleRoutes are the pages for people.
func (s *service) consoleRoutes() []guard.Route {
	name := ""
	if at := s.inForce.Load(); at != nil {
		name = at.name
	}
	c, err := console.New(console.Options{
		History: consoleHistory{s.common.history}, Health: s.consoleHealth, Policy: s.consolePolicy,
		Protected: func(domain string) (string, bool) {
			own, customer, ok := s.common.live.Domains().Owner(domain)
			return customer, ok && own == domain
		},
		Audit: s.consoleAudit, Log: s.log, Now: time.Now, Name: name, Version: version,
	})
	if err != nil {
		panic(err) // pages that do not parse: no build with them passes a test
	}
	var all []guard.Route
	for _, r := range c.Routes() {
		all = append(all, guard.Route{Path: r.Path, Handler: r.Handler})
	}
	return all
}

// consoleHealth looks at nothing that could keep it waiting.
func (s *service) consoleHealth() []console.Health {
	at := s.inForce.Load()
	all := []console.Health{
		health1("process", s.common.health.alive()),
		health1("upstream", s.common.health.ready()),
		s.common.asking.health(time.Now()),
		historyHealth(s.common.history.Stats()),
		sourcesHealth(at.sources(), s.common.live.Domains().Len()),
	}
	all = append(all, certificatesHealth(at.expiry(), time.Now())...)
	if words := s.readings.failed(); words != "" {
		all = append(all, console.Health{Part: "reload", State: console.Warn, Words: words})
	}
	return all
}

// sourcesHealth is of all sources together; the page of rules has each.
func sourcesHealth(all []sources.Status, domains int) console.Health {
	h := console.Health{Part: "sources", State: console.Good, Key: "health.domains", Args: []string{strconv.Itoa(domains)}}
	if domains == 0 && len(all) == 0 {
		return console.Health{Part: "sources", State: console.Off}
	}
	for _, s := range all {
		if s.Problem != "" {
			h.State, h.Key, h.Words = console.Warn, "", s.Name+": "+s.Problem
		}
	}
	return h
}

func sourceHealth(all []sources.Status) []console.Health {
	var list []console.Health
	for _, s := range all {
		h := console.Health{Part: s.Name, State: console.Good, Key: "health.entries", Args: []string{strconv.Itoa(s.Domains)}}
		if len(s.Lines) > 0 {
			h.State, h.Key, h.Words = console.Warn, "", strings.Join(s.Lines, "; ")
		}
		if s.Problem != "" {
			h.State, h.Key, h.Words = console.Warn, "", s.Problem
		}
		list = append(list, h)
	}
	return list
}

// Times before the end of a certificate at which it is worth a look, and trouble.
const (
	certificateSoon = 14 * 24 * time.Hour
	certificateLate = 3 * 24 * time.Hour
)

// certificatesHealth is of the one that ends first; nothing without any.
func certificatesHealth(all map[string]time.Time, now time.Time) []console.Health {
	var first time.Time
	name := ""
	for n, end := range all {
		if name == "" || end.Before(first) {
			first, name = end, n
		}
	}
	if name == "" {
		return nil
	}
	h := console.Health{Part: "certificate", State: console.Good, Key: "health.certificate", Args: []string{name, first.UTC().Format("2006-01-02")}}
	switch left := first.Sub(now); {
	case left < certificateLate:
		h.State = console.Bad
	case left < certificateSoon:
		h.State = console.Warn
	}
	return []console.Health{h}
}

func health1(part string, err error) console.Health {
	if err != nil {
		return console.Health{Part: part, State: console.Bad, Words: err.Error()}
	}
	return console.Health{Part: part, State: console.Good}
}

// consoleAudit is `sekimori domain` by the resolver in force.
func (s *service) consoleAudit(ctx context.Context, domain string) ([]console.Finding, error) {
	at := s.inForce.Load()
	report := audit.Domain(ctx, at.resolver, domain, audit.Options{DMARC: dmarc.Options{StrictTreeWalk: at.cfg.Policy.DMARC.StrictTreeWalk}})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var all []console.Finding
	for _, f := range report.Findings {
		one := console.Finding{Rank: string(f.Rank), Area: f.Area, Name: f.Name, Text: f.Text}
		for _, p := range f.Publish {
			one.Publish = append(one.Publish, console.Record{Name: p.Name, Type: p.Type, Data: p.Data})
		}
		all = append(all, one)
	}
	return all, nil
}

// tenantsShown bounds the page of rules.
const tenantsShown = 100

func (s *service) consolePolicy() console.Policy {
	at := s.inForce.Load()
	p := console.Policy{Shadow: at.cfg.Policy.Mode == "shadow", Settings: config.Diff(config.Default(), at.cfg), Domains: s.common.live.Domains().Len(), Sources: sourceHealth(at.sources())}
	p.Reloads, p.Loaded = s.readings.list()
	values := map[string]string{}
	for _, one := range at.cfg.Settings() {
		values["policy."+one.Key] = one.Value
	}
	for _, reason := range filter.Reasons() {
		does, key := at.filter.Rules.Policy.Does(reason)
		p.Rules = append(p.Rules, console.Rule{Reason: string(reason), Action: does.String(), Setting: key, Value: values[key]})
	}
	p.Settings = slices.DeleteFunc(p.Settings, func(line string) bool { return strings.HasPrefix(line, "tenant ") })
	for i, t := range at.cfg.Tenants {
		if i == tenantsShown {
			p.More = len(at.cfg.Tenants) - i
			break
		}
		one := console.Tenant{Name: t.Name, Recipients: slices.Clone(t.Recipients[:min(len(t.Recipients), 10)])}
		own := at.cfg
		own.Tenants, own.Policy = nil, at.cfg.PolicyOf(i)
		base := at.cfg
		base.Tenants = nil
		one.Changes = config.Diff(base, own)
		p.Tenants = append(p.Tenants, one)
	}
	return p
}

// networkOf reads what the form has taken.
func networkOf(s string) netip.Prefix {
	if a, err := netip.ParseAddr(s); err == nil {
		p, _ := a.Unmap().WithZone("").Prefix(a.Unmap().BitLen())
		return p
	}
	p, _ := netip.ParsePrefix(s)
	return p
}
