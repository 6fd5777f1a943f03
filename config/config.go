// Package config is the file that an operator writes. A file of TOML 1.0 goes
// in, a Config comes out, or an Error that lists all problems with their places.
//
// The comments of the fields below are the manual: the sample file prints them
// word for word. The last sentence of each, with the default and the limits, is
// held against the field's tags by a test.
//
// Tags: toml is the key, min and max bound numbers, durations and sizes, oneof
// lists the allowed words, check names a form that text must have (see
// checkText), empty:"ok" allows "" in spite of check, required marks what has no
// default, and example is what the sample has of a key without one.
package config

import "net/netip"

// Config is the whole file. Every key may be left out.
type Config struct {
	// Our SMTP name: in the greeting, in EHLO to the MTA and in trace fields
	// (RFC 5321 section 4.1.2). A fully qualified domain name that has an address
	// record; an internationalized name as A-labels. "" takes the name of the
	// operating system.
	// Default: "".
	Hostname string `toml:"hostname" check:"fqdn" empty:"ok"`

	// The authserv-id of the Authentication-Results fields that we write, and
	// that we drop as forged when they are received (RFC 8601 sections 2.5 and 5).
	// One word without spaces, the same on all hosts of one mail system, best its
	// domain name. "" takes the hostname.
	// Default: "".
	AuthservID string `toml:"authserv_id" check:"token" empty:"ok"`

	// Further authserv-ids that are ours: of earlier days, of other hosts.
	// Received Authentication-Results with one of them are dropped as forged
	// too (RFC 8601 section 5). Example: ["mx1.example.com", "mx2.example.com"]
	// Default: [].
	AuthservIDAliases []string `toml:"authserv_id_aliases" check:"token"`

	// Clients for which nothing is enforced, as networks or addresses: our own
	// submission hosts, a backup MX. Their mail is accepted whatever the checks
	// say, unless a CR or LF in it stands alone; forged header fields are dropped
	// all the same.
	// Example: ["192.0.2.0/24", "2001:db8::25"]
	// Default: [].
	TrustedNetworks []netip.Prefix `toml:"trusted_networks"`

	// Relays of ours that clients reach first, as networks or addresses: a
	// gateway, a scanner, a backup MX. SPF and the reverse name are evaluated for
	// the client before them, which is taken from the Received fields that they
	// wrote: the topmost, and the next below it as long as one names a trusted
	// relay again. All further down is written by strangers and not believed. So
	// each relay must write a Received field with its client's address, as
	// Postfix, Exim, Exchange, Sendmail and qmail do; where it cannot be told, SPF
	// is none ("behind a relay") and decides nothing. Networks that are trusted
	// ones too are accepted unchecked.
	// Example: ["192.0.2.25", "2001:db8:25::/64"]
	// Default: [].
	TrustedRelays []netip.Prefix `toml:"trusted_relays"`

	// Received fields that relays write on every message at the least, whomever
	// they name. 1 is right where all relays stand in trusted_relays. More is for
	// relays whose inner addresses nobody knows, and lets a forger write one if a
	// message can ever come through fewer.
	// Default: 1. Limits: 1 to 10.
	TrustedRelayHops int `toml:"trusted_relay_hops" min:"1" max:"10"`

	// How long messages in flight may take to finish after SIGTERM. What is not
	// finished by then is cut off; its clients will send it again.
	// Default: "30s". Limits: "0s" to "1h".
	ShutdownTimeout Duration `toml:"shutdown_timeout" min:"0s" max:"1h"`

	// The front door, where clients deliver their mail. Several of them, each with
	// keys of its own: write [[listener]] for each. One may be written [listener].
	Listeners []Listener `toml:"listener"`

	// Certificates from an authority that speaks ACME (RFC 8555), for listeners
	// without tls_certificate.
	ACME ACME `toml:"acme"`

	// Where a message is kept while it is judged.
	Spool Spool `toml:"spool"`

	// The MTA behind us, which gets what passes.
	Upstream Upstream `toml:"upstream"`

	// Where and how we ask the DNS.
	DNS DNS `toml:"dns"`

	// Recipients whose mail is judged in different ways.
	Recipients Recipients `toml:"recipients"`

	// What is done about which finding.
	Policy Policy `toml:"policy"`

	// Recipients with a policy of their own, a customer's or a department's: one
	// [[tenant]] for each, 10000 at most. All others have that of [policy].
	Tenants []Tenant `toml:"tenant"`

	// Domains in whose name nobody else may write: your customers' and your own.
	Protected Protected `toml:"protected"`

	// Allow and block lists in files.
	Lists Lists `toml:"lists"`

	// The console for people and /metrics, /healthz, /readyz for machines: all of it
	// read-only.
	Admin Admin `toml:"admin"`

	// How much /metrics tells apart.
	Metrics Metrics `toml:"metrics"`

	// What became of each message, for the console. It holds addresses of people
	// as far as log.personal lets it. It is off where neither path nor url is set.
	History History `toml:"history"`

	// The log: JSON, one line a message and one for what happens to the program.
	// deploy/log.md tells its fields.
	Log Log `toml:"log"`
}

// Spool is the table [spool].
type Spool struct {
	// Bytes of one message that are kept in memory. A larger message goes on in
	// a temporary file without a name, which is gone with the process.
	// Default: "256KiB". Limits: "4KiB" to "64MiB".
	Memory Size `toml:"memory" min:"4KiB" max:"64MiB"`

	// Bytes of all messages together that are kept in memory. When they get
	// short, messages go to files earlier; when there is nothing left, clients
	// get 452 4.3.1 and keep their mail. A connection that brings a message needs
	// 16 KiB at least.
	// Default: "256MiB". Limits: "1MiB" to "1024GiB".
	MemoryTotal Size `toml:"memory_total" min:"1MiB" max:"1024GiB"`

	// Bytes of all temporary files together. What goes beyond is answered
	// 452 4.3.1, before the disk is full.
	// Default: "8GiB". Limits: "1MiB" to "1024GiB".
	DiskTotal Size `toml:"disk_total" min:"1MiB" max:"1024GiB"`

	// Directory of the temporary files. When it is full, clients get 452 4.3.1
	// and keep their mail. "" takes that of the operating system: $TMPDIR, else
	// /tmp.
	// Default: "".
	Directory string `toml:"directory" check:"path" empty:"ok"`
}
