package metrics

import "strings"

// The dashboards.

// query writes out what is short in a text: @ is the chosen instances, RANGE what
// a rate is taken over.
func query(text string) string {
	return strings.NewReplacer("@", `instance=~"$instance"`, "RANGE", "$__rate_interval").Replace(text)
}

func boards() map[string]*board {
	return map[string]*board{
		"overview":       overviewBoard(),
		"spoofing":       spoofingBoard(),
		"authentication": authenticationBoard(),
		"operations":     operationsBoard(),
		"slo":            sloBoard(),
	}
}

// by is a rate by labels.
func by(labels, metric, matchers string) string {
	if matchers != "" {
		matchers = ", " + matchers
	}
	return query("sum by (" + labels + ") (rate(" + metric + "{@" + matchers + "}[RANGE]))")
}

func overviewBoard() *board {
	b := newBoard("overview", "Overview", "Is mail flowing, what is refused, are we healthy?", "tenant")
	b.row("Now")
	b.stat("Instances", "Instances of Sekimori that answer Prometheus.", "none", query(`count(sekimori_build_info{@})`)).below(1)
	b.stat("MTA", "The worst of the MTA's hosts, as last probed.", "none", query(`min(sekimori_upstream_up{@})`)).below(1).words("answers", "down")
	b.stat("Messages", "Messages judged, over the range.", "short", query(`sum(increase(sekimori_messages_total{@}[$__range]))`))
	b.stat("Rejected", "Share of all messages that was rejected, over the range.", "percentunit",
		query(`sum(increase(sekimori_messages_total{@, action="reject"}[$__range])) / (sum(increase(sekimori_messages_total{@}[$__range])) > 0)`))
	b.stat("Spoofs of our domains", "Messages in the name of a protected domain without anything to show for it, over the range.", "short",
		query(`sum(increase(sekimori_spoofs_total{@, technique="own_domain"}[$__range]))`), 100, 1000)
	b.stat("Faults of ours", "Panics over the range. Each has its stack in the log.", "short", query(`sum(increase(sekimori_panics_total{@}[$__range]))`), 1)
	b.row("Mail")
	b.lines(12, "What was done", "Messages a second by action. In shadow mode all is accepted; the graph below it tells what would have been done.", "mps", true,
		q{by("action", "sekimori_messages_total", ""), "{{action}}"})
	b.lines(12, "How transactions ended", "Transactions that reached DATA. delivered is by the MTA's own 250, upstream_refused by its own refusal.", "mps", true,
		q{by("outcome", "sekimori_outcomes_total", ""), "{{outcome}}"})
	b.lines(12, "Why not accepted", "Messages a second that were rejected, quarantined, tagged or deferred, by reason.", "mps", true,
		q{by("reason", "sekimori_messages_total", `action!="accept"`) + " > 0", "{{reason}}"})
	b.lines(12, "What shadow mode would do", "What would have been done to messages that were let through.", "mps", true,
		q{by("action", "sekimori_shadow_messages_total", `action!="accept"`), "{{action}}"})
	b.row("Tenants")
	b.lines(12, "Messages by tenant", "Messages to recipients of each tenant; none is everybody else.", "mps", true,
		q{by("tenant", "sekimori_tenant_messages_total", `tenant=~"$tenant"`), "{{tenant}}"})
	b.table(12, "What shadow mode would do, by tenant", "Messages over the range that would have been rejected, quarantined, tagged or deferred.", "short",
		query(`sum by (tenant, action, reason) (increase(sekimori_tenant_shadow_messages_total{@, tenant=~"$tenant"}[$__range]))`))
	b.row("Clients")
	b.lines(12, "Connections", "New connections a second: accepted, or why not.", "cps", true, q{by("result", "sekimori_connections_total", ""), "{{result}}"})
	b.lines(6, "Open connections", "Connections that are open now.", "short", true, q{query(`sum by (instance) (sekimori_connections{@})`), "{{instance}}"})
	b.lines(6, "TLS", "Handshakes a second by version.", "cps", true, q{by("version", "sekimori_tls_connections_total", ""), "{{version}}"})
	return b
}

