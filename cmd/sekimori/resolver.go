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
	client.MixCase = cfg.DNS.CaseRandomization
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

// cacheStats tells of the cache in front of the servers, if there is one.
func cacheStats(source dns.Source) func() (dns.Stats, bool) {
	return func() (dns.Stats, bool) {
		if cache, ok := source.(*dns.Cache); ok {
			return cache.Stats(), true
		}
		return dns.Stats{}, false
	}
}

// retire closes the sockets of a resolver that no house will ask any more. Those
// that still do, until their last message, open their own.
func retire(source dns.Source) {
	if cache, ok := source.(*dns.Cache); ok {
		source = cache.Source
	}
	if client, ok := source.(*dns.Client); ok {
		client.Close()
	}
}

func newClient(servers []string) (*dns.Client, error) {
	if len(servers) == 0 {
		return dns.SystemClient("/etc/resolv.conf")
	}
	return dns.NewClient(servers...)
}
