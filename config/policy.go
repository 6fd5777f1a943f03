package config

// Policy is the table [policy].
type Policy struct {
	// "enforce" does what is decided. "shadow" decides, counts and writes the
	// verdict into the header, and lets all mail through: for the first weeks.
	// Default: "enforce". One of: "enforce", "shadow".
	Mode string `toml:"mode" oneof:"enforce|shadow"`

	// When the author cannot be told for certain: From missing, repeated or
	// malformed, or with several domains. Such mail slips past DMARC (RFC 9989
	// section 5.3.1), and honest software does not make it (RFC 5322 section 3.6).
	// "tag" and "quarantine" let it through with X-Sekimori-Verdict, by which the
	// MTA files it.
	// Default: "reject". One of: "reject", "quarantine", "tag".
	Author string `toml:"author" oneof:"reject|quarantine|tag"`

	// When the header is not one of RFC 5322 section 2.2: control characters,
	// lines that are no header field. Programs read such mail in different ways.
	// Default: "reject". One of: "reject", "quarantine", "tag".
	MalformedHeader string `toml:"malformed_header" oneof:"reject|quarantine|tag"`

	// Mail in the name of a protected domain (From, an address in the display name
	// of From, MAIL FROM) that nothing proves to be of it: neither DMARC, SPF or
	// DKIM of that domain or of another of the same customer, nor a listed sender.
	// It counts whatever that domain publishes. "reject" answers 550 5.7.26. "off"
	// looks away. What a domain's owner lists is his to say; this is the
	// recipient's.
	// Default: "reject". One of: "reject", "quarantine", "tag", "off".
	Spoof string `toml:"spoof" oneof:"reject|quarantine|tag|off"`

	// What a block list of the recipient's catches. "reject" answers 550 5.7.1.
	// Default: "reject". One of: "reject", "quarantine", "tag".
	Block string `toml:"block" oneof:"reject|quarantine|tag"`

	// Further allow and block lists, by their names. They are asked after the list
	// of the recipient's customer and those that are named as his tenants, and
	// before "*", which is everybody's. The first that has something to say
	// decides; within one list block goes before allow.
	// Example: ["partners"]
	// Default: [].
	Lists []string `toml:"lists" check:"customer"`

	// Mail that nothing authenticates: no SPF pass, no DKIM pass, and no DMARC
	// record of the author's domain. "reject" answers 550 5.7.26.
	// Default: "accept". One of: "accept", "tag", "quarantine", "reject".
	Unauthenticated string `toml:"unauthenticated" oneof:"accept|tag|quarantine|reject"`

	// Language of refusals. "ja" is Japanese for clients that have said SMTPUTF8
	// for the message and English for all others, who could not read it. RFC 6531
	// section 3.7.4 would have English there too; help_url is for a page in any
	// language.
	// Default: "en". One of: "en", "ja".
	Language string `toml:"language" oneof:"en|ja"`

	// File of texts in place of ours in that language; what it does not have keeps
	// our text. filter/texts of the source has the files to start from. Own texts
	// of [policy.replies] go before both.
	// Default: "".
	Texts string `toml:"texts" check:"path" empty:"ok"`

	// Page of yours that helps senders, shown in each refusal. An https URL in
	// ASCII, other characters percent-encoded; at most 200 characters.
	// Example: "https://example.com/postmaster"
	// Default: "".
	HelpURL string `toml:"help_url" check:"url" empty:"ok"`

	// When the author's domain has a DMARC policy and the message fails it
	// (RFC 9989).
	DMARC DMARC `toml:"dmarc"`

	// When SPF alone speaks (RFC 7208).
	SPF SPF `toml:"spf"`

	// How DKIM signatures are verified (RFC 6376).
	DKIM DKIM `toml:"dkim"`

	// The client's name by its address and back (RFC 8601 section 2.7.3).
	IPRev IPRev `toml:"iprev"`

	// The domain of MAIL FROM.
	Sender Sender `toml:"sender"`

	// New rules step by step: percent of the senders' domains (of spoofs: of the
	// protected domains) for which a reason is enforced; for the others it is as in
	// shadow mode, and the other rules hold as if it were not there. Which these are
	// stays the same from message to message, and none drops out while the number
	// grows. A reason that is not named is enforced for all.
	// Limits: 0 to 100. Example: protected_name = 10
	Rollout map[string]int `toml:"rollout" min:"0" max:"100"`

	// Your own texts for refusals, by reason: what stands after the code. A
	// reason that is not named keeps our text, which tells the domain, the method
	// that failed and the remedy. Printable ASCII, at most 3 lines (divided by
	// \n) of 400 characters. Placeholders: {client}, {domain} (of the author),
	// {domains} (where From names several), {sender} (domain of MAIL FROM),
	// {mailfrom} (likewise, without HELO in its place), {named} (the protected
	// domain), {policy}, {owner} (of the policy), {advice} (to the author's domain),
	// {spf}, {dkim}, {iprev}, {fault}, {trouble}, {id} (of the message) and {help}
	// (help_url).
	// Example: spf_fail = "{client} may not send for {sender}. See {help} [{id}]"
	Replies map[string]string `toml:"replies" check:"reply"`
}

