package config

import "time"

// DNS is the table [dns].
type DNS struct {
	// Resolvers, the best first: addresses, with a port if it is not 53. When one
	// takes longer than it mostly does, the next is asked as well, and the first
	// answer counts; one that is dead or much slower than others comes last.
	// A validating resolver on the same host is best. [] takes those of
	// /etc/resolv.conf. Example: ["127.0.0.1", "192.0.2.53:5353", "[2001:db8::53]:53"]
	// Default: [].
	Servers []string `toml:"servers" check:"server"`

	// How long one server may take to answer one question.
	// Default: "2s". Limits: "100ms" to "30s".
	Timeout Duration `toml:"timeout" min:"100ms" max:"30s"`

	// How often each server is asked one question before that counts as a timeout.
	// Default: 3. Limits: 1 to 10.
	Attempts int `toml:"attempts" min:"1" max:"10"`

	// How long all questions about one message may take. What is not answered
	// by then is temperror. RFC 7208 section 4.6.4 wants 20 seconds at least;
	// clients wait for 10 minutes (RFC 5321 section 4.5.3.2.6).
	// Default: "20s". Limits: "1s" to "5m".
	MessageTimeout Duration `toml:"message_timeout" min:"1s" max:"5m"`

	// Questions that one message may cause. What goes beyond is not asked.
	// Default: 60. Limits: 48 to 1000.
	MessageQueries int `toml:"message_queries" min:"48" max:"1000"`

	// Memory for answers, with what was read in them: keys and records. When it
	// is full, what is used least goes. "0B" switches the cache off.
	// Default: "64MiB". Limits: "0B" to "64GiB".
	CacheMemory Size `toml:"cache_memory" min:"0" max:"64GiB"`

	// Ask again for an answer that is in demand when the last tenth of its TTL
	// has begun, so that no message has to wait for it.
	// Default: true.
	Prefetch bool `toml:"prefetch"`

	// How long after its TTL an answer may still be used when asking anew fails
	// (RFC 8767). It may then let a message pass, but none is refused or marked
	// for it, and that something does not exist is never believed longer. "0s"
	// switches it off.
	// Default: "12h". Limits: "0s" to "7d".
	Stale Duration `toml:"stale" min:"0s" max:"168h"`

	// Where a name provenly does not exist, believe that nothing exists below it
	// (RFC 8020), and do not ask. DNSSEC proves it, so this needs trust_ad:
	// without, some servers deny names that have others below them, such as
	// _domainkey.example.com.
	// Default: true.
	NXDomainCut bool `toml:"nxdomain_cut"`

	// Ask in letters of random case, and want the same back: a forger has to
	// guess them too ("0x20"). A resolver that does not give them back is asked as
	// ever, once that was found out by TCP. Of use where the way to the resolver
	// is not our own.
	// Default: false.
	CaseRandomization bool `toml:"case_randomization"`

	// Believe the resolvers when they say that an answer is signed (the AD bit,
	// RFC 4035 section 3.2.3). Only where nobody can stand between us and them.
	// It is written to the log and decides nothing but nxdomain_cut.
	// Default: false.
	TrustAD bool `toml:"trust_ad"`
}

func defaultDNS() DNS {
	return DNS{
		Timeout:        Duration(2 * time.Second),
		Attempts:       3,
		MessageTimeout: Duration(20 * time.Second),
		MessageQueries: 60,
		CacheMemory:    64 << 20,
		Prefetch:       true,
		Stale:          Duration(12 * time.Hour),
		NXDomainCut:    true,
	}
}
