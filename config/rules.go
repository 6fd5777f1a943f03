package config

// Sender is the table [policy.sender].
type Sender struct {
	// The domain of MAIL FROM does not exist (NXDOMAIN), so that nobody could be
	// told of trouble. "reject" answers 550 5.1.8. Asking costs one question to
	// the DNS; what it does not answer counts for the sender.
	// Default: "accept". One of: "accept", "tag", "quarantine", "reject".
	Missing string `toml:"missing" oneof:"accept|tag|quarantine|reject"`

	// The domain of MAIL FROM says that it takes no mail (a null MX, RFC 7505).
	// "reject" answers 550 5.7.27.
	// Default: "accept". One of: "accept", "tag", "quarantine", "reject".
	NullMX string `toml:"null_mx" oneof:"accept|tag|quarantine|reject"`
}
