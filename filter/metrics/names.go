package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"sekimori/filter"
)

// domainSeries are those of one protected domain.
type domainSeries struct {
	actions map[string]prometheus.Counter
	dmarc   map[string]prometheus.Counter
	spoofs  map[string]prometheus.Counter
}

// tenantSeries are those of one tenant.
type tenantSeries struct {
	name    string
	actions map[string]prometheus.Counter
}

// each makes the series of one configured name, one for each value of a closed label.
func each(values []string, with func(value string) prometheus.Counter) map[string]prometheus.Counter {
	all := make(map[string]prometheus.Counter, len(values))
	for _, v := range values {
		all[v] = with(v)
	}
	return all
}

func (m *Metrics) setUpNames() {
	spoofs, spoofVec := m.counters("spoofs_total")
	messages, messageVec := m.counters("domain_messages_total")
	dmarc, dmarcVec := m.counters("domain_dmarc_results_total")
	tenants, tenantVec := m.counters("tenant_messages_total")
	shadow, shadowVec := m.counters("tenant_shadow_messages_total")
	m.tenantShadow = shadow
	m.nobody = each(techniques(), func(v string) prometheus.Counter { return spoofs.at(v, none) })
	m.domains = newBounded(defaultNames, func(name string) domainSeries {
		return domainSeries{
			actions: each(actions(), func(v string) prometheus.Counter { return messages.at(name, v) }),
			dmarc:   each(dmarcResults(), func(v string) prometheus.Counter { return dmarc.at(name, v) }),
			spoofs:  each(techniques(), func(v string) prometheus.Counter { return spoofs.at(v, name) }),
		}
	}, func(name string) { forget("domain", name, spoofVec, messageVec, dmarcVec) })
	one := func(name string) tenantSeries {
		return tenantSeries{name, each(actions(), func(v string) prometheus.Counter { return tenants.at(name, v) })}
	}
	m.nobodys = one(none)
	m.tenants = newBounded(defaultNames, one, func(name string) { forget("tenant", name, tenantVec, shadowVec) })
}

func forget(label, name string, all ...*prometheus.CounterVec) {
	for _, v := range all {
		v.DeletePartialMatch(prometheus.Labels{label: name})
	}
}

// Tenants takes over the configured names, of which limit at most get series.
func (m *Metrics) Tenants(limit int, names []string) { m.tenants.set(limit, names) }

// Domains has the metrics follow the protected domains, of which limit at most
// get series. They are looked at whenever somebody scrapes; the order of names
// decides who is first only where all fit.
func (m *Metrics) Domains(limit int, current func() *filter.Domains) {
	m.following.Lock()
	defer m.following.Unlock()
	m.stale = m.stale || limit != m.limit
	m.limit, m.current = limit, current
}

// follow takes over a set of protected domains that has changed.
func (m *Metrics) follow() {
	m.following.Lock()
	defer m.following.Unlock()
	if m.current == nil {
		return
	}
	now := m.current()
	if now == m.followed && !m.stale {
		return
	}
	m.followed, m.stale = now, false
	var names []string
	if now != nil {
		for name := range now.All() {
			names = append(names, name)
		}
	}
	m.protected.Set(float64(len(names)))
	slices.Sort(names)
	m.domains.set(m.limit, names)
}

// named counts what is told by configured names.
func (m *Metrics) named(v filter.Verdict, exemplar prometheus.Labels) {
	spoofs := m.nobody
	if v.Protected != "" {
		d := m.domains.at(v.Protected)
		spoofs = d.spoofs
		d.actions[v.Enforced().String()].Inc()
		if c := d.dmarc[string(v.Results.DMARC.Word)]; c != nil && within(v.Results.Author.Domain, v.Protected) {
			c.Inc()
		}
	}
	if c := spoofs[string(v.Technique())]; c != nil {
		increase(c, exemplar)
	}
	if len(v.Tenants) == 0 {
		m.tenant(m.nobodys, v)
	}
	for _, name := range v.Tenants {
		m.tenant(m.tenants.at(name), v)
	}
}

// within tells whether a name is the domain or below it: DMARC has spoken of the
// protected domain only where From names it.
func within(name, domain string) bool {
	above, ok := strings.CutSuffix(name, domain)
	return ok && (above == "" || strings.HasSuffix(above, "."))
}

func (m *Metrics) tenant(t tenantSeries, v filter.Verdict) {
	t.actions[v.Enforced().String()].Inc()
	if v.Shadow {
		m.tenantShadow.at(t.name, v.Action.String(), string(v.Reason)).Inc()
	}
}
