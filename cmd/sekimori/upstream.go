package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"sekimori/config"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/proxy"
)

// newUpstream is the MTA as the door sees it. report is told of a changed client
// certificate that cannot be used.
func newUpstream(c config.Upstream, name string, report func(error)) (*proxy.Upstream, error) {
	secure, err := upstreamTLS(c, report)
	if err != nil {
		return nil, err
	}
	u := &proxy.Upstream{
		Hostname:  name,
		LMTP:      c.Protocol == "lmtp",
		Forward:   proxy.Forward(c.ForwardClient),
		TLS:       proxy.TLSMode(c.TLS),
		TLSConfig: secure,
		Times: proxy.Times{
			Connect: time.Duration(c.ConnectTimeout),
			Command: time.Duration(c.CommandTimeout),
			Final:   time.Duration(c.DataTimeout),
		},
		Reuse: proxy.Reuse{
			Idle:     c.MaxIdle,
			IdleTime: time.Duration(c.IdleTimeout),
			Age:      time.Duration(c.MaxAge),
			Messages: c.MaxMessages,
		},
		Patience: proxy.Patience{Failures: c.MaxFailures, Pause: time.Duration(c.RetryAfter)},
	}
	for _, h := range c.Hosts() {
		u.Hosts = append(u.Hosts, proxy.Host{Address: h.Address, Priority: h.Priority, Weight: h.Weight})
	}
	return u, nil
}

func upstreamTLS(c config.Upstream, report func(error)) (*tls.Config, error) {
	secure := &tls.Config{ServerName: c.TLSName, MinVersion: tls.VersionTLS12}
	var err error
	if c.TLSCA != "" {
		if secure.RootCAs, err = readCA(c.TLSCA); err != nil {
			return nil, err
		}
	}
	if c.TLSCertificate != "" {
		secure.GetClientCertificate, err = upstreamCertificate(c, report)
	}
	return secure, err
}

// clientCertificate is what tls.Config asks.
type clientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error)

// upstreamCertificate is by what the MTA knows us.
func upstreamCertificate(c config.Upstream, report func(error)) (clientCertificate, error) {
	cert := &proxy.Certificate{CertFile: c.TLSCertificate, KeyFile: c.TLSKey, Report: report}
	if err := cert.Load(); err != nil {
		return nil, err
	}
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert.GetCertificate(nil) }, nil
}

// addresses are the hosts of the MTA, for the log.
func addresses(u config.Upstream) string {
	var all []string
	for _, h := range u.Hosts() {
		all = append(all, h.Address)
	}
	return strings.Join(all, " ")
}

// Bounds of the question for a client's name: it makes MAIL wait.
const (
	nameTime    = 5 * time.Second
	nameQueries = 24
)

// clientNames asks for the names of clients, for an MTA to which they matter.
func clientNames(source dns.Source) func(context.Context, netip.Addr) proxy.ClientName {
	return func(ctx context.Context, client netip.Addr) proxy.ClientName {
		ctx, cancel := context.WithTimeout(ctx, nameTime)
		defer cancel()
		session := dns.NewSession(source, nameQueries)
		result := iprev.Check(ctx, session, client)
		name := proxy.ClientName{Verified: result.Name, Reverse: result.Name, Unsure: result.Word == iprev.TempError}
		if name.Reverse == "" {
			if all, err := session.LookupAddr(ctx, client); err == nil && len(all) > 0 {
				name.Reverse = strings.TrimSuffix(all[0], ".")
			}
		}
		return name
	}
}

// probing asks each host of the MTA now and again, for /readyz and for what it
// offers.
func (h *house) probing(ctx context.Context, log *slog.Logger) {
	var first sync.Once
	down := map[string]bool{}
	h.metrics.Upstreams()
	probe := func(ctx context.Context) error {
		var errs []error
		all := h.server.Upstream.ProbeAll(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, s := range all {
			h.metrics.UpstreamUp(s.Address, s.Err == nil)
			if s.Err != nil {
				errs = append(errs, s.Err)
			}
			switch {
			case s.Err != nil && !down[s.Address]:
				log.Error("the MTA does not answer", "upstream", s.Address, "error", s.Err.Error())
			case s.Err == nil && down[s.Address]:
				log.Info("the MTA answers again", "upstream", s.Address)
			}
			down[s.Address] = s.Err != nil
		}
		if len(errs) < len(all) {
			return nil
		}
		return errors.Join(errs...)
	}
	h.health.watch(ctx, h.every, probe, func(error) { first.Do(func() { close(h.probed) }) })
}
