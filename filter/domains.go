package filter

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekimori/filter/mail"
)

// Domains is the set of protected domains, each with the customer whom it
// belongs to. Immutable. nil is the empty set.
type Domains struct {
	owner map[string]string // by name as DomainKey gives it
	depth int               // dots of the name that has most
}

// NewDomains takes domains with their customers, "" for none. Names that
// DomainKey does not take are an error that tells of at most ten of them.
func NewDomains(owner map[string]string) (*Domains, error) {
	d := &Domains{owner: make(map[string]string, len(owner))}
	customers := map[string]string{}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(owner)) {
		key, err := DomainKey(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("protected domain %q: %w", name, err))
			continue
		}
		customer := owner[name]
		if _, known := customers[customer]; !known {
			customers[strings.Clone(customer)] = strings.Clone(customer) // nothing of a source's buffer stays in memory
		}
		if other, twice := d.owner[key]; twice && other != customer {
			faults = append(faults, fmt.Errorf("protected domain %q: it is of customer %q and of %q", name, other, customer))
		}
		d.owner[strings.Clone(key)] = customers[customer]
		d.depth = max(d.depth, strings.Count(key, "."))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults[:min(len(faults), 10)]...)
	}
	return d, nil
}

// DomainKey is the form in which protected domains are compared: A-labels, lower
// case, no trailing dot. What everybody registers names below, as "com" or
// "co.jp", is an error, for it would make everybody's mail a customer's.
func DomainKey(s string) (string, error) {
	key, err := mail.ASCIIDomain(s)
	if err != nil {
		return "", err
	}
	if isSuffix(key) {
		return "", errors.New("a public suffix belongs to no customer")
	}
	return key, nil
}

// isSuffix tells names under which a registry lets others register: those of the
// ICANN section of the Public Suffix List, and every single label.
func isSuffix(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return suffix == name && (icann || !strings.Contains(name, "."))
}

// Owner finds the protected domain that a name is or is below, the nearest, and
// its customer. domain is as mail.ASCIIDomain gives it.
func (d *Domains) Owner(domain string) (protected, customer string, ok bool) {
	if d == nil || len(d.owner) == 0 {
		return "", "", false
	}
	for name := range upward(domain, d.depth) {
		if customer, ok = d.owner[name]; ok {
			return name, customer, true
		}
	}
	return "", "", false
}

// upward gives a name and those above it, the longest first, without those that
// have more dots than depth.
func upward(name string, depth int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for dots := strings.Count(name, "."); ; dots-- {
			if dots <= depth && !yield(name) || dots == 0 {
				return
			}
			name = name[strings.IndexByte(name, '.')+1:]
		}
	}
}

// Len is the number of domains.
func (d *Domains) Len() int {
	if d == nil {
		return 0
	}
	return len(d.owner)
}

// All gives each domain with its customer, in no order.
func (d *Domains) All() iter.Seq2[string, string] {
	if d == nil {
		return func(func(string, string) bool) {}
	}
	return maps.All(d.owner)
}
