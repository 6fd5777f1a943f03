// Package spf checks a client against the Sender Policy Framework (RFC 7208,
// with RFC 7372 and 8616). An address, a HELO name and a reverse-path go in,
// the results of the two identities come out. The evaluation is that of
// blitiri.com.ar/go/spf behind a strict reading of the record's grammar: each
// record is read here, handed to the library with every domain-spec replaced by
// a placeholder, and the library's questions are answered here.
package spf

import (
	"context"
	"net/netip"
	"time"

	"sekimori/filter/dns"
)

// Word is a result of RFC 7208 section 2.6.
type Word string

// The results.
const (
	None      Word = "none"
	Neutral   Word = "neutral"
	Pass      Word = "pass"
	Fail      Word = "fail"
	SoftFail  Word = "softfail"
	TempError Word = "temperror"
	PermError Word = "permerror"
)

// Result is what one identity gave.
type Result struct {
	Word      Word
	Domain    string // checked, as mail.ASCIIDomain; "" if there was none to check
	Mechanism string // the directive that matched, as written in the record, without its qualifier, at most 255 bytes; "" if none did
	Reason    string // plain words if no directive matched; no bytes from the wire but checked domains
	Lookups   int    // terms that count against the limit of ten (RFC 7208 section 4.6.4)

	// Explanation is what the domain says about a fail (RFC 7208 section 6.2):
	// a stranger's words, printable ASCII, at most 200 bytes; "" if there are none.
	Explanation string
}

// Results are those of the two identities.
type Results struct {
	Helo     Result // RFC 7208 section 2.3
	MailFrom Result // RFC 7208 section 2.4; of postmaster@HELO for the null sender
}

// Resolver is what Check asks; *dns.Session is one. Errors are *dns.Error.
// network is "ip4" or "ip6".
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]dns.MXRecord, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error)
}

// Checker holds what a host may decide. The zero value is ready.
type Checker struct {
	// Receiver is our host's name in explanations (RFC 7208 section 7.3, "r");
	// "" is said as "unknown".
	Receiver string
	// Voids is how many lookups may find nothing (RFC 7208 section 4.6.4);
	// 0 means the two that are recommended.
	Voids int
	// Questions bounds the different DNS questions for MAIL FROM (RFC 7208
	// section 11.1), beyond which the result is temperror. HELO may ask half as
	// many more. 0 means 30.
	Questions int
	// Now is the clock of the macro "t"; nil is time.Now.
	Now func() time.Time
}

// Check evaluates both identities as the zero Checker does.
func Check(ctx context.Context, r Resolver, client netip.Addr, helo, mailFrom string) Results {
	return Checker{}.Check(ctx, r, client, helo, mailFrom)
}

// Check evaluates both identities. It ends when ctx does, with temperror; RFC
// 7208 section 4.6.4 asks for at least 20 seconds.
//
// MAIL FROM comes first although section 2.3 would have HELO first: a client
// chooses its HELO name freely, and a slow or costly record there must not eat
// the time and the questions of the domain it pretends to write for.
func (c Checker) Check(ctx context.Context, r Resolver, client netip.Addr, helo, mailFrom string) Results {
	client = client.Unmap().WithZone("") // RFC 7208 section 5: a mapped address is IPv4
	greeting := heloSender(helo)
	sender := greeting // RFC 7208 section 2.4: the null sender
	if mailFrom != "" {
		sender = mailSender(mailFrom)
	}
	ask := &asker{resolver: r, left: c.questions(), seen: map[dns.Question]bool{}}
	results := Results{MailFrom: c.identity(ctx, ask, client, helo, sender)}
	if mailFrom == "" {
		results.Helo = results.MailFrom
		return results
	}
	ask.left = c.questions() / 2
	results.Helo = c.identity(ctx, ask, client, helo, greeting)
	return results
}

// identity is check_host() of RFC 7208 section 4.
func (c Checker) identity(ctx context.Context, ask *asker, client netip.Addr, helo string, s sender) Result {
	switch {
	case s.fault != "":
		return Result{Word: None, Reason: s.fault}
	case !client.IsValid():
		return Result{Word: None, Domain: s.domain, Reason: "the client has no IP address"}
	}
	e := &evaluation{ask: ask, sender: s, client: client, helo: helo, receiver: c.Receiver, now: c.Now}
	return e.run(ctx, uint(c.voids()))
}

func (c Checker) questions() int {
	if c.Questions == 0 {
		return 30
	}
	return c.Questions
}

func (c Checker) voids() int {
	if c.Voids == 0 {
		return 2
	}
	return c.Voids
}
