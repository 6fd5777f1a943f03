package config

import (
	"slices"
	"strings"
	"time"
)

// Upstream is the table [upstream].
type Upstream struct {
	// Host and port of the MTA, or the path of its unix socket. It must take us
	// for a relay and must not be the listener itself. Where the MTA runs on
	// several hosts, leave this out and write a table [[upstream.server]] for each.
	// Example: "unix:/run/dovecot/lmtp"
	// Default: "127.0.0.1:10025".
	Address string `toml:"address" check:"dial"`

	// What the MTA speaks: "smtp", or "lmtp" (RFC 2033). An LMTP server answers
	// for each recipient by itself after the message. Where its answers differ,
	// the client is told 451 and has to send again, to each recipient in a message
	// of its own: who has the message gets no second copy, as we remember it (for
	// 5 days, 10000 recipients, until we are restarted).
	// Default: "smtp". One of: "smtp", "lmtp".
	Protocol string `toml:"protocol" oneof:"smtp|lmtp"`

	// How the MTA learns who the client is, so that its own rules and its log are
	// about the client and not about us. "xclient" and "xforward" are Postfix's
	// commands (smtpd_authorized_xclient_hosts, smtpd_authorized_xforward_hosts):
	// an MTA that does not offer the command gets no mail. "auto" takes the first
	// of the two that is offered, or neither. "proxy" sends a header of the PROXY
	// protocol, version 2, which the MTA must expect (smtpd_upstream_proxy_protocol
	// = haproxy). "received" does nothing of this. A Received field of ours names
	// the client in any case. With "auto" and "received" the MTA must trust nobody
	// for our address: every client would be trusted.
	// Default: "auto". One of: "auto", "xclient", "xforward", "proxy", "received".
	ForwardClient string `toml:"forward_client" oneof:"auto|xclient|xforward|proxy|received"`

	// TLS to the MTA: "none"; "opportunistic" (STARTTLS if it is offered, any
	// certificate); "required" (STARTTLS or nothing, any certificate); "verified"
	// (STARTTLS with a certificate that is valid for tls_name). Only with
	// "verified" is REQUIRETLS offered to clients (RFC 8689).
	// Default: "none". One of: "none", "opportunistic", "required", "verified".
	TLS string `toml:"tls" oneof:"none|opportunistic|required|verified"`

	// Name that is asked for (SNI) and that the certificate must bear. "" takes
	// the host of address.
	// Default: "".
	TLSName string `toml:"tls_name" check:"host" empty:"ok"`

	// File with the authorities that may sign the MTA's certificate, PEM; only
	// with tls = "verified". "" takes those of the operating system.
	// Default: "".
	TLSCA string `toml:"tls_ca" check:"path" empty:"ok"`

	// File with the certificate and its chain, PEM, by which the MTA knows us. It
	// and tls_key are read again when they change. Both "" means none.
	// Default: "".
	TLSCertificate string `toml:"tls_certificate" check:"path" empty:"ok"`

	// File with the certificate's private key, PEM.
	// Default: "".
	TLSKey string `toml:"tls_key" check:"path" empty:"ok"`

	// How long a connection to the MTA may take to be made.
	// Default: "10s". Limits: "100ms" to "5m".
	ConnectTimeout Duration `toml:"connect_timeout" min:"100ms" max:"5m"`

	// How long the MTA may take to answer a command. RFC 5321 section 4.5.3.2
	// wants 5 minutes.
	// Default: "5m". Limits: "1s" to "1h".
	CommandTimeout Duration `toml:"command_timeout" min:"1s" max:"1h"`

	// How long the MTA may take to answer after the whole message. RFC 5321
	// section 4.5.3.2.6 wants 10 minutes; a shorter time makes duplicates, for
	// an MTA that is late may still deliver what the client sends again.
	// Default: "10m". Limits: "1s" to "1h".
	DataTimeout Duration `toml:"data_timeout" min:"1s" max:"1h"`

	// How often each host is asked whether it is there and what it offers:
	// connect, EHLO, NOOP, QUIT. Clients are offered what all hosts offer.
	// Default: "10s". Limits: "1s" to "1h".
	ProbeInterval Duration `toml:"probe_interval" min:"1s" max:"1h"`

	// Connections in a row that a host does not answer before it is left alone.
	// When all are left alone, clients are told 451 4.4.1 at once.
	// Default: 3. Limits: 1 to 100.
	MaxFailures int `toml:"max_failures" min:"1" max:"100"`

	// How long a host that failed so often is left alone. Then one client tries
	// it, and the others follow if it answers.
	// Default: "1s". Limits: "100ms" to "1h".
	RetryAfter Duration `toml:"retry_after" min:"100ms" max:"1h"`

	// Connections to each host that wait for the next client. Only those wait on
	// which nothing was refused; with forward_client = "proxy" none does. 0 closes
	// each with its client.
	// Default: 10. Limits: 0 to 1000.
	MaxIdle int `toml:"max_idle" min:"0" max:"1000"`

	// How long a connection waits before it is closed. It must be less than the
	// MTA waits for a command.
	// Default: "30s". Limits: "1s" to "10m".
	IdleTimeout Duration `toml:"idle_timeout" min:"1s" max:"10m"`

	// How old a connection may be for the next client to use it.
	// Default: "10m". Limits: "1s" to "1d".
	MaxAge Duration `toml:"max_age" min:"1s" max:"1d"`

	// How many messages may have been begun on a connection for the next client
	// to use it.
	// Default: 100. Limits: 1 to 100000.
	MaxMessages int `toml:"max_messages" min:"1" max:"100000"`

	// Where the MTA runs on several hosts, one table for each, in place of address.
	Servers []Server `toml:"server"`
}

