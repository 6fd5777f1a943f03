package main

import (
	"net/http"
	"net/http/pprof"
	"slices"

	"sekimori/filter/guard"
)

// machineRoutes are all pages of the listener for machines. Its probes may come
// from anywhere, so they say no more than one word.
func (s *service) machineRoutes() []guard.Route {
	return []guard.Route{
		{Path: "/metrics", For: guard.Machines, Handler: s.common.metrics.Handler()},
		{Path: "/healthz", For: guard.Anybody, Handler: page("ok", s.common.health.alive, true)},
		{Path: "/readyz", For: guard.Anybody, Handler: page("ready", s.common.health.ready, true)},
	}
}

// peopleRoutes are all pages of the admin listener.
func (s *service) peopleRoutes() []guard.Route {
	return slices.Concat([]guard.Route{
		{Path: "/metrics", For: guard.Machines, Handler: s.common.metrics.Handler()},
		{Path: "/healthz", For: guard.Probes, Handler: page("ok", s.common.health.alive, false)},
		{Path: "/readyz", For: guard.Probes, Handler: page("ready", s.common.health.ready, false)},
	}, s.consoleRoutes(), s.pprofRoutes())
}

// pprofRoutes are there only while admin.pprof is true.
func (s *service) pprofRoutes() []guard.Route {
	var all []guard.Route
	for path, h := range map[string]http.HandlerFunc{
		"/debug/pprof/":        pprof.Index,
		"/debug/pprof/cmdline": pprof.Cmdline,
		"/debug/pprof/profile": pprof.Profile,
		"/debug/pprof/symbol":  pprof.Symbol,
		"/debug/pprof/trace":   pprof.Trace,
	} {
		all = append(all, guard.Route{Path: path, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.pprof.Load() {
				http.Error(w, "switched off; admin.pprof = true switches it on", http.StatusNotFound)
				return
			}
			h(w, r)
		})})
	}
	return all
}
