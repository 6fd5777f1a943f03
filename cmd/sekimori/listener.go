package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"sekimori/config"
	"sekimori/filter/proxy"
)

// newListeners are the doors of a configuration by the names of their sockets.
// report is told of a changed certificate that cannot be used.
func newListeners(cfg config.Config, acme *authority, report func(error)) (map[string]proxy.Listener, error) {
	all := map[string]proxy.Listener{}
	for i, c := range cfg.Listeners {
		l, err := newListener(c, report)
		if err != nil {
			return nil, fmt.Errorf("listener %d: %w", i+1, err)
		}
		if c.UsesACME(cfg.ACME) && acme != nil {
			l.TLS, l.TLSReady = acme.config(), acme.ready
			if err := tighten(l.TLS, c); err != nil {
				return nil, err
			}
		}
		all[c.Label()] = l
	}
	return all, nil
}

func newListener(c config.Listener, report func(error)) (proxy.Listener, error) {
	l := proxy.Listener{
		Implicit:     c.TLS == "implicit",
		Limits:       newLimits(c),
		Rates:        proxy.Rates{Connections: rate(c.ConnectionRate), Messages: rate(c.MessageRate), Recipients: rate(c.RecipientRate)},
		Balancers:    c.ProxyProtocol.Trusted,
		AllBalancers: c.ProxyProtocol.Unix,
		GreetDelay:   time.Duration(c.GreetDelay),
		Normalize:    c.BareNewlines == "normalize",
		Exempt:       c.Exempt,
	}
	var err error
	l.TLS, err = newTLS(c, report)
	return l, err
}

func newLimits(c config.Listener) proxy.Limits {
	rate := int64(c.MinDataRate)
	if rate == 0 {
		rate = -1 // off
	}
	return proxy.Limits{
		MessageSize:          int64(c.MaxMessageSize),
		Recipients:           c.MaxRecipients,
		Connections:          c.MaxConnections,
		ConnectionsPerClient: c.MaxConnectionsPerClient,
		Faults:               c.MaxErrors,
		TarpitAfter:          c.TarpitAfter,
		TarpitTime:           time.Duration(c.TarpitDelay),
		Tarpitted:            c.TarpitConnections,
		CommandTime:          time.Duration(c.CommandTimeout),
		DataIdle:             time.Duration(c.DataTimeout),
		DataRate:             rate,
		HeaderTime:           time.Duration(c.ProxyProtocol.Timeout),
	}
}

// rate reads a word that config has seen.
func rate(word string) proxy.Rate {
	events, per, err := config.ParseRate(word)
	if err != nil {
		return proxy.Rate{}
	}
	return proxy.Rate{Events: events, Per: per}
}

// newTLS is nil where no certificate is configured.
func newTLS(l config.Listener, report func(error)) (*tls.Config, error) {
	if l.TLSCertificate == "" || l.TLS == "none" {
		return nil, nil
	}
	c := &proxy.Certificate{CertFile: l.TLSCertificate, KeyFile: l.TLSKey, Report: report}
	if err := c.Load(); err != nil {
		return nil, err
	}
	conf := c.Config()
	return conf, tighten(conf, l)
}

// tighten adds what a listener wants of TLS besides a certificate of ours.
func tighten(conf *tls.Config, l config.Listener) error {
	if l.TLSMinVersion == "1.3" {
		conf.MinVersion = tls.VersionTLS13
	}
	if l.TLSClientCA == "" {
		return nil
	}
	pool, err := readCA(l.TLSClientCA)
	if err != nil {
		return err
	}
	// Whatever is shown is taken: who has no good certificate may come without one.
	conf.ClientAuth, conf.ClientCAs = tls.RequestClientCert, pool
	return nil
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM", file)
	}
	return pool, nil
}
