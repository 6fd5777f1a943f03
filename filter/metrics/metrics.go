// Package metrics counts for Prometheus. Each message is counted once, from its
// Record, when all is over; labels come from closed sets, or from bounded sets of
// the configuration, never from the wire. Table lists all that there is.
package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sekimori/filter"
)

// Metrics are all that Sekimori exports, on a registry of their own.
type Metrics struct {
	registry *prometheus.Registry
	table    []Metric

	messages, shadow, outcomes, authors   *family[prometheus.Counter]
	spf, dkim, keys, dmarc, fails, iprev  *family[prometheus.Counter]
	dnsQueries                            *family[prometheus.Counter]
	size, check, transaction, stage       *family[prometheus.Observer]
	dnsDuration                           *family[prometheus.Observer]
	connectionsAll, limited, shed, tls    *family[prometheus.Counter]
	upstreamErrors, certificates, reloads *family[prometheus.Counter]
	panics                                *family[prometheus.Counter]
	connections, loaded, protected        prometheus.Gauge
	upstreamUp                            *prometheus.GaugeVec

	domains      *bounded[domainSeries]
	nobody       map[string]prometheus.Counter // spoofs of no protected domain
	tenants      *bounded[tenantSeries]
	nobodys      tenantSeries
	tenantShadow *family[prometheus.Counter]

	following sync.Mutex
	limit     int
	current   func() *filter.Domains
	followed  *filter.Domains
	stale     bool // the limit has changed since

	state   *stateCollector
	example example
}

const (
	defaultNames = 200 // of domains and of tenants, until the configuration says otherwise
	nativeReset  = time.Hour
)

// New makes the metrics of one process; version is that of the program.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), table: Table()}
	m.messages, m.shadow = m.counter("messages_total"), m.counter("shadow_messages_total")
	m.outcomes, m.authors = m.counter("outcomes_total"), m.counter("authors_total")
	m.spf, m.iprev = m.counter("spf_results_total"), m.counter("iprev_results_total")
	m.dkim, m.keys = m.counter("dkim_signatures_total"), m.counter("dkim_keys_total")
	m.dmarc, m.fails = m.counter("dmarc_results_total"), m.counter("dmarc_fails_total")
	m.size = m.histogram("message_size_bytes", prometheus.ExponentialBuckets(1024, 4, 9))
	m.check = m.histogram("check_duration_seconds", latencies())
	m.transaction = m.histogram("transaction_duration_seconds", prometheus.ExponentialBuckets(0.002, 3, 12))
	m.stage = m.histogram("stage_duration_seconds", latencies())
	m.dnsQueries, m.dnsDuration = m.counter("dns_queries_total"), m.histogram("dns_duration_seconds", latencies())
	m.connections, m.connectionsAll = m.gauge("connections"), m.counter("connections_total")
	m.limited, m.shed, m.tls = m.counter("limited_total"), m.counter("shed_total"), m.counter("tls_connections_total")
	m.upstreamErrors, m.upstreamUp = m.counter("upstream_errors_total"), m.gauges("upstream_up")
	m.certificates, m.reloads = m.counter("certificate_errors_total"), m.counter("reloads_total")
	m.panics, m.loaded = m.counter("panics_total"), m.gauge("config_loaded_timestamp_seconds")
	m.protected = m.gauge("protected_domains")
	m.setUpNames()
	m.setUpState()
	m.gauges("build_info").WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// latencies are buckets with the objectives of the rules among them: 0.25, 1, 2.5
// and 10 seconds.
func latencies() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
}

func (m *Metrics) setUpState() {
	var rows []Metric
	for _, name := range []string{
		"spool_memory_bytes", "spool_memory_limit_bytes", "spool_disk_bytes", "spool_disk_limit_bytes",
		"certificate_expiry_timestamp_seconds",
		"source_up", "source_loaded_timestamp_seconds", "source_entries", "source_errors_total",
		"dns_cache_entries", "dns_cache_bytes", "dns_cache_evictions_total", "dns_prefetches_total",
		"history_up", "history_queue_rows", "history_errors_total", "history_rows_total",
		"history_last_write_timestamp_seconds", "history_size_bytes",
		"log_up", "log_dropped_total",
	} {
		rows = append(rows, m.row(name))
	}
	m.state = newStateCollector(rows...)
	m.registry.MustRegister(m.state)
}

// Handler serves the text format, OpenMetrics and protobuf.
func (m *Metrics) Handler() http.Handler {
	page := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 8,
		Timeout:             10 * time.Second,
		ErrorHandling:       promhttp.ContinueOnError,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.follow()
		page.ServeHTTP(w, r)
	})
}

// ConnectionOpened counts a client connection that is there.
func (m *Metrics) ConnectionOpened() { m.connections.Inc() }

// ConnectionAccepted counts a client connection that is greeted.
func (m *Metrics) ConnectionAccepted() { m.connectionsAll.at("accepted").Inc() }

// Limited counts what a client was held to within a connection; what is of the
// door's closed set.
func (m *Metrics) Limited(what string) { m.limited.at(what).Inc() }

// ConnectionClosed ends what ConnectionOpened began.
func (m *Metrics) ConnectionClosed() { m.connections.Dec() }

// ConnectionRefused counts a client connection that is turned away; why is of
// the door's closed set.
func (m *Metrics) ConnectionRefused(why string) {
	m.connectionsAll.at("refused_" + why).Inc()
	if why == "total" {
		m.shed.at("connections").Inc()
	}
}

// Shed counts a message that was turned away at MAIL for want of memory.
func (m *Metrics) Shed() { m.shed.at("memory").Inc() }

// TLS counts a client's handshake.
func (m *Metrics) TLS(version string) { m.tls.at(version).Inc() }

// UpstreamError counts trouble with the MTA; kind is of the door's closed set.
func (m *Metrics) UpstreamError(kind string) { m.upstreamErrors.at(kind).Inc() }

// Upstreams forgets the hosts of the MTA that there were: others are configured.
func (m *Metrics) Upstreams() { m.upstreamUp.Reset() }

// UpstreamUp keeps the outcome of the last probe of a host of the MTA; address is
// of the configuration.
func (m *Metrics) UpstreamUp(address string, up bool) {
	m.upstreamUp.WithLabelValues(address).Set(truth(up))
}

// Panic counts a fault of ours that the door contained.
func (m *Metrics) Panic() { m.panics.at().Inc() }

// CertificateError counts a changed certificate that could not be used.
func (m *Metrics) CertificateError() { m.certificates.at().Inc() }

// Reloaded counts an attempt to read the configuration again.
func (m *Metrics) Reloaded(ok bool) {
	result := "ok"
	if !ok {
		result = "failed"
	}
	m.reloads.at(result).Inc()
}

// Loaded keeps when the configuration in force was read.
func (m *Metrics) Loaded(at time.Time) { m.loaded.Set(seconds(at)) }

// seconds is Unix time, for people.
func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }
