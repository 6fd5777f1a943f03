package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
)

// Rules are all that may differ from recipient to recipient: what is decided,
// and how the facts for it are found.
type Rules struct {
	Policy Policy
	Voids  int         // lookups of SPF that may find nothing; 2 (RFC 7208 section 4.6.4)
	DKIM   dkim.Limits // its Time and Author are set by Check
	DMARC  dmarc.Options
	IPRev  bool // check the reverse name of the client (RFC 8601 section 2.7.3)

	SenderDomain bool // look up whether the domain of MAIL FROM exists and takes mail (RFC 7505)
}

// Tenant is recipients with rules of their own.
type Tenant struct {
	Name       string   // for the log; the list of this name is theirs
	Recipients []string // as RecipientKey takes them
	Customers  []string // whose domains are theirs, as Domains tells
}

// Mixed is what becomes of a message whose recipients have different rules.
type Mixed string

// The modes. With each but Split, as with rules that Split has not kept apart,
// one verdict holds for all recipients.
const (
	Split     Mixed = "split"     // the door takes them one after the other: each message has one policy
	Strictest Mixed = "strictest" // the verdict of the strictest rules holds
	Mildest   Mixed = "mildest"   // that of the mildest
)

// tenants finds the rules of a recipient. nil knows one set of rules for all.
type tenants struct {
	all         []Tenant
	byRecipient map[string]int
	byCustomer  map[string]int
	rules       func(layers []int) Rules

	mu      sync.RWMutex
	rulings map[string]*ruling // by layers
	ids     map[string]string  // of rules, by their text
}

// ruling is what holds for all recipients of the same layers.
type ruling struct {
	layers  []int // indices of tenants: what the later ones set counts
	rules   Rules
	effect  string // the same where all rules are the same, whatever the names
	methods string // the same where the facts are found in the same way
}

// WithTenants gives a Filter in which the recipients of tenants have rules of
// their own and all others those of f. A recipient may be of several tenants, at
// different levels: of one by the customer whose domain it is, of others by a
// domain above it, by its domain and by its address. rules makes one set of all
// these layers, given from the farthest to the nearest; it is called for each
// combination once, when the first such recipient comes.
//
// A recipient or customer of two tenants is an error, as is a recipient that
// RecipientKey does not take.
func (f Filter) WithTenants(all []Tenant, rules func(layers []int) Rules) (*Filter, error) {
	t := &tenants{
		all: all, rules: rules, byRecipient: map[string]int{}, byCustomer: map[string]int{},
		rulings: map[string]*ruling{}, ids: map[string]string{},
	}
	for i, one := range all {
		for _, r := range one.Recipients {
			key, err := RecipientKey(r)
			if err != nil {
				return nil, fmt.Errorf("tenant %s: recipient %q: %w", one.Name, r, err)
			}
			if other, taken := t.byRecipient[key]; taken {
				return nil, fmt.Errorf("tenant %s: recipient %q is one of tenant %s", one.Name, r, all[other].Name)
			}
			t.byRecipient[key] = i
		}
		for _, c := range one.Customers {
			if other, taken := t.byCustomer[c]; taken {
				return nil, fmt.Errorf("tenant %s: customer %q is one of tenant %s", one.Name, c, all[other].Name)
			}
			t.byCustomer[c] = i
		}
	}
	t.rulings[""] = t.newRuling(nil, f.Rules)
	f.tenants = t
	return &f, nil
}

// RecipientKey is the form in which recipients are compared: of a domain
// ("example.net"), of all below one (".example.net") or of an address
// ("user@example.net"), whose letter case does not count on either side.
func RecipientKey(s string) (string, error) {
	if !strings.Contains(s, "@") {
		parent := strings.TrimPrefix(s, ".")
		domain, err := mail.ASCIIDomain(parent)
		return s[:len(s)-len(parent)] + domain, err
	}
	path, err := mail.ParseMailbox(s, true)
	if err != nil {
		return "", err
	}
	local, domain, ok := splitRecipient(path)
	if !ok {
		return "", errors.New("the address has no domain name")
	}
	return local + "@" + domain, nil
}

func splitRecipient(path string) (local, domain string, ok bool) {
	local, domain, ok = mail.SplitAddress(path)
	if !ok {
		return "", "", false
	}
	domain, err := mail.ASCIIDomain(domain)
	return strings.ToLower(local), domain, err == nil
}

// prefers tells whether v holds in place of another verdict on the same
// message. What is carried out counts first, then what would have been done.
func (m Mixed) prefers(v, other Verdict) bool {
	order := slices.Compare(v.strictness(), other.strictness())
	if m == Mildest {
		return order < 0
	}
	return order > 0
}

func (v Verdict) strictness() []int {
	order := []Action{Accept, Tag, Quarantine, Defer, Reject}
	return []int{slices.Index(order, v.Enforced()), slices.Index(order, v.Action)}
}
