package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"sekimori/config"
)

// authority gets certificates by ACME (RFC 8555) and keeps them fresh. Nobody
// waits for it: clients get what there is, and before there is anything STARTTLS
// is not offered.
type authority struct {
	manager *autocert.Manager
	domains []string
	ours    atomic.Pointer[map[string]*tls.Certificate] // by domain
	pause   time.Duration                               // after the first failure; twice as long after each further one

	plain, secure net.Listener // where challenges are answered; either may be nil
}

// newAuthority is nil where ACME is off.
func newAuthority(c config.ACME) (*authority, error) {
	if len(c.Domains) == 0 {
		return nil, nil
	}
	client := &acme.Client{DirectoryURL: c.Directory, UserAgent: "sekimori"}
	if c.DirectoryCA != "" {
		pool, err := readCA(c.DirectoryCA)
		if err != nil {
			return nil, err
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		client.HTTPClient = &http.Client{Transport: transport, Timeout: time.Minute}
	}
	a := &authority{domains: c.Domains, pause: time.Minute}
	a.manager = &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(c.Cache),
		HostPolicy: autocert.HostWhitelist(c.Domains...),
		Client:     client,
		Email:      c.Email,
	}
	a.ours.Store(&map[string]*tls.Certificate{})
	return a, nil
}

// listen opens what the authority will ask.
func (a *authority) listen(c config.ACME) (err error) {
	if a == nil {
		return nil
	}
	if a.plain, err = listenFor("acme.http_address", c.HTTPAddress); err != nil {
		return err
	}
	if a.secure, err = listenFor("acme.tls_address", c.TLSAddress); err != nil {
		a.close()
	}
	return err
}

func listenFor(key, address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen(config.Network(address))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return l, nil
}

func (a *authority) close() {
	if a == nil {
		return
	}
	for _, l := range []net.Listener{a.plain, a.secure} {
		if l != nil {
			_ = l.Close()
		}
	}
}

// run gets certificates until ctx ends. report is told of each failure.
func (a *authority) run(ctx context.Context, log *slog.Logger, report func()) {
	if a == nil {
		return
	}
	defer a.close()
	a.challenges(ctx)
	a.keep(ctx, log, report)
}

// config is for clients' connections.
func (a *authority) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: a.certificate}
}

// ready tells whether there is a certificate for whoever asks.
func (a *authority) ready() bool { return (*a.ours.Load())[a.domains[0]] != nil }

// certificate is the one for the name asked for, else the first.
func (a *authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	ours := *a.ours.Load()
	for _, name := range []string{strings.ToLower(strings.TrimSuffix(hello.ServerName, ".")), a.domains[0]} {
		if c := ours[name]; c != nil {
			return c, nil
		}
	}
	return nil, errors.New("there is no certificate from the ACME authority yet")
}

const (
	acmeEvery   = time.Hour        // certificates that were renewed meanwhile are taken then
	acmeMaximum = 6 * time.Hour    // between two tries
	acmeTimeout = 10 * time.Minute // for one certificate
)

// keep gets all certificates and then keeps them, until ctx ends. report is told
// of each failure.
func (a *authority) keep(ctx context.Context, log *slog.Logger, report func()) {
	pause := a.pause
	for {
		next := acmeEvery
		if err := a.renew(ctx, log); err != nil && ctx.Err() == nil {
			report()
			log.Error("no certificate from the ACME authority", "error", err.Error(), "pause", pause.String())
			next, pause = pause, min(2*pause, acmeMaximum)
		} else {
			pause = a.pause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(next):
		}
	}
}

// renew takes over what the manager has, who gets what is missing and renews
// what is old by itself.
func (a *authority) renew(ctx context.Context, log *slog.Logger) error {
	var all error
	fresh := map[string]*tls.Certificate{}
	before := *a.ours.Load()
	for _, domain := range a.domains {
		c, err := a.obtain(ctx, domain)
		if err != nil {
			all = errors.Join(all, err)
			c = before[domain]
		} else if before[domain] == nil || before[domain].Leaf.SerialNumber.Cmp(c.Leaf.SerialNumber) != 0 {
			log.Info("a certificate from the ACME authority is in use", "domain", domain, "until", c.Leaf.NotAfter.Format(time.RFC3339))
		}
		if c != nil {
			fresh[domain] = c
		}
	}
	a.ours.Store(&fresh)
	return all
}

// obtain asks the manager in the way of a client that can have ECDSA, as all
// can that speak TLS 1.2. It knows no context.
func (a *authority) obtain(ctx context.Context, domain string) (*tls.Certificate, error) {
	type answer struct {
		c   *tls.Certificate
		err error
	}
	got := make(chan answer, 1)
	go func() {
		c, err := a.manager.GetCertificate(&tls.ClientHelloInfo{
			ServerName:       domain,
			CipherSuites:     []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
			SupportedCurves:  []tls.CurveID{tls.CurveP256},
		})
		got <- answer{c, err}
	}()
	limit, cancel := context.WithTimeout(ctx, acmeTimeout)
	defer cancel()
	select {
	case g := <-got:
		return g.c, g.err
	case <-limit.Done():
		return nil, limit.Err()
	}
}

// challenges answers the authority's challenges until ctx ends.
func (a *authority) challenges(ctx context.Context) {
	if a.plain != nil {
		s := &http.Server{
			Handler:           withoutPort(a.manager.HTTPHandler(http.NotFoundHandler())),
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second,
			MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		}
		context.AfterFunc(ctx, func() { _ = s.Close() })
		go func() { _ = s.Serve(a.plain) }()
	}
	if a.secure != nil {
		context.AfterFunc(ctx, func() { _ = a.secure.Close() })
		go a.handshakes(a.secure)
	}
}

// withoutPort: the manager knows names only, and a port other than 80 may be
// forwarded to us under its own number.
func withoutPort(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host, _, err := net.SplitHostPort(r.Host); err == nil {
			r.Host = host
		}
		h.ServeHTTP(w, r)
	})
}

// handshakes is all there is to TLS-ALPN-01 (RFC 8737 section 3).
func (a *authority) handshakes(l net.Listener) {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{acme.ALPNProto},
		GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if len(h.SupportedProtos) != 1 || h.SupportedProtos[0] != acme.ALPNProto {
				return nil, errors.New("only for challenges")
			}
			return a.manager.GetCertificate(h)
		},
	}
	slots := make(chan struct{}, 16)
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_ = tls.Server(c, conf).Handshake()
		}()
	}
}