// Server is one table [[upstream.server]].
type Server struct {
	// As upstream.address.
	// Required.
	Address string `toml:"address" check:"dial" required:"yes" example:"\"192.0.2.10:25\""`

	// Hosts with the lowest number are asked first, those with a higher one only
	// when none of these can be reached, as with MX records.
	// Default: 0. Limits: 0 to 65535.
	Priority int `toml:"priority" min:"0" max:"65535" example:"10"`

	// Share of the mail among hosts of the same priority.
	// Default: 1. Limits: 1 to 1000.
	Weight int `toml:"weight" min:"1" max:"1000" example:"2"`
}

// defaultUpstream is what holds where [upstream] says nothing.
func defaultUpstream() Upstream {
	return Upstream{
		Address:        "127.0.0.1:10025",
		Protocol:       "smtp",
		ForwardClient:  "auto",
		TLS:            "none",
		ConnectTimeout: Duration(10 * time.Second),
		CommandTimeout: Duration(5 * time.Minute),
		DataTimeout:    Duration(10 * time.Minute),
		ProbeInterval:  Duration(10 * time.Second),
		MaxFailures:    3,
		RetryAfter:     Duration(time.Second),
		MaxIdle:        10,
		IdleTimeout:    Duration(30 * time.Second),
		MaxAge:         Duration(10 * time.Minute),
		MaxMessages:    100,
	}
}

// Hosts are all hosts of the MTA.
func (u Upstream) Hosts() []Server {
	if len(u.Servers) == 0 {
		return []Server{{Address: u.Address, Weight: 1}}
	}
	return u.Servers
}

// At is the same MTA, at one other address.
func (u Upstream) At(address string) Upstream {
	u.Address, u.Servers = address, nil
	return u
}

// hostKey is the key of a host's address.
func (u Upstream) hostKey(i int) string {
	if len(u.Servers) == 0 {
		return "upstream.address"
	}
	return tablePath("upstream.server", i) + ".address"
}

func upstreamConflicts(u Upstream, add func(bad bool, key, other, message string)) {
	add(u.TLSName != "" && u.TLS == "none", "upstream.tls_name", "upstream.tls", `does nothing with upstream.tls = "none"`)
	add(u.TLSCA != "" && u.TLS != "verified", "upstream.tls_ca", "upstream.tls", `does nothing unless upstream.tls = "verified"`)
	add(u.TLSCertificate != "" && u.TLS == "none", "upstream.tls_certificate", "upstream.tls", `does nothing with upstream.tls = "none"`)
	add(u.TLSCertificate != "" && u.TLSKey == "", "upstream.tls_certificate", "upstream.tls_key", "needs upstream.tls_key")
	add(u.TLSKey != "" && u.TLSCertificate == "", "upstream.tls_key", "upstream.tls_certificate", "needs upstream.tls_certificate")
	add(len(u.Servers) > 0 && u.Address != defaultUpstream().Address, "upstream.address", "upstream.server", "does nothing beside tables [[upstream.server]]")
	seen := map[string]bool{}
	for i, h := range u.Hosts() {
		add(seen[h.Address], u.hostKey(i), "upstream.server", "stands here a second time: raise its weight instead")
		seen[h.Address] = true
	}
	local := slices.ContainsFunc(u.Hosts(), func(h Server) bool { return strings.HasPrefix(h.Address, "unix:") })
	add(local && u.TLS == "verified" && u.TLSName == "", "upstream.tls", "upstream.tls_name", "\"verified\" needs upstream.tls_name: a unix socket has no name to verify")
}
