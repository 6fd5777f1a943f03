// Package metrics counts for Prometheus. Each message is counted once, from its
// Record, when all is over; labels come from closed sets only, never from the
// wire.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sekimori/filter"
)

// Metrics are all that Sekimori exports, on a registry of their own.
type Metrics struct {
	registry *prometheus.Registry

	messages    *prometheus.CounterVec
	shadow      *prometheus.CounterVec
	outcomes    *prometheus.CounterVec
	authors     *prometheus.CounterVec
	spf         *prometheus.CounterVec
	dkim        *prometheus.CounterVec
	dmarc       *prometheus.CounterVec
	iprev       *prometheus.CounterVec
	panics      prometheus.Counter
	size        prometheus.Histogram
	check       prometheus.Histogram
	transaction prometheus.Histogram
	dnsQueries  *prometheus.CounterVec
	dnsDuration *prometheus.HistogramVec

	connections    prometheus.Gauge
	connectionsAll *prometheus.CounterVec
	limited        *prometheus.CounterVec
	tls            *prometheus.CounterVec
	upstreamErrors *prometheus.CounterVec
	upstreamUp     *prometheus.GaugeVec
	certificate    prometheus.Counter
	reloads        *prometheus.CounterVec
	loaded         prometheus.Gauge
}

// New makes the metrics of one process; version is that of the program.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.messages = m.counters("messages_total", "Messages judged, by what was done and why.", "action", "reason")
	m.shadow = m.counters("shadow_messages_total", "Messages let through in shadow mode, by what would have been done and why.", "action", "reason")
	m.outcomes = m.counters("outcomes_total", "Transactions that reached DATA, by how they ended.", "outcome")
	m.authors = m.counters("authors_total", "Messages judged, by what From gives: domain, none, multiple, malformed.", "status")
	m.spf = m.counters("spf_results_total", "SPF results by identity (helo, mailfrom).", "identity", "result")
	m.dkim = m.counters("dkim_signatures_total", "DKIM signatures by result and algorithm; result none counts messages without any.", "result", "algorithm")
	m.dmarc = m.counters("dmarc_results_total", "DMARC results by the policy in force and the disposition.", "result", "policy", "disposition")
	m.iprev = m.counters("iprev_results_total", "Results of the reverse name check, where it is on.", "result")
	m.panics = m.counter("panics_total", "Faults of our own; each deferred a message or ended a connection.")
	m.size = m.histogram("message_size_bytes", "Size of the messages received.", prometheus.ExponentialBuckets(1024, 4, 9))
	m.check = m.histogram("check_duration_seconds", "Time from the final dot to the verdict.", latencies())
	m.transaction = m.histogram("transaction_duration_seconds", "Time from MAIL to the final reply.", prometheus.ExponentialBuckets(0.002, 3, 12))
	m.dnsQueries = m.counters("dns_queries_total", "Questions to the DNS by type, outcome and where the answer came from (network, cache, stale).", "type", "outcome", "source")
	m.dnsDuration = m.histograms("dns_duration_seconds", "Time of the questions that the cache could not answer.", latencies(), "type")
	m.connections = m.gauge("connections", "Client connections open now.")
	m.connectionsAll = m.counters("connections_total", "Client connections by what became of them at the start.", "result")
	m.limited = m.counters("limited_total", "Commands that were refused or delayed because the client does too much, by the limit (message_rate, recipient_rate, tarpit).", "limit")
	m.tls = m.counters("tls_connections_total", "Client connections protected by TLS, by version.", "version")
	m.upstreamErrors = m.counters("upstream_errors_total", "Trouble with the MTA by kind.", "kind")
	m.upstreamUp = m.gauges("upstream_up", "1 if the host of the MTA answered the last probe.", "upstream")
	m.certificate = m.counter("certificate_errors_total", "Changed certificate files that could not be read; the old one stayed in use.")
	m.reloads = m.counters("reloads_total", "Reloads of the configuration by result: ok, failed.", "result")
	m.loaded = m.gauge("config_loaded_timestamp_seconds", "When the configuration in force was read, in Unix time.")
	m.build(version)
	return m
}

func latencies() []float64 { return prometheus.ExponentialBuckets(0.0005, 2.5, 13) }

const namespace = "sekimori"

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(histogramOpts(name, help, buckets))
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(histogramOpts(name, help, buckets), labels)
	m.registry.MustRegister(h)
	return h
}

// histogramOpts makes classic buckets and native ones side by side.
func histogramOpts(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func (m *Metrics) build(version string) {
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels tell the build."},
		[]string{"version", "goversion"})
	info.WithLabelValues(version, runtime.Version()).Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Handler serves the text format, OpenMetrics and protobuf.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry:            m.registry,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 8,
		Timeout:             10 * time.Second,
		ErrorHandling:       promhttp.ContinueOnError,
	})
}

