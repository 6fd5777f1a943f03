package metrics

func operationsBoard() *board {
	b := newBoard("operations", "Operations", "Latency, DNS, the MTA, resources, and what feeds us.")
	b.row("Time")
	b.lines(12, "Time by stage, 99th percentile", "spf, dkim and iprev run side by side and wait for the dns within their time; upstream is the MTA; whole is from the final dot to the final reply.", "s", false,
		q{`max by (stage) (sekimori:stage_seconds:p99_rate5m{instance=~"$instance"})`, "{{stage}}"}).above(2.5)
	b.lines(12, "Time by stage, median", "The same for the message in the middle.", "s", false,
		q{`max by (stage) (sekimori:stage_seconds:p50_rate5m{instance=~"$instance"})`, "{{stage}}"})
	b.heat(12, "From the final dot to the final reply", "Points lead to a message by its id.", "sekimori_stage_duration_seconds", `instance=~"$instance", stage="whole"`)
	b.heat(12, "Size of messages", "All messages by their size.", "sekimori_message_size_bytes", `instance=~"$instance"`).bytes()
	b.row("DNS")
	b.lines(12, "Questions by source", "stale answers are beyond their time, because the network failed.", "reqps", true, q{by("source", "sekimori_dns_queries_total", ""), "{{source}}"})
	b.lines(12, "Cache hits by type", "Share of the questions that the cache answered.", "percentunit", false,
		q{by("type", "sekimori_dns_queries_total", `source="cache"`) + "\n/\n(" + by("type", "sekimori_dns_queries_total", "") + " > 0)", "{{type}}"})
	b.lines(8, "Failures", "Questions that the network did not answer, or that were not asked (overlimit: of one message, busy: of all).", "reqps", true,
		q{by("outcome", "sekimori_dns_queries_total", `outcome!~"found|nxdomain|nodata"`), "{{outcome}}"})
	b.lines(8, "Unanswered", "Share of the questions to the network. SekimoriDNSTrouble warns at 30 %.", "percentunit", false,
		q{`sekimori:dns_unanswered:ratio_rate5m{instance=~"$instance"}`, "{{instance}}"}).above(0.3)
	b.lines(8, "Time of an answer, 99th percentile", "Of what the cache could not answer.", "s", false,
		q{`max by (type) (sekimori:dns_seconds:p99_rate5m{instance=~"$instance"})`, "{{type}}"})
	b.lines(8, "Size of the cache", "Answers kept, by the bytes that they hold.", "bytes", false, q{query(`sekimori_dns_cache_bytes{@}`), "{{instance}}"})
	b.lines(8, "Answers in the cache", "How many are kept.", "short", false, q{query(`sekimori_dns_cache_entries{@}`), "{{instance}}"})
	b.lines(8, "Coming and going", "Answers a second that were given up for want of room, and that were renewed ahead of their end. Many evictions: give the cache more room.", "ops", false,
		q{by("instance", "sekimori_dns_cache_evictions_total", ""), "given up, {{instance}}"}, q{by("instance", "sekimori_dns_prefetches_total", ""), "renewed, {{instance}}"})
	mtaPanels(b)
	resourcePanels(b)
	feedPanels(b)
	return b
}

// bytes is for a heat map of sizes.
func (p *panel) bytes() *panel {
	p.FieldConfig.Defaults.Unit = "bytes"
	p.Options["yAxis"] = map[string]any{"axisPlacement": "left", "unit": "bytes"}
	return p
}

func mtaPanels(b *board) {
	b.row("The MTA")
	b.table(12, "Hosts of the MTA", "1 if the host answered the last probe.", "none", query(`sekimori_upstream_up{@}`)).below(1).words("answers", "down")
	b.lines(12, "Trouble with the MTA", "By kind; the log says which step failed.", "ops", true, q{by("kind", "sekimori_upstream_errors_total", ""), "{{kind}}"})
}

