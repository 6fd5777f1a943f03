package config

// Metrics is the table [metrics].
type Metrics struct {
	// Protected domains that have series of their own in /metrics. Where there are
	// more, the first that mail comes for have them, and all others are counted
	// together as "other". Each costs about fifteen series.
	// Default: 200. Limits: 0 to 10000.
	MaxDomains int `toml:"max_domains" min:"0" max:"10000"`

	// The same for tenants. Each costs five series, and more in shadow mode.
	// Default: 200. Limits: 0 to 10000.
	MaxTenants int `toml:"max_tenants" min:"0" max:"10000"`
}
