package config

import (
	"net/netip"
	"slices"
	"strings"
)

// Listener is a table [[listener]].
type Listener struct {
	// What records and events call it, and what a socket that systemd hands over
	// is known by. Each listener has another one. "" takes the address.
	// Default: "".
	Name string `toml:"name" check:"name" empty:"ok"`

	// Address and port to listen on, or the path of a unix socket. ":25" is port
	// 25 on all addresses, IPv4 and IPv6; port 0 is any free port. Clients on a
	// unix socket have no address, so that their SPF result is "none".
	// Example: "unix:/run/sekimori/smtp.sock"
	// Default: ":25".
	Address string `toml:"address" check:"listen"`

	// Permissions of a unix socket, octal. A client needs the right to write.
	// Default: "0660".
	SocketMode string `toml:"socket_mode" check:"mode"`

	// Connections at the same time. One more is answered 421.
	// Default: 1000. Limits: 1 to 100000.
	MaxConnections int `toml:"max_connections" min:"1" max:"100000"`

	// Connections at the same time from one client: an IPv4 address or an IPv6
	// /64. One more is answered 421.
	// Default: 20. Limits: 1 to 100000.
	MaxConnectionsPerClient int `toml:"max_connections_per_client" min:"1" max:"100000"`

	// Connections that one client, as above, may make within a time: "60/m" is 60
	// at once and then one each second. Times are "s", "m", "h", "d". One more is
	// answered 421. "0" switches this off.
	// Default: "0".
	ConnectionRate string `toml:"connection_rate" check:"rate"`

	// Messages that one client may begin within a time. One more is answered 450
	// at MAIL. "0" switches this off.
	// Default: "0".
	MessageRate string `toml:"message_rate" check:"rate"`

	// Recipients that one client may ask for within a time, whether the MTA knows
	// them or not. One more is answered 450 at RCPT. "0" switches this off.
	// Default: "0".
	RecipientRate string `toml:"recipient_rate" check:"rate"`

	// Clients for which the rates, greet_delay and the tarpit do not hold.
	// Example: ["192.0.2.0/24", "2001:db8::25"]
	// Default: [].
	Exempt []netip.Prefix `toml:"exempt"`

	// Size of a message with its header, announced by SIZE (RFC 1870). A larger
	// one is refused with 552 5.3.4. Not more than the MTA's own limit is of use.
	// RFC 5321 section 4.5.3.1.7 wants 64 KiB at least.
	// Default: "50MiB". Limits: "64KiB" to "1GiB".
	MaxMessageSize Size `toml:"max_message_size" min:"64KiB" max:"1GiB"`

	// Recipients of one message. One more is answered 452 4.5.3, and the client
	// sends again for the rest. RFC 5321 section 4.5.3.1.8 wants 100 at least;
	// fewer make honest clients send the same message several times.
	// Default: 100. Limits: 1 to 10000.
	MaxRecipients int `toml:"max_recipients" min:"1" max:"10000"`

	// What becomes of a message in which a CR or LF stands alone (RFC 5321 section
	// 2.3.8): "reject" answers 550 5.6.11; "normalize" makes each of them CRLF
	// before DKIM is verified, and sends the message on so, for old programs in
	// your own network. A signature over other line ends then fails.
	// Default: "reject". One of: "reject", "normalize".
	BareNewlines string `toml:"bare_newlines" oneof:"reject|normalize"`

	// How long a client may be silent between commands before it gets 421. RFC
	// 5321 section 4.5.3.2.7 wants 5 minutes at least.
	// Default: "5m". Limits: "1s" to "1h".
	CommandTimeout Duration `toml:"command_timeout" min:"1s" max:"1h"`

	// How long a client may be silent within a message. The time starts anew
	// with each byte that comes; min_data_rate bounds the whole. RFC 5321 section
	// 4.5.3.2.5 lets clients take 3 minutes for a block.
	// Default: "3m". Limits: "1s" to "1h".
	DataTimeout Duration `toml:"data_timeout" min:"1s" max:"1h"`

	// Bytes a second that a client must send within a message, on average over
	// one minute. A slower one is cut off: it only holds a connection. "0B"
	// switches this off.
	// Default: "64B". Limits: "0B" to "1MiB".
	MinDataRate Size `toml:"min_data_rate" min:"0B" max:"1MiB"`

	// Commands of one connection that end in an error before it gets 421: refused
	// senders and recipients, a second MAIL. Unknown commands end a
	// connection much earlier.
	// Default: 20. Limits: 1 to 10000.
	MaxErrors int `toml:"max_errors" min:"1" max:"10000"`

	// Such errors after which each further refusal waits for tarpit_delay. 0
	// switches this off.
	// Default: 0. Limits: 0 to 10000.
	TarpitAfter int `toml:"tarpit_after" min:"0" max:"10000"`

	// How long a refusal then waits.
	// Default: "5s". Limits: "100ms" to "2m".
	TarpitDelay Duration `toml:"tarpit_delay" min:"100ms" max:"2m"`

	// Connections that may wait so at the same time. Others are answered at once.
	// Default: 100. Limits: 1 to 100000.
	TarpitConnections int `toml:"tarpit_connections" min:"1" max:"100000"`

	// How long a client waits for our greeting. One that speaks before it (RFC
	// 5321 section 3.1) gets 554: that is what programs do that only send spam.
	// "0s" switches this off.
	// Default: "0s". Limits: "0s" to "1m".
	GreetDelay Duration `toml:"greet_delay" min:"0s" max:"1m"`

	// TLS to clients: "none"; "starttls" (RFC 3207), offered where there is a
	// certificate; "implicit", from the first byte on (RFC 8314).
	// Default: "starttls". One of: "none", "starttls", "implicit".
	TLS string `toml:"tls" oneof:"none|starttls|implicit"`

	// File with our certificate and its chain, PEM. It and tls_key are read
	// again when they change. Both "" means that of [acme], or none.
	// Default: "".
	TLSCertificate string `toml:"tls_certificate" check:"path" empty:"ok"`

	// File with the certificate's private key, PEM.
	// Default: "".
	TLSKey string `toml:"tls_key" check:"path" empty:"ok"`

	// The oldest version of TLS that is spoken. Older than 1.2 is forbidden by
	// RFC 8996.
	// Default: "1.2". One of: "1.2", "1.3".
	TLSMinVersion string `toml:"tls_min_version" oneof:"1.2|1.3"`

	// File with authorities, PEM. Clients are asked for a certificate; what they
	// show is written to the log with whether one of these has signed it, and
	// decides nothing. "" asks for none.
	// Default: "".
	TLSClientCA string `toml:"tls_client_ca" check:"path" empty:"ok"`

	// The PROXY protocol, versions 1 and 2, for load balancers before us.
	ProxyProtocol ProxyProtocol `toml:"proxy_protocol"`
}

