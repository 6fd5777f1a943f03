package metrics

import "strings"

// Kind is the type of a metric.
type Kind string

// The kinds. A histogram has classic buckets and native ones side by side.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Label is one label of a metric.
type Label struct {
	Name   string
	Values []string // the closed set; nil: names of the configuration, bounded
}

// Metric is one row of the table: all that is exported under our name. The
// README's table is made from it, and the dashboards and rules are held against
// it.
type Metric struct {
	Name   string // whole, with the namespace
	Kind   Kind
	Labels []Label
	Help   string
}

// String is the row in the README.
func (m Metric) String() string {
	var labels []string
	for _, l := range m.Labels {
		labels = append(labels, l.Name)
	}
	help := m.Help
	if m.Kind == Histogram {
		help = "histogram: " + help
	}
	return "| `" + m.Name + "` | " + strings.Join(labels, ", ") + " | " + help + " |"
}

const namespace = "sekimori_"

// Table lists every metric but go_* and process_*, which the Go library adds.
func Table() []Metric {
	var all []Metric
	for _, part := range [][]Metric{messageTable(), nameTable(), dnsTable(), doorTable(), houseTable()} {
		for _, m := range part {
			m.Name = namespace + m.Name
			all = append(all, m)
		}
	}
	return all
}

func messageTable() []Metric {
	return []Metric{
		{"messages_total", Counter, []Label{{"action", actions()}, {"reason", reasons()}}, "messages judged, by what was done and why"},
		{"shadow_messages_total", Counter, []Label{{"action", actions()}, {"reason", reasons()}}, "in shadow mode: what would have been done and why"},
		{"outcomes_total", Counter, []Label{{"outcome", outcomes()}}, "how transactions that reached DATA ended: delivered, rejected, deferred, upstream_refused, upstream_failed, client_lost, refused, failed"},
		{"authors_total", Counter, []Label{{"status", authors()}}, "what From gives: domain, none, multiple, malformed"},
		{"spf_results_total", Counter, []Label{{"identity", []string{"mailfrom", "helo"}}, {"result", spfResults()}}, "identity: mailfrom, helo"},
		{"dkim_signatures_total", Counter, []Label{{"result", dkimResults()}, {"algorithm", algorithms()}}, "one a signature; `none` for messages without any"},
		{"dkim_keys_total", Counter, []Label{{"size", sizes()}}, "one a signature whose key was seen. Weak are rsa_under_1024, never valid by RFC 8301, and what is below rsa_2048"},
		{"dmarc_results_total", Counter, []Label{{"result", dmarcResults()}, {"policy", policies()}, {"disposition", actions()}}, "policy: that in force; disposition: what was done"},
		{"dmarc_fails_total", Counter, []Label{{"published", policies()}}, "failed, by the policy that the author's domain publishes, before `t=y`"},
		{"iprev_results_total", Counter, []Label{{"result", iprevResults()}}, "where `policy.iprev.enabled`"},
		{"message_size_bytes", Histogram, nil, "size of the messages received"},
		{"check_duration_seconds", Histogram, nil, "from the final dot to the verdict"},
		{"transaction_duration_seconds", Histogram, nil, "from MAIL to the final reply"},
		{"stage_duration_seconds", Histogram, []Label{{"stage", stages()}}, "spf, dkim, dmarc, iprev and the dns below them, partly side by side; upstream: the MTA has the message; whole: from the final dot to the final reply"},
	}
}

// nameTable has what is told by names of the configuration.
func nameTable() []Metric {
	return []Metric{
		{"spoofs_total", Counter, []Label{{"technique", techniques()}, {"domain", nil}}, "messages that are not what they claim: unaligned (papers of somebody else: lists and forwarders too), no_papers, own_domain, malformed_author, forged_results. domain: the protected one, else `none`"},
		{"domain_messages_total", Counter, []Label{{"domain", nil}, {"action", actions()}}, "messages in the name of a protected domain, by what was done"},
		{"domain_dmarc_results_total", Counter, []Label{{"domain", nil}, {"result", dmarcResults()}}, "messages whose From names a protected domain or one below it, by what DMARC says"},
		{"tenant_messages_total", Counter, []Label{{"tenant", nil}, {"action", actions()}}, "messages to a tenant, `none` if to nobody's; one with recipients of several counts for each"},
		{"tenant_shadow_messages_total", Counter, []Label{{"tenant", nil}, {"action", actions()}, {"reason", reasons()}}, "the same in shadow mode: what would have been done; appears with the first"},
	}
}