// Done counts one message.
func (m *Metrics) Done(r filter.Record) {
	m.outcomes.WithLabelValues(string(r.Outcome)).Inc()
	m.transaction.Observe(r.Total.Seconds())
	if r.Size > 0 {
		m.size.Observe(float64(r.Size))
	}
	if !r.Judged {
		return
	}
	m.check.Observe(r.Check.Seconds())
	m.verdict(r.Verdict)
	m.results(r.Verdict)
	m.dns(r.Verdict.Results)
}

func (m *Metrics) verdict(v filter.Verdict) {
	m.messages.WithLabelValues(v.Enforced().String(), string(v.Reason)).Inc()
	if v.Shadow {
		m.shadow.WithLabelValues(v.Action.String(), string(v.Reason)).Inc()
	}
	if v.Fault != "" {
		m.panics.Inc()
	}
}

func (m *Metrics) results(v filter.Verdict) {
	r := v.Results
	if r.Author.Status != "" {
		m.authors.WithLabelValues(string(r.Author.Status)).Inc()
	}
	if !r.Checked {
		return
	}
	m.spf.WithLabelValues("mailfrom", string(r.SPF.MailFrom.Word)).Inc()
	m.spf.WithLabelValues("helo", string(r.SPF.Helo.Word)).Inc()
	if len(r.DKIM) == 0 {
		m.dkim.WithLabelValues("none", "none").Inc()
	}
	for _, d := range r.DKIM {
		m.dkim.WithLabelValues(string(d.Word), or(d.Algorithm, "unknown")).Inc()
	}
	m.dmarc.WithLabelValues(string(r.DMARC.Word), or(string(r.DMARC.Effective), "none"), v.Enforced().String()).Inc()
	if r.IPRev.Word != "none" {
		m.iprev.WithLabelValues(string(r.IPRev.Word)).Inc()
	}
}

func (m *Metrics) dns(r filter.Results) {
	for _, e := range r.DNS {
		source := e.Source()
		if source == "network" {
			m.dnsDuration.WithLabelValues(string(e.Question.Type)).Observe(e.Took.Seconds())
		}
		m.dnsQueries.WithLabelValues(string(e.Question.Type), string(e.Answer.Outcome), source).Inc()
	}
}

// ConnectionOpened counts a client connection that is there.
func (m *Metrics) ConnectionOpened() { m.connections.Inc() }

// ConnectionAccepted counts a client connection that is greeted.
func (m *Metrics) ConnectionAccepted() { m.connectionsAll.WithLabelValues("accepted").Inc() }

// Limited counts what a client was held to within a connection; what is of the
// door's closed set.
func (m *Metrics) Limited(what string) { m.limited.WithLabelValues(what).Inc() }

// ConnectionClosed ends what ConnectionOpened began.
func (m *Metrics) ConnectionClosed() { m.connections.Dec() }

// ConnectionRefused counts a client connection that is turned away; why is of
// the door's closed set.
func (m *Metrics) ConnectionRefused(why string) {
	m.connectionsAll.WithLabelValues("refused_" + why).Inc()
}

// TLS counts a client's handshake.
func (m *Metrics) TLS(version string) { m.tls.WithLabelValues(version).Inc() }

// UpstreamError counts trouble with the MTA; kind is of the door's closed set.
func (m *Metrics) UpstreamError(kind string) { m.upstreamErrors.WithLabelValues(kind).Inc() }

// Upstreams forgets the hosts of the MTA that there were: others are configured.
func (m *Metrics) Upstreams() { m.upstreamUp.Reset() }

// UpstreamUp keeps the outcome of the last probe of a host of the MTA; address is
// of the configuration.
func (m *Metrics) UpstreamUp(address string, up bool) {
	g := m.upstreamUp.WithLabelValues(address)
	g.Set(0)
	if up {
		g.Set(1)
	}
}

// Panic counts a fault of ours that the door contained.
func (m *Metrics) Panic() { m.panics.Inc() }

// CertificateError counts a changed certificate that could not be used.
func (m *Metrics) CertificateError() { m.certificate.Inc() }

// Reloaded counts an attempt to read the configuration again.
func (m *Metrics) Reloaded(ok bool) {
	result := "ok"
	if !ok {
		result = "failed"
	}
	m.reloads.WithLabelValues(result).Inc()
}

// Loaded keeps when the configuration in force was read.
func (m *Metrics) Loaded(at time.Time) { m.loaded.Set(float64(at.UnixMilli()) / 1000) }

// Spool tells where to find how much messages hold of memory and disk. It is
// called once.
func (m *Metrics) Spool(memory, disk func() int64) {
	m.registry.MustRegister(
		gaugeOf("spool_memory_bytes", "Memory that messages in flight hold.", memory),
		gaugeOf("spool_disk_bytes", "Bytes of messages in flight in temporary files.", disk))
}

func gaugeOf(name, help string, value func() int64) prometheus.GaugeFunc {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help},
		func() float64 { return float64(value()) })
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
