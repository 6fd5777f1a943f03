// Package dkim verifies DomainKeys Identified Mail signatures (RFC 6376, with
// RFC 8301, 8463 and 8616). A message goes in, one result a signature comes
// out. The cryptography is that of github.com/emersion/go-msgauth/dkim, behind
// limits and a reading of the tags of our own.
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
// with certainty are empty: nothing here carries unchecked bytes.
type Result struct {
	Word       Word
	Domain     string // d= as mail.ASCIIDomain
	Selector   string // s= as mail.ASCIIDomain
	Algorithm  string // a=, one of the known ones
	KeyBits    int    // of the public key; 0 if it was not seen
	Identifier string // i= or its default "@d"; local part kept if printable ASCII
	B          string // first 8 characters of b=, more where signatures would look alike (RFC 6008); base64 only
	Testing    bool   // key has t=y
	Reason     string // plain words, "" with Pass; "limit" if it was not evaluated for a limit
	Queried    string // the name of the key record that was asked for, "" if none was
	SignedFrom int    // how many From fields h= covers
}

// Limits bound the work. The zero value means the defaults named here.
type Limits struct {
	Signatures int       // evaluated at the most; 10
	Time       time.Time // the clock for x= and t=; time.Now()
	MinRSABits int       // below it a pass is policy; 1024, never less (RFC 8301)
}

// Resolver is what Verify asks; *dns.Session is one. Errors are *dns.Error.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Verify evaluates the signatures of a message, in the order of their fields
// from the top. A message without any gives an empty slice.
func Verify(ctx context.Context, r Resolver, m *mail.Message, l Limits) []Result {
	return nil
}
