package config

import "time"

// Default is what holds where a file says nothing.
func Default() Config {
	return Config{
		ShutdownTimeout:  Duration(30 * time.Second),
		TrustedRelayHops: 1,
		Listeners:        []Listener{defaultListener()},
		ACME: ACME{
			Cache:       "/var/lib/sekimori/acme",
			Directory:   "https://acme-v02.api.letsencrypt.org/directory",
			HTTPAddress: ":80",
		},
		Spool:      Spool{Memory: 256 << 10, MemoryTotal: 256 << 20, DiskTotal: 8 << 30},
		Upstream:   defaultUpstream(),
		DNS:        defaultDNS(),
		Recipients: Recipients{Mixed: "split"},
		Policy:     defaultPolicy(),
		Protected:  defaultProtected(),
		Lists:      Lists{MaxEntries: 10000, MaxTotal: 1000000, Interval: Duration(30 * time.Second)},
		Admin:      defaultAdmin(),
		Metrics:    Metrics{MaxDomains: 200, MaxTenants: 200},
		History:    defaultHistory(),
		Log:        defaultLog(),
	}
}

func defaultPolicy() Policy {
	return Policy{
		Mode:            "enforce",
		Author:          "reject",
		MalformedHeader: "reject",
		DMARC:           DMARC{Reject: "corroborated", Quarantine: "quarantine", TempError: "accept"},
		SPF:             SPF{Fail: "quarantine", MaxVoidLookups: 2},
		DKIM:            DKIM{MaxSignatures: 10, MinRSABits: 1024},
		Spoof:           "reject",
		Block:           "reject",
		Unauthenticated: "accept",
		Language:        "en",
		IPRev:           IPRev{Fail: "accept"},
		Sender:          Sender{Missing: "accept", NullMX: "accept"},
	}
}

// defaultListener is what holds where a [[listener]] says nothing.
func defaultListener() Listener {
	return Listener{
		Address:                 ":25",
		SocketMode:              "0660",
		MaxConnections:          1000,
		MaxConnectionsPerClient: 20,
		ConnectionRate:          "0",
		MessageRate:             "0",
		RecipientRate:           "0",
		MaxMessageSize:          50 << 20,
		MaxRecipients:           100,
		BareNewlines:            "reject",
		CommandTimeout:          Duration(5 * time.Minute),
		DataTimeout:             Duration(3 * time.Minute),
		MinDataRate:             64,
		MaxErrors:               20,
		TarpitDelay:             Duration(5 * time.Second),
		TarpitConnections:       100,
		TLS:                     "starttls",
		TLSMinVersion:           "1.2",
		ProxyProtocol:           ProxyProtocol{Timeout: Duration(5 * time.Second)},
	}
}
