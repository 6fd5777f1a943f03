// Package dns asks the DNS (RFC 1035, 2181, 2308). A Question goes in, an
// Answer comes out, whose Outcome keeps apart what net.Resolver mixes up: a
// name that does not exist, a name without such records, a server that failed,
// and silence.
//
// Question.Name may hold any byte but a dot in a label, for SPF's macros make
// such names; the names in an Answer are made of visible ASCII only, others were
// dropped. Nothing is asked beyond RFC 1035's sizes (ErrName).
//
// Four things answer: Client (the network), Zone (master files in process),
// Cache (before another Source), and Session (one message's view: budget, trace,
// and lookups in the shape of *net.Resolver).
package dns

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Type is a record type by its IANA name.
type Type string

// The types that mail authentication asks for, and the one that it no longer
// does (RFC 7208 section 3.1): SPF, of use only to tell its owner.
const (
	A    Type = "A"
	AAAA Type = "AAAA"
	MX   Type = "MX"
	PTR  Type = "PTR"
	TXT  Type = "TXT"
	SPF  Type = "SPF"
)

// Question is what is asked.
type Question struct {
	Name string // absolute, lower case, without the trailing dot; A-labels
	Type Type
}

// String writes it for people: "TXT example.com", with odd bytes of the name as \DDD.
func (q Question) String() string {
	return string(q.Type) + " " + strings.TrimSuffix(present(q.Name), ".")
}

// Outcome is how a question ended.
type Outcome string

// The closed set of outcomes.
const (
	Found     Outcome = "found"     // records are there
	NXDomain  Outcome = "nxdomain"  // the name does not exist (RFC 8020: nor anything below it)
	NoData    Outcome = "nodata"    // the name exists, the type does not
	ServFail  Outcome = "servfail"  // SERVFAIL
	Refused   Outcome = "refused"   // any other RCODE
	Timeout   Outcome = "timeout"   // no answer in time
	Malformed Outcome = "malformed" // the name cannot be asked for (ErrName), or the answer cannot be read
	OverLimit Outcome = "overlimit" // not asked: the message's budget is used up
	Busy      Outcome = "busy"      // not asked: too many questions of all messages are under way
)

// MXRecord is one MX.
type MXRecord struct {
	Preference uint16
	Host       string // as Question.Name; "" is the null MX (RFC 7505)
}

// Answer is what came back. Only the slice of the question's type is filled, and
// never empty when Found. Answers may be shared: do not modify the slices.
type Answer struct {
	Outcome Outcome
	TXT     []string // of TXT and SPF: the strings of one record joined without space (RFC 7208 section 3.3); raw bytes
	Addrs   []netip.Addr
	MX      []MXRecord
	Names   []string // of PTR; as Question.Name
	Alias   string   // where CNAMEs led, as Question.Name; "" if there was none
	TTL     time.Duration
	Secure  bool // AD was set by a server we trust for it: for the log and Cache.Cut only
	Cached  bool // came from the cache
	// Stale: the answer is beyond its TTL, and this is how asking anew has ended
	// (RFC 8767); "" otherwise.
	Stale  Outcome
	Server string // who said so: address, or "zone"
	Err    error  // detail for Outcome other than Found; may be nil
	memo   *Memo
}

// Source answers questions. It never panics, honours ctx, and is safe for
// concurrent use.
type Source interface {
	Query(ctx context.Context, q Question) Answer
}
