package dkim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"sekimori/filter/mail"
)

// verifier judges the signatures of one message.
type verifier struct {
	Limits
	newHash func() hash.Hash
}

func newVerifier(l Limits) *verifier {
	if l.Signatures <= 0 {
		l.Signatures = 10
	}
	if l.Time.IsZero() {
		l.Time = time.Now()
	}
	if l.PublicSuffix == nil {
		l.PublicSuffix = isRegistry
	}
	l.MinRSABits = max(l.MinRSABits, 1024)
	return &verifier{l, sha256.New}
}

// isRegistry tells whether a domain is a public suffix by the rules of a
// registry. Those of private companies are left out: they sign for themselves.
func isRegistry(domain string) bool {
	suffix, icann := publicsuffix.PublicSuffix(domain)
	return suffix == domain && (icann || !strings.Contains(domain, "."))
}

func (v *verifier) verify(ctx context.Context, r Resolver, m *mail.Message) []Result {
	signatures := v.read(m.Header)
	answers := ask(ctx, r, signatures)
	keys := map[*signature][]key{}
	var ready []*signature
	for _, s := range signatures {
		if s.open() {
			keys[s] = v.keys(s, answers[s.Queried])
		}
		if s.open() {
			ready = append(ready, s)
		}
	}
	if len(ready) > 0 {
		v.judge(m, ready, keys)
	}
	results := make([]Result, len(signatures))
	for i, s := range signatures {
		results[i] = s.Result
	}
	return results
}

// read gives all signatures from the top; those that stay open deserve a look
// at their key.
func (v *verifier) read(h mail.Header) []*signature {
	var all []*signature
	for i, f := range h.Fields {
		if len(f.Name) == len(signatureName) && lower(f.Name) == signatureName {
			all = append(all, readSignature(i, f))
		}
	}
	v.limit(all)
	distinguish(all)
	for _, s := range all {
		if s.open() {
			s.settle(v.dismiss(s))
		}
	}
	return all
}

// limit closes all signatures but the first few (RFC 6376 section 6.1, 8.4).
// Those that may align with the author come first, or else a sender of many
// could hide the one that counts; unreadable ones count.
func (v *verifier) limit(all []*signature) {
	if len(all) <= v.Signatures {
		return
	}
	order := slices.Clone(all)
	slices.SortStableFunc(order, func(a, b *signature) int {
		return cmp.Compare(v.distance(a), v.distance(b))
	})
	for _, s := range order[v.Signatures:] {
		s.Word, s.Reason = Policy, "limit"
	}
}

// distance is 0 for the author's own domain, 1 for one above or below it, 2 for
// one of the same registered name, 3 for all others.
func (v *verifier) distance(s *signature) int {
	switch {
	case s.Domain == "" || v.Author == "":
		return 3
	case s.Domain == v.Author:
		return 0
	case strings.HasSuffix(v.Author, "."+s.Domain), strings.HasSuffix(s.Domain, "."+v.Author):
		return 1
	}
	a, errA := publicsuffix.EffectiveTLDPlusOne(v.Author)
	b, errB := publicsuffix.EffectiveTLDPlusOne(s.Domain)
	if errA == nil && errB == nil && a == b {
		return 2
	}
	return 3
}

