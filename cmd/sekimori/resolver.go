package main

import (
	"time"

	"sekimori/config"
	"sekimori/filter/dns"
)

// newResolver asks the configured servers, or the system's, through a cache.
func newResolver(cfg config.Config) (dns.Source, error) {
	client, err := newClient(cfg.DNS.Servers)
	if err != nil {
		return nil, err
	}
	client.Timeout = time.Duration(cfg.DNS.Timeout)
	client.Attempts = cfg.DNS.Attempts
	client.TrustAD = cfg.DNS.TrustAD
	if cfg.DNS.CacheMemory == 0 {
		return client, nil
	}
	return newCache(cfg.DNS, client), nil
}

func newCache(d config.DNS, source dns.Source) *dns.Cache {
	cache := dns.NewCache(source, int64(d.CacheMemory))
	cache.Stale = time.Duration(d.Stale)
	cache.Prefetch = d.Prefetch
	cache.Cut = d.NXDomainCut
	return cache
}

func newClient(servers []string) (*dns.Client, error) {
	if len(servers) == 0 {
		return dns.SystemClient("/etc/resolv.conf")
	}
	return dns.NewClient(servers...)
}
