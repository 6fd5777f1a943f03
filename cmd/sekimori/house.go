package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/metrics"
	"sekimori/filter/proxy"
)

// house is one proxy with all its rooms: what 'serve' runs and 'demo' plays in.
type house struct {
	filter  *filter.Filter
	server  *proxy.Server
	metrics *metrics.Metrics
	health  *health
}

func newHouse(cfg config.Config, source dns.Source, log *slog.Logger) (*house, error) {
	judge, err := newFilter(cfg, source)
	if err != nil {
		return nil, err
	}
	h := &house{filter: judge, metrics: metrics.New(version), health: &health{}}
	h.server, err = newServer(cfg, log, h.metrics)
	if err != nil {
		return nil, err
	}
	h.server.Check = judge.Check
	h.server.Prefetch = judge.Prefetch
	h.server.Done = func(r filter.Record) {
		h.metrics.Done(r)
		logRecord(log, r)
	}
	return h, nil
}

// newServer builds the door, without the core behind it.
func newServer(cfg config.Config, log *slog.Logger, m *metrics.Metrics) (*proxy.Server, error) {
	name, err := hostname(cfg)
	if err != nil {
		return nil, err
	}
	upstream, err := newUpstream(cfg.Upstream, name)
	if err != nil {
		return nil, err
	}
	clientTLS, err := newTLS(cfg.Listener, func(err error) {
		m.CertificateError()
		log.Error("the changed certificate cannot be used, the old one stays", "error", err.Error())
	})
	if err != nil {
		return nil, err
	}
	l := cfg.Listener
	return &proxy.Server{
		Hostname: name,
		Upstream: upstream,
		TLS:      clientTLS,
		Spool:    mail.Options{Memory: int64(cfg.Spool.Memory), Directory: cfg.Spool.Directory},
		Log:      log,
		Limits: proxy.Limits{
			MessageSize:          int64(l.MaxMessageSize),
			Recipients:           l.MaxRecipients,
			Connections:          l.MaxConnections,
			ConnectionsPerClient: l.MaxConnectionsPerClient,
			Faults:               l.MaxErrors,
			CommandTime:          time.Duration(l.CommandTimeout),
			DataIdle:             time.Duration(l.DataTimeout),
			DataRate:             int64(l.MinDataRate),
		},
		Events: proxy.Events{
			Opened:   func(string) { m.ConnectionOpened() },
			Closed:   func(string) { m.ConnectionClosed() },
			Refused:  func(_ string, why proxy.Refusal) { m.ConnectionRefused(string(why)) },
			TLS:      m.TLS,
			Upstream: func(kind proxy.Trouble) { m.UpstreamError(string(kind)) },
			Panic:    m.Panic,
		},
	}, nil
}

func newUpstream(c config.Upstream, name string) (*proxy.Upstream, error) {
	u := &proxy.Upstream{
		Address:   c.Address,
		Hostname:  name,
		TLS:       proxy.TLSMode(c.TLS),
		TLSConfig: &tls.Config{ServerName: c.TLSName, MinVersion: tls.VersionTLS12},
		Times: proxy.Times{
			Connect: time.Duration(c.ConnectTimeout),
			Command: time.Duration(c.CommandTimeout),
			Final:   time.Duration(c.DataTimeout),
		},
	}
	if c.TLSCA == "" {
		return u, nil
	}
	pem, err := os.ReadFile(c.TLSCA)
	if err != nil {
		return nil, err
	}
	u.TLSConfig.RootCAs = x509.NewCertPool()
	if !u.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", c.TLSCA)
	}
	return u, nil
}

// newTLS is nil where no certificate is configured.
func newTLS(l config.Listener, report func(error)) (*tls.Config, error) {
	if l.TLSCertificate == "" {
		return nil, nil
	}
	c := &proxy.Certificate{CertFile: l.TLSCertificate, KeyFile: l.TLSKey, Report: report}
	if err := c.Load(); err != nil {
		return nil, err
	}
	conf := c.Config()
	if l.TLSMinVersion == "1.3" {
		conf.MinVersion = tls.VersionTLS13
	}
	return conf, nil
}

// probing asks for the MTA every few seconds, for /readyz and for what it offers.
func (h *house) probing(ctx context.Context, log *slog.Logger) {
	up := true
	h.health.watch(ctx, 5*time.Second, h.server.Upstream.Probe, func(err error) {
		h.metrics.UpstreamUp(err == nil)
		switch {
		case err != nil && up:
			log.Error("the MTA does not answer: clients are told 451", "error", err.Error())
		case err == nil && !up:
			log.Info("the MTA answers again")
		}
		up = err == nil
	})
}
