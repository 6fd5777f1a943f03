package dkim

// Key is what a key record says (RFC 6376 section 3.6.1), for tools that explain
// it to its owner.
type Key struct {
	Type    string // k=: "rsa" or "ed25519"; "" if it is neither, or unread
	Bits    int    // 0 if they were not read
	Revoked bool   // p= is empty
	Strict  bool   // t=s
	Testing bool   // t=y
	Fault   string // plain words: why no signature passes under it, be the key as short as it may; "" if one can
}

// ReadKey reads a TXT record at a selector. Not ok: it is no key record, and
// Fault says why.
func ReadKey(txt string) (k Key, ok bool) {
	r, f := readKey(txt)
	if f.found() {
		return Key{Fault: f.reason}, false
	}
	k = Key{Type: r.kind, Revoked: r.revoked}
	// The signature for which the key would be right.
	s := &signature{Result: Result{Algorithm: r.kind + "-sha256"}, strictOK: true}
	read, f := r.usable(s, 0)
	k.Bits, k.Strict, k.Testing, k.Fault = read.bits, read.strict, read.testing, f.reason
	return k, true
}
