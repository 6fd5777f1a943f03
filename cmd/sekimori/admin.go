package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"

	"sekimori/config"
	"sekimori/filter/guard"
	"sekimori/filter/proxy"
)

// desk is where operators reach us: a post for people, and one for machines
// alone. Either is nil where it is switched off.
type desk struct {
	people, machines *post
}

// post is one listener with its guard.
type post struct {
	listener net.Listener
	guard    *guard.Guard
	tls      *tls.Config // nil: none
}

// openDesk opens what c names, or nothing.
func openDesk(c config.Admin, given *inherited, log *slog.Logger, panicked func()) (desk, error) {
	conf, err := adminTLS(c, log)
	if err != nil {
		return desk{}, err
	}
	if err := checkToken(c); err != nil {
		return desk{}, err
	}
	var d desk
	if d.people, err = openPost("admin", c.Address, given, conf); err != nil {
		return desk{}, err
	}
	if d.machines, err = openPost("admin-metrics", c.MetricsAddress, given, conf); err != nil {
		d.close()
		return desk{}, err
	}
	for _, p := range []*post{d.people, d.machines} {
		if p != nil {
			p.guard.Log, p.guard.Panic = log, panicked
		}
	}
	d.set(c)
	return d, nil
}

// openPost gives nil for no address.
func openPost(name, address string, given *inherited, conf *tls.Config) (*post, error) {
	if address == "" {
		return nil, nil
	}
	l := given.take(name, "tcp", address)
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", address); err != nil {
			return nil, fmt.Errorf("%s listener: %w", name, err)
		}
	}
	return newPost(l, config.Local(address), conf), nil
}

func newPost(l net.Listener, local bool, conf *tls.Config) *post {
	g := &guard.Guard{Local: local, Log: slog.New(slog.DiscardHandler), Now: time.Now}
	_, _ = rand.Read(g.Key[:]) // never fails
	return &post{listener: l, guard: g, tls: conf}
}

// adminTLS is nil without a certificate. Clients are asked for theirs, and one
// that no authority of ours has signed ends the connection; whether there must be
// one is up to the guard, for probes of this host have none.
func adminTLS(c config.Admin, log *slog.Logger) (*tls.Config, error) {
	if c.TLSCertificate == "" {
		return nil, nil
	}
	pair := &proxy.Certificate{CertFile: c.TLSCertificate, KeyFile: c.TLSKey, Report: func(err error) {
		log.Error("the changed certificate of [admin] cannot be used, the old one stays", "error", err.Error())
	}}
	if err := pair.Load(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	conf := pair.Config()
	if c.ClientCA != "" {
		pool, err := readCA(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("admin.client_ca: %w", err)
		}
		conf.ClientCAs, conf.ClientAuth = pool, tls.VerifyClientCertIfGiven
	}
	return conf, nil
}

// set puts the rules of c in force for the next request.
func (d desk) set(c config.Admin) {
	tries, per, _ := config.ParseRate(c.LoginRate) // config has read it
	rules := guard.Rules{Networks: c.Networks, Certificates: c.ClientCA != "", Names: c.ClientNames, Hosts: c.Hosts, Tries: tries, Per: per}
	if c.MetricsTokenFile != "" {
		rules.Token = (&tokenFile{path: c.MetricsTokenFile}).token
	}
	if d.machines != nil {
		d.machines.guard.Set(guard.Rules{Token: rules.Token, Hosts: c.Hosts, Tries: tries, Per: per})
	}
	for _, u := range c.Users {
		rules.Users = append(rules.Users, guard.User{Name: u.Name, Hash: u.PasswordHash})
	}
	if d.people != nil {
		d.people.guard.Set(rules)
	}
}

func (d desk) close() {
	for _, p := range []*post{d.people, d.machines} {
		if p != nil {
			_ = p.listener.Close()
		}
	}
}

// fence hangs up on whom the guard does not admit. It stands within the limit on
// connections, so that strangers take none of them.
type fence struct {
	net.Listener
	guard *guard.Guard
}

func (f fence) Accept() (net.Conn, error) {
	for {
		c, err := f.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if f.guard.Admits(c.RemoteAddr().String(), c.LocalAddr().String()) {
			return c, nil
		}
		_ = c.Close()
	}
}

// adminConnections is how many one listener has at the same time.
const adminConnections = 200

// serve serves routes until ctx ends.
func (p *post) serve(ctx context.Context, routes []guard.Route) error {
	s := &http.Server{
		Handler:           p.guard.Handler(routes),
		TLSConfig:         p.tls,
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 is enough
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second, // longer than a profile of 60 seconds
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.guard.Log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true, // "OPTIONS *" comes to the guard like all else
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	limited := netutil.LimitListener(fence{p.listener, p.guard}, adminConnections)
	var err error
	if p.tls != nil {
		err = s.ServeTLS(limited, "", "")
	} else {
		err = s.Serve(limited)
	}
	if err != http.ErrServerClosed {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}