// DMARC is the table [policy.dmarc].
type DMARC struct {
	// Policy reject. "corroborated" rejects only what authenticates as nobody, no
	// SPF pass and no DKIM pass of any domain; what authenticates as somebody
	// else (a list, a forwarder, or a spoofer with papers of his own) is
	// quarantined, for RFC 9989 section 7.4 forbids to reject on the policy
	// alone. "strict" rejects all, mail of lists too. "quarantine" rejects nothing.
	// Default: "corroborated". One of: "corroborated", "strict", "quarantine".
	Reject string `toml:"reject" oneof:"corroborated|strict|quarantine"`

	// Policy quarantine.
	// Default: "quarantine". One of: "quarantine", "tag".
	Quarantine string `toml:"quarantine" oneof:"quarantine|tag"`

	// When the DNS did not answer what would have decided (also about SPF and
	// DKIM). "accept" lets the mail through with temperror on record; "defer"
	// answers 451 4.7.0, and the client tries again. Mail that might be a spoof of a
	// protected domain has to try again in any case where spoof = "reject".
	// Default: "accept". One of: "accept", "defer".
	TempError string `toml:"temperror" oneof:"accept|defer"`

	// Find the Organizational Domain by the tree walk of RFC 9989 section 4.10
	// and by nothing else. false adds a net below it: a public suffix that
	// publishes a policy without psd=y is never taken for the Organizational
	// Domain, so that its registrants do not align with each other.
	// Default: false.
	StrictTreeWalk bool `toml:"strict_tree_walk"`
}

// SPF is the table [policy.spf].
type SPF struct {
	// SPF says fail for MAIL FROM, no DKIM signature passes, and the author's
	// domain has no DMARC policy.
	// Default: "quarantine". One of: "quarantine", "reject", "tag".
	Fail string `toml:"fail" oneof:"quarantine|reject|tag"`

	// Lookups that may find nothing before SPF is permerror (RFC 7208 section
	// 4.6.4, which recommends two).
	// Default: 2. Limits: 1 to 10.
	MaxVoidLookups int `toml:"max_void_lookups" min:"1" max:"10"`

	// Put the domain's own explanation of an SPF fail (exp=, RFC 7208 section 6.2)
	// behind our refusal, as "example.com explains: ...". It is a stranger's
	// text: printable ASCII, at most 200 characters.
	// Default: false.
	Explain bool `toml:"explain"`
}

// DKIM is the table [policy.dkim].
type DKIM struct {
	// Signatures of one message that are verified, from the top. The rest is
	// not evaluated (RFC 6376 section 6.1).
	// Default: 10. Limits: 1 to 16.
	MaxSignatures int `toml:"max_signatures" min:"1" max:"16"`

	// Bits of an RSA key below which a signature does not count. RFC 8301 section
	// 3.2 forbids fewer than 1024.
	// Default: 1024. Limits: 1024 to 4096.
	MinRSABits int `toml:"min_rsa_bits" min:"1024" max:"4096"`

	// Give no credit to a signature whose key says t=y (RFC 6376 section 3.6.1: the
	// domain is testing DKIM). Most verifiers count such a pass.
	// Default: false.
	DenyTesting bool `toml:"deny_testing"`
}

// IPRev is the table [policy.iprev].
type IPRev struct {
	// Look the client's name up and write the result into
	// Authentication-Results. By itself it decides nothing.
	// Default: false.
	Enabled bool `toml:"enabled"`

	// The client has no name, or none that points back to it. "reject" answers
	// 550 5.7.25. With anything but "accept" the name is looked up in any case; what
	// the DNS does not answer counts for the client.
	// Default: "accept". One of: "accept", "tag", "quarantine", "reject".
	Fail string `toml:"fail" oneof:"accept|tag|quarantine|reject"`
}
