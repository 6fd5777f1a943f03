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
	// is below it, "user@example.net" one address. Letter case does not count, nor
	// does it matter whether a name is written with A-labels. A recipient may be of
	// several tenants: what the tenant of his address sets counts before what that
	// of his domain sets, then those of the domains above it, the nearest first,
	// then that of his customer, then [policy]. Either this or customers is needed.
	// Default: [].
	Recipients []string `toml:"recipients" example:"[\"example.net\", \".example.net\", \"user@example.org\"]"`

	// Customers, as the sources of protected domains name them: all mail to their
	// domains.
	// Default: [].
	Customers []string `toml:"customers" check:"customer" example:"[\"acme\"]"`

	// Any keys of [policy] and of the tables below it. What is not set here is as
	// it is in the tenants that are farther away and then there; of the replies and
	// of the rollout, each by itself.
	Policy Policy `toml:"policy" example:"mode = \"shadow\"\ndmarc.reject = \"strict\"\nreplies.spf_fail = \"{client} may not send for {sender}. Ask help@example.net [{id}]\""`

	own map[string]bool // keys of the policy that the file sets here; nil where there was no file
}
