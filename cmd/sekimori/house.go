package main

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
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
	common  *common
	metrics *metrics.Metrics
	health  *health
	open    atomic.Int64  // connections
	probed  chan struct{} // closed when the MTA was asked for the first time
	every   time.Duration // between two probes
}

// newHouse makes a house that shares with those before and after it.
func newHouse(c *common, cfg config.Config, source dns.Source, log *slog.Logger) (*house, error) {
	judge, err := newFilter(cfg, source)
	if err != nil {
		return nil, err
	}
	judge.Live = c.live
	h := &house{filter: judge, common: c, metrics: c.metrics, health: c.health, probed: make(chan struct{}), every: time.Duration(cfg.Upstream.ProbeInterval)}
	h.server, err = newServer(cfg, c.acme, log, h.metrics)
	if err != nil {
		return nil, err
	}
	h.server.Spool.Budget, h.server.Spool.Disk = c.memory, c.disk
	h.countOpen()
	h.server.Check = judge.Check
	h.server.Prefetch = judge.Prefetch
	h.server.Upstream.Partial = c.partial
	h.server.Rules = judge.Effect
	h.server.ClientName = clientNames(source)
	h.server.Done = func(r filter.Record) {
		h.metrics.Done(r)
		r = c.book.masked(r)
		c.book.message(r)
		c.history.Add(r)
		c.asking.note(r, time.Now())
	}
	return h, nil
}

// countOpen keeps the number of connections, besides what the metrics count.
func (h *house) countOpen() {
	opened, closed := h.server.Events.Opened, h.server.Events.Closed
	h.server.Events.Opened = func(listener string) { h.open.Add(1); opened(listener) }
	h.server.Events.Closed = func(listener string) { closed(listener); h.open.Add(-1) }
}

// newServer builds the door, without the core behind it.
func newServer(cfg config.Config, acme *authority, log *slog.Logger, m *metrics.Metrics) (*proxy.Server, error) {
	name, err := hostname(cfg)
	if err != nil {
		return nil, err
	}
	broken := func(err error) {
		m.CertificateError()
		log.Error("the changed certificate cannot be used, the old one stays", "error", err.Error())
	}
	upstream, err := newUpstream(cfg.Upstream, name, broken)
	if err != nil {
		return nil, err
	}
	listeners, err := newListeners(cfg, acme, broken)
	if err != nil {
		return nil, err
	}
	return &proxy.Server{
		Hostname:  name,
		Upstream:  upstream,
		Listeners: listeners,
		Spool:     mail.Options{Memory: int64(cfg.Spool.Memory), Directory: cfg.Spool.Directory},
		Log:       log,
		Events: proxy.Events{
			Opened:   func(string) { m.ConnectionOpened() },
			Accepted: func(string) { m.ConnectionAccepted() },
			Limited:  func(_ string, what proxy.Limit) { m.Limited(string(what)) },
			Shed:     func(string) { m.Shed() },
			Closed:   func(string) { m.ConnectionClosed() },
			Refused:  func(_ string, why proxy.Refusal) { m.ConnectionRefused(string(why)) },
			TLS:      m.TLS,
			Upstream: func(kind proxy.Trouble) { m.UpstreamError(string(kind)) },
			Panic:    m.Panic,
		},
	}, nil
}

// probeTime is how long a new house waits for the MTA's first answer before it
// takes connections. Then it takes them without knowing what the MTA offers.
const probeTime = 3 * time.Second

func (h *house) awaitProbe(limit time.Duration) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-h.probed:
	case <-late.C:
	}
}

// run serves one door, as the configured one if there is one, until ctx ends,
// and then shuts down within the timeout. There is no file to reload.
func (h *house) run(ctx context.Context, door, admin net.Listener, timeout time.Duration, log *slog.Logger) error {
	name := "smtp"
	for one := range h.server.Listeners {
		name = one
	}
	s := &service{log: log, common: h.common, sockets: []*socket{newSocket(name, door)}}
	cfg := config.Default()
	cfg.ShutdownTimeout = config.Duration(timeout)
	if admin != nil {
		s.desk.people = newPost(admin, config.Local(admin.Addr().String()), nil)
		s.desk.set(cfg.Admin)
	}
	return s.run(ctx, cfg, h)
}
