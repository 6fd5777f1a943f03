package main

import (
	"context"
	"fmt"
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

// page answers with a word, or with 503 and why; in brief without the why,
// which names the MTA.
func page(word string, state func() error, brief bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		err := state()
		switch {
		case err == nil:
			fmt.Fprintln(w, word)
		case brief:
			http.Error(w, "not "+word, http.StatusServiceUnavailable)
		default:
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
}