// ProxyProtocol is the table [listener.proxy_protocol].
type ProxyProtocol struct {
	// Balancers: from them a PROXY header is required, and who it names is the
	// client. A header from anybody else ends the connection. A balancer's own
	// connections (LOCAL, UNKNOWN) may say all but MAIL.
	// Example: ["192.0.2.10", "2001:db8:1::/64"]
	// Default: [].
	Trusted []netip.Prefix `toml:"trusted"`

	// A PROXY header is required from all peers; only on a unix socket, where they
	// have no address.
	// Default: false.
	Unix bool `toml:"unix"`

	// How long a balancer may take to send its header.
	// Default: "5s". Limits: "100ms" to "1m".
	Timeout Duration `toml:"timeout" min:"100ms" max:"1m"`
}

// ACME is the table [acme].
type ACME struct {
	// Names for which certificates are had. The first is shown to clients that ask
	// for none or for another. [] switches ACME off. By naming them you accept the
	// terms of the authority.
	// Example: ["mx.example.com"]
	// Default: [].
	Domains []string `toml:"domains" check:"fqdn"`

	// Directory for keys and certificates, which only we may read. It is made if
	// it is not there.
	// Default: "/var/lib/sekimori/acme".
	Cache string `toml:"cache" check:"path"`

	// Where the authority may write to about trouble. "" gives none.
	// Default: "".
	Email string `toml:"email" check:"email" empty:"ok"`

	// The authority's directory.
	// Default: "https://acme-v02.api.letsencrypt.org/directory".
	Directory string `toml:"directory" check:"url"`

	// File with the authorities that may sign the directory's own certificate,
	// PEM; for an ACME server of your own. "" takes those of the operating system.
	// Default: "".
	DirectoryCA string `toml:"directory_ca" check:"path" empty:"ok"`

	// Where the authority finds the answers to its challenges by HTTP-01, which
	// it asks for on port 80 of each domain. "" switches this off. A try by
	// TLS-ALPN-01 goes before it even if nobody listens for that.
	// Default: ":80".
	HTTPAddress string `toml:"http_address" check:"listen" empty:"ok"`

	// The same by TLS-ALPN-01 (RFC 8737), which it asks for on port 443. ""
	// switches this off.
	// Default: "".
	TLSAddress string `toml:"tls_address" check:"listen" empty:"ok"`
}