func spoofingBoard() *board {
	b := newBoard("spoofing", "Spoofing", "Who is being impersonated, by what technique, from when, and what was done about it?", "domain")
	one := `domain=~"$domain"`
	b.row("Now")
	b.stat("Protected domains", "Domains of which each message must prove that it is theirs.", "short", query(`max(sekimori_protected_domains{@})`))
	b.stat("Under attack", "Chosen domains with a spoof in the last 15 minutes.", "short",
		query(`count(sum by (domain) (increase(sekimori_spoofs_total{@, domain!~"none|other", `+one+`}[15m])) > 0) or vector(0)`), 1, 10)
	b.stat("Spoofs", "Attempts of every technique over the range, of chosen domains.", "short", query(`sum(increase(sekimori_spoofs_total{@, `+one+`}[$__range]))`))
	b.stat("Accepted", "Messages in the name of a chosen domain that were accepted or tagged over the range.", "short",
		query(`sum(increase(sekimori_domain_messages_total{@, `+one+`, action=~"accept|tag"}[$__range]))`))
	b.stat("Rejected", "Messages in the name of a chosen domain that were rejected over the range.", "short",
		query(`sum(increase(sekimori_domain_messages_total{@, `+one+`, action="reject"}[$__range]))`))
	b.stat("DMARC passes", "Share of the mail in the name of chosen domains that DMARC passes, over the range.", "percentunit",
		query(`sum(increase(sekimori_domain_dmarc_results_total{@, `+one+`, result="pass"}[$__range])) / (sum(increase(sekimori_domain_dmarc_results_total{@, `+one+`}[$__range])) > 0)`)).below(0.9)
	b.row("Attempts")
	b.lines(24, "Attempts by technique", "unaligned has papers of somebody else than its author (lists and forwarders are among these), no_papers none at all, "+
		"own_domain takes a domain that we protect, malformed_author has a From field that programs read differently, forged_results brings results that it says are ours. "+
		"Points lead to a message by its id.", "mps", true, q{by("technique", "sekimori_spoofs_total", one), "{{technique}}"}).exemplars()
	b.lines(12, "Attempts by domain", "Spoofs of each protected domain; none is domains that are not protected.", "mps", true,
		q{by("domain", "sekimori_spoofs_total", one), "{{domain}}"}).exemplars()
	b.lines(12, "What was done in their name", "Messages in the name of chosen domains, by action.", "mps", true,
		q{by("action", "sekimori_domain_messages_total", one), "{{action}}"})
	b.lines(12, "DMARC in their name", "Passing mail that becomes less is a sender that broke; failing mail that becomes more is an attack.", "mps", false,
		q{by("result", "sekimori_domain_dmarc_results_total", one), "{{result}}"})
	b.lines(12, "Share that passes, by domain", "Of the last hour; the alert SekimoriPassRateDropped holds it against the day before.", "percentunit", false,
		q{`sekimori:domain_pass:ratio_rate1h{domain=~"$domain"}`, "{{domain}}"})
	t := b.table(24, "Who is impersonated", "Attempts over the range. A domain leads to its page in the console.", "short",
		query(`sum by (domain, technique) (increase(sekimori_spoofs_total{@, `+one+`}[$__range])) > 0`))
	t.FieldConfig.Defaults.Links = []link{{Title: "The domain in the console", URL: "${console}/domains/${__data.fields.domain}", TargetBlank: true}}
	b.lines(12, "Authors", "What From gives: one domain, none, several, or nothing that can be read in one way only.", "mps", true,
		q{by("status", "sekimori_authors_total", ""), "{{status}}"})
	b.lines(12, "Failures by published policy", "Messages that fail DMARC, by what the author's domain publishes. none only watches: its owner lets spoofs through.", "mps", true,
		q{by("published", "sekimori_dmarc_fails_total", ""), "{{published}}"})
	return b
}

