package config

import "time"

// Default is what holds where a file says nothing.
func Default() Config {
	return Config{
		ShutdownTimeout: Duration(30 * time.Second),
		Listener: Listener{
			Address:                 ":25",
			MaxConnections:          1000,
			MaxConnectionsPerClient: 20,
			MaxMessageSize:          50 << 20,
			MaxRecipients:           100,
			CommandTimeout:          Duration(5 * time.Minute),
			DataTimeout:             Duration(3 * time.Minute),
			MinDataRate:             64,
			MaxErrors:               20,
			TLSMinVersion:           "1.2",
		},
		Spool: Spool{Memory: 256 << 10},
		Upstream: Upstream{
			Address:        "127.0.0.1:10025",
			TLS:            "none",
			ConnectTimeout: Duration(10 * time.Second),
			CommandTimeout: Duration(5 * time.Minute),
			DataTimeout:    Duration(10 * time.Minute),
		},
		DNS: DNS{
			Timeout:        Duration(2 * time.Second),
			Attempts:       3,
			MessageTimeout: Duration(20 * time.Second),
			MessageQueries: 60,
			CacheEntries:   100000,
		},
		Policy: Policy{
			Mode:            "enforce",
			Author:          "reject",
			MalformedHeader: "reject",
			DMARC:           DMARC{Reject: "corroborated", Quarantine: "quarantine", TempError: "accept"},
			SPF:             SPF{Fail: "quarantine", MaxVoidLookups: 2},
			DKIM:            DKIM{MaxSignatures: 10, MinRSABits: 1024},
		},
		Admin: Admin{Address: "127.0.0.1:9925"},
		Log:   Log{Level: "info"},
	}
}