func resourcePanels(b *board) {
	b.row("Room")
	b.lines(8, "Memory of messages in flight", "Beyond the limit clients get 452.", "bytes", false,
		q{query(`sekimori_spool_memory_bytes{@}`), "{{instance}}"}, q{query(`sekimori_spool_memory_limit_bytes{@}`), "limit of {{instance}}"})
	b.lines(8, "Disk of messages in flight", "Beyond the limit clients get 452.", "bytes", false,
		q{query(`sekimori_spool_disk_bytes{@}`), "{{instance}}"}, q{query(`sekimori_spool_disk_limit_bytes{@}`), "limit of {{instance}}"})
	b.lines(8, "Memory of the process", "Resident, and on the heap.", "bytes", false,
		q{query(`process_resident_memory_bytes{@} and on (instance) sekimori_build_info`), "resident, {{instance}}"}, q{query(`go_memstats_heap_inuse_bytes{@} and on (instance) sekimori_build_info`), "heap, {{instance}}"})
	b.lines(8, "Turned away", "For want of room: connections, memory, spool, dns.", "ops", true, q{by("what", "sekimori_shed_total", ""), "{{what}}"})
	b.lines(8, "Held to limits", "Clients that do too much: refused by rate, or delayed in the tarpit.", "ops", true, q{by("limit", "sekimori_limited_total", ""), "{{limit}}"})
	b.lines(8, "CPU", "Seconds of CPU a second.", "none", false, q{query(`rate(process_cpu_seconds_total{@}[RANGE]) and on (instance) sekimori_build_info`), "{{instance}}"})
}

func feedPanels(b *board) {
	b.row("What feeds us, and what we keep")
	b.table(12, "Versions", "What runs where.", "none", query(`sekimori_build_info{@}`))
	b.table(12, "Certificates", "Time until each ends. SekimoriCertificateExpires warns at two weeks.", "s", query(`sekimori_certificate_expiry_timestamp_seconds{@} - time()`)).below(14 * 86400)
	b.stat("Configuration", "Age of the oldest in force.", "s", query(`time() - min(sekimori_config_loaded_timestamp_seconds{@})`))
	b.stat("Failed reloads", "Over the range.", "short", query(`sum(increase(sekimori_reloads_total{@, result="failed"}[$__range]))`), 1)
	b.stat("Bad certificates", "Changed files that could not be used, over the range.", "short", query(`sum(increase(sekimori_certificate_errors_total{@}[$__range]))`), 1)
	b.stat("History", "Whether the database answers.", "none", query(`min(sekimori_history_up{@})`)).below(1).words("answers", "down")
	b.stat("Rows that wait", "For the history's database.", "short", query(`sum(sekimori_history_queue_rows{@})`), 10000, 100000)
	b.stat("Size of the history", "What its database uses.", "bytes", query(`max(sekimori_history_size_bytes{@})`))
	b.lines(12, "Rows of the history", "written, or dropped and why.", "ops", true, q{by("result", "sekimori_history_rows_total", ""), "{{result}}"})
	b.lines(6, "Errors of its database", "The log says what they are.", "ops", false, q{by("instance", "sekimori_history_errors_total", ""), "{{instance}}"})
	b.stat("Last written", "When rows of the history were last written.", "s", query(`time() - min(sekimori_history_last_write_timestamp_seconds{@})`))
	b.table(8, "Sources", "1 if the last reading was good.", "none", query(`sekimori_source_up{@}`)).below(1).words("good", "broken")
	b.table(8, "Age of the sources", "Since each was last read well.", "s", query(`time() - sekimori_source_loaded_timestamp_seconds{@}`)).above(3600, 86400)
	b.lines(8, "What the sources hold", "Domains, or entries of a list. A sudden drop is worth a look.", "short", false, q{query(`sekimori_source_entries{@}`), "{{source}}"})
	b.lines(8, "Readings that failed", "By source.", "ops", false, q{by("source", "sekimori_source_errors_total", ""), "{{source}}"})
	b.table(8, "Outputs of the log", "1 if the output takes lines.", "none", query(`sekimori_log_up{@}`)).below(1).words("takes lines", "down")
	b.lines(8, "Lines of the log that were dropped", "By output: it was away or slow for too long.", "ops", false, q{by("output", "sekimori_log_dropped_total", ""), "{{output}}"})
}
