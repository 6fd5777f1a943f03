package metrics

import (
	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// The closed sets that labels come from. Where the words are those of another
// package, a test holds the list against its constants.

// Label values beside the words of a set.
const (
	none  = "none"
	other = "other" // what is beyond a set, or beyond the bound of a configured one
)

func words[T ~string](all ...T) []string {
	texts := make([]string, len(all))
	for i, w := range all {
		texts[i] = string(w)
	}
	return texts
}

func actions() []string {
	var all []string
	for _, a := range []filter.Action{filter.Defer, filter.Accept, filter.Tag, filter.Quarantine, filter.Reject} {
		all = append(all, a.String())
	}
	return all
}

func reasons() []string { return words(filter.Reasons()...) }

func techniques() []string { return words(filter.Techniques()[1:]...) } // none is not counted

func outcomes() []string {
	return words(filter.Delivered, filter.Rejected, filter.Deferred, filter.UpstreamRefused,
		filter.UpstreamFailed, filter.ClientLost, filter.Refused, filter.Failed)
}

func authors() []string {
	return words(mail.AuthorDomain, mail.AuthorNone, mail.AuthorMultiple, mail.AuthorMalformed)
}

func spfResults() []string {
	return words(spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.TempError, spf.PermError)
}

func dkimResults() []string {
	return words(dkim.None, dkim.Pass, dkim.Fail, dkim.Policy, dkim.Neutral, dkim.TempError, dkim.PermError)
}

func algorithms() []string {
	return []string{"rsa-sha256", "ed25519-sha256", "rsa-sha1", none, "unknown"}
}

// sizes are classes of keys by RFC 8301 section 3.2: RSA below 1024 bits is never
// valid, below 2048 it should not be used for signing.
func sizes() []string {
	return []string{"rsa_under_1024", "rsa_1024", "rsa_under_2048", "rsa_2048", "rsa_over_2048", "ed25519"}
}

func size(d dkim.Result) string {
	switch {
	case d.Algorithm == "ed25519-sha256":
		return "ed25519"
	case d.KeyBits < 1024:
		return "rsa_under_1024"
	case d.KeyBits == 1024:
		return "rsa_1024"
	case d.KeyBits < 2048:
		return "rsa_under_2048"
	case d.KeyBits == 2048:
		return "rsa_2048"
	}
	return "rsa_over_2048"
}

func dmarcResults() []string {
	return words(dmarc.None, dmarc.Pass, dmarc.Fail, dmarc.TempError, dmarc.PermError)
}

func policies() []string {
	return words(dmarc.PolicyNone, dmarc.PolicyQuarantine, dmarc.PolicyReject)
}

func iprevResults() []string {
	return words(iprev.Pass, iprev.Fail, iprev.TempError, iprev.PermError)
}

// dnsTypes are those that judging asks for.
func dnsTypes() []string { return words(dns.A, dns.AAAA, dns.MX, dns.PTR, dns.TXT) }

func dnsOutcomes() []string {
	return words(dns.Found, dns.NXDomain, dns.NoData, dns.ServFail, dns.Refused, dns.Timeout,
		dns.Malformed, dns.OverLimit, dns.Busy)
}

func dnsSources() []string { return []string{"network", "cache", "stale"} }

// stages are the parts of the time that a message takes; whole is what the
// client waits for after its final dot.
func stages() []string {
	return []string{"spf", "dkim", "dmarc", "iprev", "dns", "upstream", "whole"}
}

// connections are what becomes of one at its start, as the door calls it.
func connections() []string {
	return []string{"accepted", "refused_total", "refused_per_client", "refused_rate", "refused_proxy_header",
		"refused_proxy_forged", "refused_tls", "refused_early_talker", "refused_left", "refused_shutdown"}
}

func limits() []string { return []string{"message_rate", "recipient_rate", "tarpit"} }

func troubles() []string {
	return []string{"connect", "greeting", "tls", "timeout", "lost", "protocol", "forward", "open"}
}

func tlsVersions() []string { return []string{"TLS1.2", "TLS1.3"} }

// sheds are what work is turned away for that we have no room for.
func sheds() []string { return []string{"connections", "memory", "spool", "dns"} }

// causes are those of the history for a row that it dropped.
func causes() []string { return []string{"queue_full", "unfit", "ended"} }
