// Package iprev checks that a client's address and its reverse name agree
// (RFC 8601 section 2.7.3).
package iprev

// Word is a result of RFC 8601 section 2.7.3.
type Word string

// The results; None means that the check is off.
const (
	None      Word = "none"
	Pass      Word = "pass"
	Fail      Word = "fail"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// Result is what the check found.
type Result struct {
	Word   Word
	Name   string // the name that points back, as mail.ASCIIDomain; with Pass only
	Reason string // plain words
}
