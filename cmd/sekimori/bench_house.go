package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
)

// benchHouse is a proxy with all that 'serve' has, before a sink.
type benchHouse struct {
	sink *sink
	door net.Listener
	stop func() error

	prepare func(*house) // before it opens; may be nil

	mu       sync.Mutex
	verdicts map[string]int // messages by "action: reason"
}

const benchCacheMemory = 64 << 20 // bytes

func openBenchHouse(ctx context.Context, f *benchFlags, source dns.Source) (*benchHouse, error) {
	s, err := startSink()
	if err != nil {
		return nil, err
	}
	b := &benchHouse{sink: s, verdicts: map[string]int{}}
	if err := b.open(ctx, benchConfig(f, s.listen.Addr().String()), f.tls, source); err != nil {
		s.close()
		return nil, err
	}
	return b, nil
}

// benchConfig is the default, with room for a load that comes from one address.
func benchConfig(f *benchFlags, upstream string) config.Config {
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	cfg.Upstream = cfg.Upstream.At(upstream)
	door := &cfg.Listeners[0]
	door.MaxConnections = f.concurrency + 100
	door.MaxConnectionsPerClient = f.concurrency + 100
	door.Exempt = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	return cfg
}

func (b *benchHouse) open(ctx context.Context, cfg config.Config, secure bool, source dns.Source) error {
	c := newCommon(cfg)
	c.book = newLogbook(io.Discard, io.Discard) // the lines cost what they cost in 'serve'
	sheet, err := c.book.turn(cfg)
	if err != nil {
		return err
	}
	c.book.put(sheet, cfg)
	log := c.book.logger()
	h, err := newHouse(c, cfg, source, log)
	if err != nil {
		return err
	}
	done := h.server.Done
	h.server.Done = func(r filter.Record) {
		done(r)
		b.count(r)
	}
	if secure {
		own, err := benchTLS(cfg.Hostname)
		if err != nil {
			return err
		}
		for name, l := range h.server.Listeners {
			l.TLS = own
			h.server.Listeners[name] = l
		}
	}
	if b.prepare != nil {
		b.prepare(h)
	}
	if err := h.server.Upstream.Probe(ctx); err != nil {
		return err
	}
	if b.door, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- h.run(serving, b.door, nil, 5*time.Second, log) }()
	b.stop = func() error { cancel(); return <-ended }
	return nil
}

func (b *benchHouse) addr() string { return b.door.Addr().String() }

// count takes note of what the proxy made of a message.
func (b *benchHouse) count(r filter.Record) {
	word := "not judged: " + string(r.Outcome)
	if r.Judged {
		word = r.Verdict.Enforced().String() + ": " + string(r.Verdict.Reason)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts[word]++
}

// takeVerdicts gives the counts and begins anew.
func (b *benchHouse) takeVerdicts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.verdicts
	b.verdicts = map[string]int{}
	return all
}

// settled measures when all is quiet. The connections that the proxy keeps for
// later end first: how many these are is chance.
func (b *benchHouse) settled(begin usage) usage {
	b.sink.hangUp()
	return settled(begin)
}

func (b *benchHouse) close() error {
	defer b.sink.close()
	return b.stop()
}

// benchTLS has a certificate that nobody signed, made for this run.
func benchTLS(name string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}, nil
}
