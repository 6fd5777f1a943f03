package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// health is what /healthz and /readyz tell.
type health struct {
	listening atomic.Bool
	upstream  atomic.Pointer[error] // of the last probe; nil before the first
	accepting func(within time.Duration) error
}

// alive is nil unless connections should be accepted and are not.
func (h *health) alive() error {
	if !h.listening.Load() {
		return nil
	}
	return h.accepting(aliveTime)
}

// aliveTime is how long nothing may be accepted before the process is called dead.
const aliveTime = 30 * time.Second

// set keeps the outcome of a probe of the MTA.
func (h *health) set(err error) { h.upstream.Store(&err) }

// ready is nil if mail would flow now.
func (h *health) ready() error {
	if !h.listening.Load() {
		return fmt.Errorf("not listening")
	}
	probe := h.upstream.Load()
	if probe == nil {
		return fmt.Errorf("the MTA was not asked yet")
	}
	if *probe != nil {
		return fmt.Errorf("the MTA does not answer: %w", *probe)
	}
	return nil
}

// watch probes the MTA at once and then every interval.
func (h *health) watch(ctx context.Context, interval time.Duration, probe func(context.Context) error, told func(error)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := probe(ctx)
		if ctx.Err() != nil {
			return
		}
		h.set(err)
		told(err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// newAdmin serves operators: /metrics, /healthz (the process lives), /readyz
// (mail would flow).
func newAdmin(h *health, metrics http.Handler) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.alive(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

// serveAdmin runs until ctx ends.
func serveAdmin(ctx context.Context, l net.Listener, s *http.Server) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); err != http.ErrServerClosed {
		return fmt.Errorf("admin listener: %w", err)
	}
	return nil
}
