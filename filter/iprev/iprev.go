// Package iprev checks that a client's address and its reverse name agree
// (RFC 8601 section 3). An address goes in, a result and the name that points
// back come out.
package iprev

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

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
	Reason string // plain words; "" with Pass
}

// Resolver is what Check asks; *dns.Session is one. Errors are *dns.Error.
type Resolver interface {
	LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// RFC 8601 section 3: names beyond some limit are ignored, as RFC 7208 section
// 4.6.4 does with those of ptr.
const maxNames = 10

// Check looks up the names of client and, one after the other, the addresses of at
// most ten of them. An invalid client gives None.
func Check(ctx context.Context, r Resolver, client netip.Addr) Result {
	client = client.Unmap().WithZone("")
	if !client.IsValid() {
		return Result{Word: None, Reason: "the client's address is not known"}
	}
	names, err := r.LookupAddr(ctx, client)
	if err != nil && !notFound(err) {
		return Result{Word: TempError, Reason: "the DNS did not answer for the name of " + client.String()}
	}
	names = usable(names)
	if len(names) == 0 {
		return Result{Word: PermError, Reason: client.String() + " has no name in the DNS"}
	}
	return forward(ctx, r, client, names)
}

// forward looks for a name that has the client's address.
func forward(ctx context.Context, r Resolver, client netip.Addr, names []string) Result {
	network := "ip6"
	if client.Is4() {
		network = "ip4"
	}
	var silent string
	for _, name := range names {
		addrs, err := r.LookupNetIP(ctx, network, name)
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap() == client }) {
			return Result{Word: Pass, Name: name}
		}
		if err != nil && !notFound(err) && silent == "" {
			silent = name
		}
	}
	// No name fits, but one that could not be asked might have.
	if silent != "" {
		return Result{Word: TempError, Reason: "the DNS did not answer for the address of " + silent}
	}
	if len(names) == 1 {
		return Result{Word: Fail, Reason: fmt.Sprintf("the name of %s, %s, does not point back", client, names[0])}
	}
	return Result{Word: Fail, Reason: fmt.Sprintf("none of the %d names of %s points back", len(names), client)}
}

// usable gives the names that can be looked up, each once, at most ten. Which ten
// does not depend on the order of the answer, which servers rotate.
func usable(names []string) []string {
	var list []string
	for _, n := range names {
		if name, err := mail.ASCIIDomain(n); err == nil {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(len(list), maxNames)]
}

func notFound(err error) bool {
	var e *dns.Error
	return errors.As(err, &e) && e.NotFound()
}
