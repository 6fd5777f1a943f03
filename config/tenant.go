package config

// Recipients is the table [recipients].
type Recipients struct {
	// When one message has recipients of tenants whose policies differ. "split"
	// takes the first kind and answers the others 452 4.5.3, so that the client
	// sends to them in a message of their own, as it does beyond max_recipients.
	// "strictest" and "mildest" take all, judge by each policy and do to the whole
	// message what the strictest or the mildest says: reject, defer, quarantine,
	// tag, accept, in this order. Recipients for whom the checks themselves are
	// set otherwise (lookups, signatures, keys, tree walk, iprev) are split
	// always. What counts is what the policies say, not whose they are.
	// Default: "split". One of: "split", "strictest", "mildest".
	Mixed string `toml:"mixed" oneof:"split|strictest|mildest"`
}

// Tenant is one table [[tenant]].
type Tenant struct {
	// What the tenant is called in the log; no two may be called the same.
	// Letters, digits, -, _ and ., at most 64.
	// Required.
	Name string `toml:"name" check:"name" required:"yes" example:"\"customer-a\""`

	// Whose mail it is: "example.net" is all of a domain, ".example.net" all that
	// is below it, "user@example.net" one address. The address decides before its
	// domain, and a domain before those above it. Letter case does not count, nor
	// does it matter whether a name is written with A-labels.
	// Required.
	Recipients []string `toml:"recipients" required:"yes" example:"[\"example.net\", \".example.net\", \"user@example.org\"]"`

	// Any keys of [policy] and of the tables below it. What is not set here is as
	// it is there; of the replies, each by itself.
	Policy Policy `toml:"policy" example:"mode = \"shadow\"\ndmarc.reject = \"strict\"\nreplies.spf_fail = \"{client} may not send for {sender}. Ask help@example.net [{id}]\""`
}
