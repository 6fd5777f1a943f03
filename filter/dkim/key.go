package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math"
	"slices"
	"strings"
)

// key is a public key that may be used.
type key struct {
	rsa     *rsa.PublicKey    // one of these two
	ed25519 ed25519.PublicKey // of the right size
	bits    int
	strict  bool // t=s
	testing bool // t=y
}

// verify tells whether b signs the sum. No message of ours can make it fail
// otherwise: sizes and exponents were looked at.
func (k key) verify(sum, b []byte) bool {
	if k.rsa != nil {
		return rsa.VerifyPKCS1v15(k.rsa, crypto.SHA256, sum, b) == nil
	}
	// RFC 8463 section 3: Ed25519 over the SHA-256 digest.
	return ed25519.Verify(k.ed25519, sum, b)
}

// published are the keys at a name, at most maxKeyRecords, read once for all
// signatures and messages: immutable.
type published struct {
	keys []keyRecord
	why  fault // if there is none
}

// readKeys takes the records at a name that look like keys. RFC 6376 section
// 3.6.2.2 leaves several undefined: whichever comes first in the answer must
// make no difference.
func readKeys(records []string) *published {
	records = slices.Clone(records)
	slices.Sort(records)
	p := &published{why: permerror("the key record is empty")}
	for _, r := range slices.Compact(records) {
		k, f := readKey(r)
		if f.found() {
			p.why = f
		} else if p.keys = append(p.keys, k); len(p.keys) == maxKeyRecords {
			break
		}
	}
	if len(p.keys) == 0 && len(records) > 1 {
		p.why = permerror("none of the %d TXT records is a DKIM key", len(records))
	}
	return p
}

// bytes is the memory that the keys hold beside their records.
func (p *published) bytes() int {
	const fixed, each = 128, 512
	n := fixed
	for _, k := range p.keys {
		n += each + k.bits/8
	}
	return n
}

// keyRecord is what one record says.
type keyRecord struct {
	key            // of no kind with a fault
	kind    string // k=: "rsa", "ed25519", "" for others
	sha256  bool   // h= admits it
	email   bool   // s= admits it
	revoked bool
	fault   fault // why p= gives no key
}

// readKey reads a record (RFC 6376 section 3.6.1) as far as that can be done
// for any signature.
func readKey(text string) (keyRecord, fault) {
	t, f := parseRecord(text)
	if f.found() {
		return keyRecord{}, f
	}
	r := keyRecord{kind: "rsa", sha256: true, email: true}
	for _, flag := range list(t.value("t")) {
		r.strict = r.strict || flag == "s"
		r.testing = r.testing || flag == "y"
	}
	if k, ok := t.get("k"); ok {
		switch k.value {
		case "rsa":
		case "ed25519":
			r.kind = "ed25519"
		default:
			r.kind = ""
		}
	}
	if h, ok := t.get("h"); ok {
		r.sha256 = slices.Contains(list(h.value), "sha256")
	}
	if v, ok := t.get("s"); ok {
		services := list(v.value)
		r.email = slices.Contains(services, "email") || slices.Contains(services, "*")
	}
	r.fault = r.read(compact(t.value("p")))
	return r, fault{}
}

// read takes the key out of p=.
func (r *keyRecord) read(p string) fault {
	if p == "" {
		r.revoked = true
		return permerror("the key is revoked (empty p=)")
	}
	der, err := base64.StdEncoding.DecodeString(p)
	switch {
	case err != nil:
		return permerror("the key (p=) is not base64")
	case r.kind == "ed25519":
		return r.readEd25519(der)
	case r.kind == "rsa":
		return r.readRSA(der)
	}
	return fault{} // is not asked for
}

// parseRecord reads the tags of a key record (RFC 6376 section 3.6.1).
func parseRecord(text string) (tags, fault) {
	if len(text) > maxKeyText || strings.Count(text, ";") > maxKeyTags {
		return nil, permerror("the key record is longer than %d bytes or %d tags", maxKeyText, maxKeyTags)
	}
	t, err := parseTags(text, maxKeyTags)
	if err != nil {
		return nil, permerror("the TXT record is no DKIM key: %v", err)
	}
	if v, ok := t.get("v"); ok && (v.value != "DKIM1" || t[0].name != "v") {
		return nil, permerror("the TXT record is no DKIM key: v= must come first and be DKIM1")
	}
	if _, ok := t.get("p"); !ok {
		return nil, permerror("the TXT record is no DKIM key: it has no p=")
	}
	return t, fault{}
}

// usable gives the key if this signature may use it (RFC 6376 section 6.1.2).
// bits and flags are filled in as far as they were looked at.
func (r *keyRecord) usable(s *signature, minBits int) (key, fault) {
	flags := key{strict: r.strict, testing: r.testing}
	if f := r.admits(s); f.found() {
		return flags, f
	}
	if r.strict && !s.strictOK {
		return flags, permerror("the key (t=s) forbids that i= is below d=")
	}
	if r.fault.found() {
		return r.key, r.fault
	}
	if r.rsa != nil && r.bits < minBits {
		flags.bits = r.bits
		// RFC 8301 section 3.2: below 1024 bits a signature is never valid.
		return flags, policy("the RSA key has %d bits, at least %d are needed (RFC 8301)", r.bits, minBits)
	}
	return r.key, fault{}
}

// admits holds what is beside the key against the signature.
func (r *keyRecord) admits(s *signature) fault {
	switch {
	case r.kind == "":
		return permerror("the key's type (k=) is unknown")
	case !strings.HasPrefix(s.Algorithm, r.kind+"-"):
		return permerror("the key is for %s, the signature is %s", r.kind, s.Algorithm)
	case !r.sha256:
		return permerror("the key (h=) does not admit SHA-256")
	case !r.email:
		return permerror("the key (s=) is not for e-mail")
	}
	return fault{}
}

func (k *key) readEd25519(p []byte) fault {
	// RFC 8463 section 4.2: the key itself, no structure around it.
	if len(p) != ed25519.PublicKeySize {
		return permerror("the Ed25519 key has %d octets instead of 32", len(p))
	}
	k.ed25519, k.bits = p, 256
	return fault{}
}

func (k *key) readRSA(der []byte) fault {
	pub := parseRSA(der)
	if pub == nil {
		return permerror("the key (p=) is not an RSA public key")
	}
	k.bits = pub.N.BitLen()
	switch {
	case k.bits > maxRSABits:
		return permerror("the RSA key has %d bits, more than %d are not computed with", k.bits, maxRSABits)
	case pub.N.Bit(0) == 0 || pub.E%2 == 0 || pub.E < 3 || pub.E > math.MaxInt32:
		return permerror("the RSA key's modulus or exponent is none that RSA can have")
	}
	k.rsa = pub
	return fault{}
}

// parseRSA takes SubjectPublicKeyInfo, which everybody publishes, and
// RSAPublicKey, which RFC 6376 section 3.6.1 says. Only what the key is written
// as again is right: the parsers skip stray bytes inside.
func parseRSA(der []byte) *rsa.PublicKey {
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		pub, ok := any.(*rsa.PublicKey)
		if !ok {
			return nil
		}
		if again, err := x509.MarshalPKIXPublicKey(pub); err != nil || !bytes.Equal(again, der) {
			return nil
		}
		return pub
	}
	pub, err := x509.ParsePKCS1PublicKey(der)
	if err != nil || !bytes.Equal(x509.MarshalPKCS1PublicKey(pub), der) {
		return nil
	}
	return pub
}
