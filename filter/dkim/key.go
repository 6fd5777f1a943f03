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

// candidates are the records at a name that look like keys, at most
// maxKeyRecords. RFC 6376 section 3.6.2.2 leaves several undefined: whichever
// comes first in the answer must make no difference.
func candidates(records []string) ([]tags, fault) {
	records = slices.Clone(records)
	slices.Sort(records)
	var keys []tags
	why := permerror("the key record is empty")
	for _, r := range slices.Compact(records) {
		t, f := parseRecord(r)
		if f.found() {
			why = f
		} else if keys = append(keys, t); len(keys) == maxKeyRecords {
			break
		}
	}
	if len(keys) == 0 && len(records) > 1 {
		why = permerror("none of the %d TXT records is a DKIM key", len(records))
	}
	return keys, why
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

// usable gives the key in a record if this signature may use it (RFC 6376
// section 6.1.2). bits and flags are filled in as far as they were read.
func usable(t tags, s *signature, minBits int) (key, fault) {
	var k key
	for _, flag := range list(t.value("t")) {
		k.strict = k.strict || flag == "s"
		k.testing = k.testing || flag == "y"
	}
	if f := admits(t, s); f.found() {
		return k, f
	}
	if k.strict && !s.strictOK {
		return k, permerror("the key (t=s) forbids that i= is below d=")
	}
	p := compact(t.value("p"))
	if p == "" {
		return k, permerror("the key is revoked (empty p=)")
	}
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return k, permerror("the key (p=) is not base64")
	}
	var f fault
	if s.Algorithm == ed25519SHA256 {
		f = k.readEd25519(der)
	} else {
		f = k.readRSA(der, minBits)
	}
	return k, f
}

// admits holds the key's tags other than p= against the signature.
func admits(t tags, s *signature) fault {
	kind := "rsa"
	if k, ok := t.get("k"); ok {
		kind = k.value
	}
	if kind != "rsa" && kind != "ed25519" {
		return permerror("the key's type (k=) is unknown")
	}
	if !strings.HasPrefix(s.Algorithm, kind+"-") {
		return permerror("the key is for %s, the signature is %s", kind, s.Algorithm)
	}
	if h, ok := t.get("h"); ok && !slices.Contains(list(h.value), "sha256") {
		return permerror("the key (h=) does not admit SHA-256")
	}
	if v, ok := t.get("s"); ok {
		if services := list(v.value); !slices.Contains(services, "email") && !slices.Contains(services, "*") {
			return permerror("the key (s=) is not for e-mail")
		}
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

func (k *key) readRSA(der []byte, minBits int) fault {
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
	case k.bits < minBits:
		// RFC 8301 section 3.2: below 1024 bits a signature is never valid.
		return policy("the RSA key has %d bits, at least %d are needed (RFC 8301)", k.bits, minBits)
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