// Label is what the listener is called.
func (l Listener) Label() string {
	if l.Name != "" {
		return l.Name
	}
	return l.Address
}

// ListenerKey is the whole key of the i-th listener, from 0, as Problems name it.
func ListenerKey(i int, key string) string { return tablePath("listener", i) + "." + key }

// UsesACME tells whether the listener's certificate is that of [acme].
func (l Listener) UsesACME(a ACME) bool {
	return len(a.Domains) > 0 && l.TLS != "none" && l.TLSCertificate == ""
}

// listenerConflicts holds the listeners against each other and the rest.
func listenerConflicts(c *Config, add func(bad bool, key, other, message string)) {
	add(len(c.Listeners) == 0, "listener", "", "there must be one at least")
	for i, l := range c.Listeners {
		at := tablePath("listener", i)
		ownConflicts(l, l.UsesACME(c.ACME), at, add)
		for j, h := range c.Upstream.Hosts() {
			add(meet(l.Address, h.Address) || l.Address == h.Address && strings.HasPrefix(h.Address, "unix:"), c.Upstream.hostKey(j), at+".address",
				"is "+at+".address, so that mail would go in circles")
		}
		add(meet(l.Address, c.Admin.Address), "admin.address", at+".address", "is taken by "+at+".address")
		add(meet(l.Address, c.Admin.MetricsAddress), "admin.metrics_address", at+".address", "is taken by "+at+".address")
		for j, other := range c.Listeners[:i] {
			first := tablePath("listener", j)
			add(meet(l.Address, other.Address) || l.Address == other.Address && !anyPort(l.Address), at+".address", first+".address", "is taken by "+first+".address")
			add(l.Label() == other.Label() && l.Name != "", at+".name", first+".name", "is that of "+first)
		}
	}
	a := c.ACME
	add(len(a.Domains) > 0 && a.HTTPAddress == "" && a.TLSAddress == "", "acme.http_address", "acme.domains",
		"or acme.tls_address is needed, or no challenge can be answered")
	add(len(a.Domains) > 0 && !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.UsesACME(a) }), "acme.domains", "listener.tls_certificate",
		"is of no use: every listener has a certificate of its own or no TLS")
}

// ownConflicts holds the keys of one listener against each other.
func ownConflicts(l Listener, acme bool, at string, add func(bad bool, key, other, message string)) {
	network, _ := Network(l.Address)
	cert, key, mode := at+".tls_certificate", at+".tls_key", at+".tls"
	add(l.TLSCertificate != "" && l.TLSKey == "", cert, key, "needs "+key)
	add(l.TLSKey != "" && l.TLSCertificate == "", key, cert, "needs "+cert)
	add(l.TLSCertificate != "" && l.TLS == "none", cert, mode, `does nothing with `+mode+` = "none"`)
	add(l.TLS == "implicit" && l.TLSCertificate == "" && !acme, mode, cert, "needs "+cert+" or acme.domains")
	add(l.TLSClientCA != "" && (l.TLS == "none" || l.TLSCertificate == "" && !acme), at+".tls_client_ca", cert, "does nothing without TLS")
	add(l.ProxyProtocol.Unix && network != "unix", at+".proxy_protocol.unix", at+".address", "is for unix sockets: name the balancers in proxy_protocol.trusted")
	add(len(l.ProxyProtocol.Trusted) > 0 && network == "unix", at+".proxy_protocol.trusted", at+".address", "does nothing on a unix socket: set proxy_protocol.unix")
}

// anyPort tells whether the system chooses the port, for each listener another.
func anyPort(address string) bool { return strings.HasSuffix(address, ":0") }
