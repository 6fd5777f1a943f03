package filter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
}

// Tenant is recipients with rules of their own.
type Tenant struct {
	Name       string   // for the log
	Recipients []string // as RecipientKey takes them
	Rules      Rules
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
	all         []tenant // everybody else first
	byRecipient map[string]int
}

type tenant struct {
	name    string
	rules   Rules
	effect  string // the same where all rules are the same, whatever the names
	methods string // the same where the facts are found in the same way
}

// WithTenants gives a Filter in which the recipients of tenants have their
// rules and all others those of f. A recipient of two tenants is an error, as is
// one that RecipientKey does not take.
func (f Filter) WithTenants(all []Tenant) (*Filter, error) {
	t := &tenants{byRecipient: map[string]int{}}
	ids := map[string]string{}
	t.add(ids, "", f.Rules)
	for _, one := range all {
		t.add(ids, one.Name, one.Rules)
		for _, r := range one.Recipients {
			key, err := RecipientKey(r)
			if err != nil {
				return nil, fmt.Errorf("tenant %s: recipient %q: %w", one.Name, r, err)
			}
			if other, taken := t.byRecipient[key]; taken {
				return nil, fmt.Errorf("tenant %s: recipient %q is one of tenant %s", one.Name, r, t.all[other].name)
			}
			t.byRecipient[key] = len(t.all) - 1
		}
	}
	f.tenants = t
	return &f, nil
}

// add names equal rules by equal ids.
func (t *tenants) add(ids map[string]string, name string, r Rules) {
	id := func(r Rules) string {
		text := fmt.Sprintf("%#v", r)
		if ids[text] == "" {
			ids[text] = strconv.Itoa(len(ids) + 1)
		}
		return ids[text]
	}
	methods := r
	methods.Policy = Policy{}
	t.all = append(t.all, tenant{name, r, id(r), id(methods)})
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

// of gives the index of the tenant: by address, else by domain, else by the
// nearest domain above; 0 for everybody else.
func (t *tenants) of(rcpt string) int {
	local, domain, ok := splitRecipient(rcpt)
	if !ok {
		return 0
	}
	if i, ok := t.byRecipient[local+"@"+domain]; ok {
		return i
	}
	if i, ok := t.byRecipient[domain]; ok {
		return i
	}
	for {
		dot := strings.IndexByte(domain, '.')
		if dot < 0 {
			return 0
		}
		if i, ok := t.byRecipient[domain[dot:]]; ok {
			return i
		}
		domain = domain[dot+1:]
	}
}

// Effect tells which recipients one message may have together: those for which
// it is the same. In mode Split all their rules are the same; in the others
// still those by which facts are found, of which a message has but one set.
func (f *Filter) Effect(rcpt string) string {
	if f.tenants == nil {
		return ""
	}
	t := f.tenants.all[f.tenants.of(rcpt)]
	if f.Mixed == Strictest || f.Mixed == Mildest {
		return t.methods
	}
	return t.effect
}

// party is the recipients of one message for whom the same rules hold.
type party struct {
	tenant
	names []string // of their tenants, without everybody else's
}

// parties divides recipients, in the order of the first of each; there is always one.
func (f *Filter) parties(rcpts []string) []party {
	if f.tenants == nil {
		return []party{{tenant: tenant{rules: f.Rules}}}
	}
	if len(rcpts) == 0 {
		return []party{{tenant: f.tenants.all[0]}}
	}
	var all []party
	at := map[string]int{}
	for _, r := range rcpts {
		t := f.tenants.all[f.tenants.of(r)]
		i, met := at[t.effect]
		if !met {
			i = len(all)
			at[t.effect] = i
			all = append(all, party{tenant: t})
		}
		if t.name != "" && !slices.Contains(all[i].names, t.name) {
			all[i].names = append(all[i].names, t.name)
		}
	}
	return all
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
