package main

import (
	"crypto/tls"
	"maps"
	"time"

	"sekimori/config"
	"sekimori/filter/metrics"
)

// watch has the metrics show the house that is on duty now.
func (c *common) watch(cfg config.Config, h *house) {
	var tenants []string
	for _, t := range cfg.Tenants {
		tenants = append(tenants, t.Name)
	}
	c.metrics.Tenants(cfg.Metrics.MaxTenants, tenants)
	c.metrics.Domains(cfg.Metrics.MaxDomains, h.filter.Live.Domains)
	c.metrics.Show(metrics.State{
		Memory: c.memory.Used, MemoryLimit: c.memory.Total,
		Disk: c.disk.Used, DiskLimit: c.disk.Total,
		History:      c.historyState,
		Sources:      c.feeds.states,
		Logs:         c.book.states,
		Cache:        cacheStats(h.filter.Resolver),
		Certificates: func() map[string]time.Time { return certificates(cfg, h) },
	})
}

// certificates tells when those in use end, by their file, or by their name
// where ACME got them. One that cannot be told is left out.
func certificates(cfg config.Config, h *house) map[string]time.Time {
	all := map[string]time.Time{}
	for _, l := range cfg.Listeners {
		conf := h.server.Listeners[l.Label()].TLS
		if l.TLSCertificate == "" || conf == nil {
			continue
		}
		if c, err := conf.GetCertificate(&tls.ClientHelloInfo{}); err == nil && c.Leaf != nil {
			all[l.TLSCertificate] = c.Leaf.NotAfter
		}
	}
	if conf := h.server.Upstream.TLSConfig; cfg.Upstream.TLSCertificate != "" && conf != nil && conf.GetClientCertificate != nil {
		if c, err := conf.GetClientCertificate(nil); err == nil && c.Leaf != nil {
			all[cfg.Upstream.TLSCertificate] = c.Leaf.NotAfter
		}
	}
	maps.Copy(all, h.common.acme.ends())
	return all
}

// ends tells when the certificates from the authority end, by their names.
func (a *authority) ends() map[string]time.Time {
	all := map[string]time.Time{}
	if a == nil {
		return all
	}
	for name, c := range *a.ours.Load() {
		if c.Leaf != nil {
			all[name] = c.Leaf.NotAfter
		}
	}
	return all
}