// distinguish shortens B to what tells the signatures apart (RFC 6008 section 4),
// up to a length that a header field has room for.
func distinguish(all []*signature) {
	const least, most = 8, 64
	var texts []string
	for _, s := range all {
		s.B = s.B[:min(len(s.B), most)]
		texts = append(texts, s.B)
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	need := map[string]int{}
	for i := 1; i < len(texts); i++ {
		n := common(texts[i-1], texts[i]) + 1
		need[texts[i-1]] = max(need[texts[i-1]], n)
		need[texts[i]] = n
	}
	for _, s := range all {
		s.B = s.B[:min(len(s.B), max(least, need[s.B]))]
	}
}

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// dismiss finds what needs no key, and names the key of the rest.
func (v *verifier) dismiss(s *signature) fault {
	if s.SignedAt.After(v.Time.Add(24 * time.Hour)) {
		return neutral("the signature (t=) was made more than a day in the future")
	}
	if s.Algorithm == rsaSHA1 {
		// RFC 8301 section 3.1: MUST NOT be used for verifying.
		return policy("sha1: signatures by rsa-sha1 are not valid, rsa-sha256 is needed (RFC 8301)")
	}
	name := s.Selector + "._domainkey." + s.Domain
	if len(name) > 253 {
		return permerror("the name of the key, from s= and d=, is too long for the DNS")
	}
	s.Queried = name
	return fault{}
}

// keys gives the keys that the signature may use, or settles it.
func (v *verifier) keys(s *signature, a *answer) []key {
	if a.fault.found() {
		s.settle(a.fault)
		return nil
	}
	worst := a.keys.why
	var keys []key
	for i := range a.keys.keys {
		k, f := a.keys.keys[i].usable(s, v.MinRSABits)
		if !f.found() {
			keys = append(keys, k)
			continue
		}
		// A key that is there but too weak says more than one that is not.
		if worst.word != Policy {
			worst, s.KeyBits, s.Testing = f, k.bits, k.testing
		}
	}
	if len(keys) == 0 {
		s.settle(fault{worst.word, worst.reason + " (" + s.Queried + ")"})
	}
	return keys
}

// judge does the cryptography (RFC 6376 section 6.1.3).
func (v *verifier) judge(m *mail.Message, ready []*signature, keys map[*signature][]key) {
	fields := newIndex(m.Header.Fields, ready)
	bodies, err := hashBody(m.Body(), v.newHash, ready)
	for _, s := range ready {
		if err != nil {
			s.settle(fault{TempError, "the body could not be read back from the spool"})
			continue
		}
		sum, ok := fields.sum(v.newHash(), s)
		if !ok {
			s.settle(permerror("the signed header fields are longer than %d bytes", maxSignedBytes))
			continue
		}
		signed := s.tryKeys(keys[s], sum)
		s.settle(s.compare(bodies[s.body], signed))
		s.settle(v.accept(s))
	}
}

// tryKeys tells whether the signature verifies under one of the keys, and takes
// over what is to be said of it: of the first if none fits.
func (s *signature) tryKeys(keys []key, sum []byte) bool {
	use := keys[0]
	signed := false
	for _, k := range keys {
		if k.verify(sum, s.b) {
			use, signed = k, true
			break
		}
	}
	s.KeyBits, s.Testing = use.bits, use.testing
	return signed
}

// compare says what was changed since the message was signed.
func (s *signature) compare(body *bodyHash, signed bool) fault {
	want := body.whole
	if s.length >= 0 {
		// RFC 6376 section 3.5: l= MUST NOT be greater than the body.
		if s.length > body.size {
			return permerror("l= is more than the body has")
		}
		s.Partial = s.length < body.size
		want = body.sums[s.length]
	}
	var f fault
	switch same := subtle.ConstantTimeCompare(want, s.bodyHash) == 1; {
	case signed && same:
		return fault{}
	case signed:
		f = fault{Fail, "the body was changed after signing (body hash differs)"}
	case same:
		f = fault{Fail, "the signed header fields were changed, or the key was (signature does not match)"}
	default:
		f = fault{Fail, "the body and the signed header fields were changed, or the key was (body hash differs, signature does not match)"}
	}
	if s.Testing {
		// RFC 6376 section 3.6.1, t=y: as if it were unsigned.
		f = neutral("%s; the key is in testing (t=y)", f.reason)
	}
	return f
}

// accept applies what a verified signature must be besides.
func (v *verifier) accept(s *signature) fault {
	switch {
	case v.PublicSuffix(s.Domain):
		return policy("d= is a public suffix, for which nobody can sign")
	case !s.Expires.IsZero() && v.Time.After(s.Expires.Add(300*time.Second)):
		return policy("expired: the signature was valid until %s (x=)", s.Expires.UTC().Format(time.RFC3339))
	case s.Partial:
		return policy("l= leaves a part of the body unsigned, to which anybody may have added")
	case s.Testing && v.DenyTesting:
		return neutral("the key is in testing (t=y), where a pass counts for nothing")
	}
	return fault{Pass, ""}
}
