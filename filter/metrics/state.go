package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sekimori/filter/dns"
)

// State is what is not counted here but asked for whenever somebody scrapes.
// Each function may be nil and may be called at any time, by several.
type State struct {
	Memory, MemoryLimit func() int64 // bytes that messages hold, and may hold
	Disk, DiskLimit     func() int64
	Certificates        func() map[string]time.Time // when each ends, by its file or its name
	Sources             func() []Source
	History             func() History
	Logs                func() []Log
	Cache               func() (s dns.Stats, ok bool) // of the DNS; not ok: there is none
}

// Source is one source of protected domains or of lists.
type Source struct {
	Name    string // of the configuration
	Up      bool   // the last reading was good
	Loaded  time.Time
	Entries int
	Errors  uint64
}

// Log is one output of the log.
type Log struct {
	Output  string // of the configuration
	Up      bool
	Dropped uint64
}

// History is the state of the verdict rows.
type History struct {
	Up      bool // the database answers, or there is none to answer
	Queued  int
	Written uint64
	Dropped map[string]uint64 // by cause
	Errors  uint64

	LastWrite time.Time // zero if never
	Size      int64     // bytes that the database uses; 0 if nobody looked yet
}

// Show replaces what is asked for.
func (m *Metrics) Show(s State) { m.state.state.Store(&s) }

// stateCollector asks the State.
type stateCollector struct {
	state atomic.Pointer[State]
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
}

func newStateCollector(rows ...Metric) *stateCollector {
	c := &stateCollector{descs: map[string]*prometheus.Desc{}, kinds: map[string]prometheus.ValueType{}}
	for _, r := range rows {
		c.descs[r.Name] = prometheus.NewDesc(r.Name, r.Help, r.names(), nil)
		c.kinds[r.Name] = prometheus.GaugeValue
		if r.Kind == Counter {
			c.kinds[r.Name] = prometheus.CounterValue
		}
	}
	c.state.Store(&State{})
	return c
}

// Describe is for the registry.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect is for the registry.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.state.Load()
	send := func(name string, value float64, labels ...string) {
		name = namespace + name
		ch <- prometheus.MustNewConstMetric(c.descs[name], c.kinds[name], value, labels...)
	}
	for name, value := range map[string]func() int64{
		"spool_memory_bytes": s.Memory, "spool_memory_limit_bytes": s.MemoryLimit,
		"spool_disk_bytes": s.Disk, "spool_disk_limit_bytes": s.DiskLimit,
	} {
		if value != nil {
			send(name, float64(value()))
		}
	}
	if s.Certificates != nil {
		for name, ends := range s.Certificates() {
			send("certificate_expiry_timestamp_seconds", seconds(ends), name)
		}
	}
	if s.Cache != nil {
		if stats, ok := s.Cache(); ok {
			sendCache(stats, send)
		}
	}
	if s.Sources != nil {
		for _, one := range s.Sources() {
			one.send(send)
		}
	}
	if s.Logs != nil {
		for _, one := range s.Logs() {
			send("log_up", truth(one.Up), one.Output)
			send("log_dropped_total", float64(one.Dropped), one.Output)
		}
	}
	if s.History != nil {
		s.History().send(send)
	}
}

func sendCache(s dns.Stats, send func(string, float64, ...string)) {
	send("dns_cache_entries", float64(s.Entries))
	send("dns_cache_bytes", float64(s.Bytes))
	send("dns_cache_evictions_total", float64(s.Evictions))
	send("dns_prefetches_total", float64(s.Prefetches))
}

func (s Source) send(send func(string, float64, ...string)) {
	send("source_up", truth(s.Up), s.Name)
	send("source_entries", float64(s.Entries), s.Name)
	send("source_errors_total", float64(s.Errors), s.Name)
	if !s.Loaded.IsZero() {
		send("source_loaded_timestamp_seconds", seconds(s.Loaded), s.Name)
	}
}

func (h History) send(send func(string, float64, ...string)) {
	send("history_up", truth(h.Up))
	send("history_queue_rows", float64(h.Queued))
	send("history_errors_total", float64(h.Errors))
	send("history_size_bytes", float64(h.Size))
	if !h.LastWrite.IsZero() {
		send("history_last_write_timestamp_seconds", seconds(h.LastWrite))
	}
	send("history_rows_total", float64(h.Written), "written")
	for _, cause := range causes() {
		send("history_rows_total", float64(h.Dropped[cause]), cause)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
