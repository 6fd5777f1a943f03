// Package dkim verifies DomainKeys Identified Mail signatures (RFC 6376, with
// RFC 8301, 8463 and 8616). A message goes in, one result a signature comes
// out.
//
// The way of a signature: its tags are read (tags.go, signature.go), its key is
// asked for and read (lookup.go, key.go), the body is hashed once for each
// canonicalization whatever the number of signatures (canon.go, hash.go), and
// what was found is put together (judge.go). All of it is linear in the size of
// the message and bounded by Limits.
//
// github.com/emersion/go-msgauth/dkim does not stand on this way, though it
// began there. Its verifier is one closed call, which compares bh= with a hash of
// the body it is given before it looks at b=. As bh= is itself signed, no reduced
// message can be put before it: every signature would have the body hashed
// again, by a canonicalizer several times slower than the hash. From outside
// nothing can be done either against its false failures (the expression that
// empties b= cuts other tags too, i= is compared by case, l= and x= never reach
// the cryptography). So the primitives here are those of crypto/rsa and
// crypto/ed25519, and the library signs in the tests and is the oracle in them.
package dkim

import (
	"context"
	"time"

	"sekimori/filter/mail"
)

// Word is a result of RFC 8601 section 2.7.1.
type Word string

// The results.
const (
	None      Word = "none"
	Pass      Word = "pass"
	Fail      Word = "fail"
	Policy    Word = "policy"
	Neutral   Word = "neutral"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// Result is what one DKIM-Signature field gave. Fields that could not be read
// with certainty are empty: nothing here carries unchecked bytes. Only Pass
// makes Domain an authenticated identifier.
type Result struct {
	Word       Word
	Domain     string // d= as mail.ASCIIDomain
	Selector   string // s= as mail.ASCIIDomain
	Algorithm  string // a=, one of the known ones
	KeyBits    int    // of the public key; 0 if it was not seen
	Identifier string // i= or its default "@d"; local part kept if printable ASCII
	B          string // first 8 characters of b=, up to 64 where signatures would look alike (RFC 6008); base64 only
	Testing    bool   // key has t=y
	Reason     string // plain words, "" with Pass; "limit" if it was not evaluated for a limit
	Queried    string // the name of the key record that was asked for, "" if none was
	SignedFrom int    // how many From fields h= covers

	Canonicalization string    // c= in full, header/body: "relaxed/simple"
	Signed           []string  // h= in its order: lower case, repeated where it repeats (RFC 6376 section 5.4.2); at most 1000
	SignedAt         time.Time // t=, zero without one
	Expires          time.Time // x=, zero without one or for one beyond twelve digits
	Partial          bool      // l= leaves a part of the body unsigned
}

// Limits bound the work. The zero value means the defaults named here.
type Limits struct {
	Signatures int       // evaluated at the most; 10
	Time       time.Time // the clock for x= and t=; time.Now()
	MinRSABits int       // below it a pass is policy; 1024, never less (RFC 8301)

	// Author is the author domain as mail.ASCIIDomain, "" if there is none:
	// should there be more than Signatures, those that may align with it come first.
	Author string
	// DenyTesting gives no credit to a pass under a key with t=y: neutral
	// instead. RFC 6376 section 3.6.1 may be read so; hardly anybody does.
	DenyTesting bool
	// PublicSuffix tells of a d= that nobody in particular owns, so that a
	// pass is policy; nil: every single label, and the registries' part of
	// the Public Suffix List.
	PublicSuffix func(domain string) bool
}

// Bounds on what a sender can make us do.
const (
	maxSignatureField = 64 << 10 // bytes of one DKIM-Signature field
	maxSignatureTags  = 64
	maxNames          = 1000    // of h=
	maxSignedBytes    = 1 << 20 // of the header fields that one signature covers
	maxKeyText        = 4096    // bytes of a key record
	maxKeyTags        = 32
	maxKeyRecords     = 3 // tried of those at one name
	maxRSABits        = 8192
)

// Resolver is what Verify asks; *dns.Session is one. Errors are *dns.Error.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Verify evaluates the signatures of a message, in the order of their fields
// from the top. A message without any gives an empty slice. ctx bounds the
// questions to the DNS alone: a signature whose key is there is always judged.
func Verify(ctx context.Context, r Resolver, m *mail.Message, l Limits) []Result {
	return newVerifier(l).verify(ctx, r, m)
}

// Prefetch asks for the keys that Verify will ask for, so that they are in r's
// cache by then. It needs no more than the header.
func Prefetch(ctx context.Context, r Resolver, h mail.Header, l Limits) {
	ask(ctx, r, newVerifier(l).read(h))
}