func dnsTable() []Metric {
	return []Metric{
		{"dns_queries_total", Counter, []Label{{"type", dnsTypes()}, {"outcome", dnsOutcomes()}, {"source", dnsSources()}}, "source: network, cache, stale (beyond its time, because the network failed)"},
		{"dns_duration_seconds", Histogram, []Label{{"type", dnsTypes()}}, "of what the cache could not answer"},
		{"dns_cache_entries", Gauge, nil, "answers in the cache"},
		{"dns_cache_bytes", Gauge, nil, "memory that they take, with what was read in them, of `dns.cache_memory`"},
		{"dns_cache_evictions_total", Counter, nil, "answers that had to go before their time, for lack of room"},
		{"dns_prefetches_total", Counter, nil, "answers in demand that were asked for again before their end"},
	}
}

func doorTable() []Metric {
	return []Metric{
		{"connections", Gauge, nil, "open now"},
		{"connections_total", Counter, []Label{{"result", connections()}}, "accepted, or why not"},
		{"limited_total", Counter, []Label{{"limit", limits()}}, "message_rate, recipient_rate: refused; tarpit: delayed"},
		{"shed_total", Counter, []Label{{"what", sheds()}}, "turned away for want of room: connections (`max_connections`), memory and spool (452 4.3.1), dns (too many questions under way: deferred)"},
		{"tls_connections_total", Counter, []Label{{"version", tlsVersions()}}, "TLS1.2, TLS1.3"},
		{"upstream_errors_total", Counter, []Label{{"kind", troubles()}}, "trouble with the MTA: connect, greeting, tls, timeout, lost, protocol, forward (it does not take what it is told of the client), open (no host has answered lately)"},
		{"upstream_up", Gauge, []Label{{"upstream", nil}}, "1 if this host of the MTA answered the last probe"},
		{"certificate_errors_total", Counter, nil, "changed certificates that could not be read"},
		{"certificate_expiry_timestamp_seconds", Gauge, []Label{{"certificate", nil}}, "when it ends; certificate: its file, or the name that ACME got it for"},
	}
}

func houseTable() []Metric {
	return []Metric{
		{"panics_total", Counter, nil, "faults of ours; each deferred a message or ended a connection"},
		{"spool_memory_bytes", Gauge, nil, "held by messages in flight"},
		{"spool_memory_limit_bytes", Gauge, nil, "`spool.memory_total`"},
		{"spool_disk_bytes", Gauge, nil, "the same on disk"},
		{"spool_disk_limit_bytes", Gauge, nil, "`spool.disk_total`"},
		{"reloads_total", Counter, []Label{{"result", []string{"ok", "failed"}}}, "of the configuration"},
		{"config_loaded_timestamp_seconds", Gauge, nil, "when the configuration in force was read"},
		{"protected_domains", Gauge, nil, "domains that are protected"},
		{"source_up", Gauge, []Label{{"source", nil}}, "1 if the last reading of this source was good; what it had stays where not"},
		{"source_loaded_timestamp_seconds", Gauge, []Label{{"source", nil}}, "when it was last read well"},
		{"source_entries", Gauge, []Label{{"source", nil}}, "what it holds: domains, or entries of a list"},
		{"source_errors_total", Counter, []Label{{"source", nil}}, "readings that failed"},
		{"history_rows_total", Counter, []Label{{"result", append([]string{"written"}, causes()...)}}, "rows written, or dropped and why"},
		{"history_queue_rows", Gauge, nil, "rows that wait to be written"},
		{"history_errors_total", Counter, nil, "errors of the database"},
		{"history_up", Gauge, nil, "1 if the database answers, or no history is kept"},
		{"history_last_write_timestamp_seconds", Gauge, nil, "when rows were last written; appears with the first"},
		{"history_size_bytes", Gauge, nil, "that the database uses for all of them, looked at once a minute"},
		{"log_up", Gauge, []Label{{"output", nil}}, "1 if this output of the log takes lines, or has had none to take"},
		{"log_dropped_total", Counter, []Label{{"output", nil}}, "lines that found no room because the output is slow or gone"},
		{"build_info", Gauge, []Label{{"version", nil}, {"goversion", nil}}, "always 1"},
	}
}