func authenticationBoard() *board {
	b := newBoard("authentication", "Authentication", "SPF, DKIM and DMARC over time.")
	b.row("DMARC")
	b.lines(12, "DMARC results", "Messages a second by result.", "mps", true, q{by("result", "sekimori_dmarc_results_total", ""), "{{result}}"})
	b.lines(12, "Failures by policy and what was done", "The policy in force, after t=y, and the action.", "mps", true,
		q{by("policy, disposition", "sekimori_dmarc_results_total", `result="fail"`), "{{policy}}: {{disposition}}"})
	b.row("SPF")
	b.lines(12, "SPF of MAIL FROM", "Results a second.", "mps", true, q{by("result", "sekimori_spf_results_total", `identity="mailfrom"`), "{{result}}"})
	b.lines(12, "SPF of HELO", "Results a second. HELO decides only for the null sender.", "mps", true, q{by("result", "sekimori_spf_results_total", `identity="helo"`), "{{result}}"})
	b.row("DKIM")
	b.lines(12, "DKIM results", "Signatures a second; none counts messages without any.", "ops", true, q{by("result", "sekimori_dkim_signatures_total", ""), "{{result}}"})
	b.lines(12, "Signature algorithms", "rsa-sha1 never passes (RFC 8301).", "ops", true, q{by("algorithm", "sekimori_dkim_signatures_total", `algorithm!="none"`), "{{algorithm}}"})
	b.lines(12, "Key sizes", "Keys of the signatures. rsa_under_1024 is never valid, below rsa_2048 is weak (RFC 8301).", "ops", true, q{by("size", "sekimori_dkim_keys_total", ""), "{{size}}"})
	b.lines(12, "Weak keys", "Share of the signatures whose key is below 2048 bits of RSA.", "percentunit", false,
		q{by("instance", "sekimori_dkim_keys_total", `size=~"rsa_under_1024|rsa_1024|rsa_under_2048"`) + "\n/\n(" + by("instance", "sekimori_dkim_keys_total", "") + " > 0)", "{{instance}}"})
	b.row("The client's name")
	b.lines(24, "Reverse name (iprev)", "Whether the client's address and its name agree; where the check is on.", "mps", true, q{by("result", "sekimori_iprev_results_total", ""), "{{result}}"})
	return b
}

func sloBoard() *board {
	b := newBoard("slo", "SLO", "Objectives: 99 of 100 messages are judged within 2.5 seconds of their end, and 999 of 1000 are not put off for a fault of ours or of the MTA.")
	b.row("Objectives")
	b.stat("Slow, 3 days", "Share of messages that waited for more than 2.5 s for their verdict. The objective is 1 %.", "percentunit", `max(sekimori:slow:ratio_rate3d)`, 0.005, 0.01)
	b.stat("Slow, 1 hour", "The same of the last hour.", "percentunit", `max(sekimori:slow:ratio_rate1h)`, 0.01, 0.144)
	b.stat("Budget left, slow", "What is left of the 1 % if the next weeks are as the last 3 days.", "percentunit", `1 - max(sekimori:slow:ratio_rate3d) / 0.01`).below(0)
	b.stat("Put off, 3 days", "Share of transactions that ended as upstream_failed or failed. The objective is 0.1 %.", "percentunit", `max(sekimori:put_off:ratio_rate3d)`, 0.0005, 0.001)
	b.stat("Put off, 1 hour", "The same of the last hour.", "percentunit", `max(sekimori:put_off:ratio_rate1h)`, 0.001, 0.0144)
	b.stat("Budget left, put off", "What is left of the 0.1 % if the next weeks are as the last 3 days.", "percentunit", `1 - max(sekimori:put_off:ratio_rate3d) / 0.001`).below(0)
	b.row("Burn")
	b.lines(12, "Slow messages: burn rate", "How many times faster than allowed the budget is used. SekimoriSlowFast pages at 14.4 over 5 minutes and 1 hour, or at 6 over 30 minutes and 6 hours.", "none", false,
		q{`max(sekimori:slow:ratio_rate5m) / 0.01`, "5 minutes"}, q{`max(sekimori:slow:ratio_rate1h) / 0.01`, "1 hour"}, q{`max(sekimori:slow:ratio_rate6h) / 0.01`, "6 hours"}).above(6, 14.4)
	b.lines(12, "Put off: burn rate", "The same for messages that were put off.", "none", false,
		q{`max(sekimori:put_off:ratio_rate5m) / 0.001`, "5 minutes"}, q{`max(sekimori:put_off:ratio_rate1h) / 0.001`, "1 hour"}, q{`max(sekimori:put_off:ratio_rate6h) / 0.001`, "6 hours"}).above(6, 14.4)
	b.row("Time")
	b.heat(12, "From the final dot to the verdict", "All messages by the time they waited for the verdict. Points lead to a message by its id.", "sekimori_check_duration_seconds", `instance=~"$instance"`)
	b.heat(12, "From MAIL to the final reply", "The whole transaction, with the client's own slowness and the MTA's.", "sekimori_transaction_duration_seconds", `instance=~"$instance"`)
	return b
}
