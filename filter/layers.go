package filter

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Layer is one of the tenants that a recipient is of.
type Layer struct {
	Tenant int    // index of what WithTenants was given
	By     string // "customer acme", or the recipient as RecipientKey has it
}

// Layers tells of which tenants a recipient is, from the farthest to the nearest.
func (f *Filter) Layers(rcpt string) []Layer {
	if f.tenants == nil {
		return nil
	}
	var room [8]Layer
	_, customer := f.customer(rcpt)
	all := f.tenants.layers(room[:0], rcpt, customer)
	for i := range all {
		if all[i].By == "" {
			all[i].By = "customer " + customer
		}
	}
	return slices.Clone(all)
}

// customer gives a recipient's domain and whose it is.
func (f *Filter) customer(rcpt string) (domain, customer string) {
	_, domain, ok := splitRecipient(rcpt)
	if !ok {
		return "", ""
	}
	_, customer, _ = f.Live.Domains().Owner(domain)
	return domain, customer
}

// layers appends the levels: customer (for which By stays ""), the domains above,
// the farthest first, the domain, the address. A tenant who is met twice counts
// where he is met last.
func (t *tenants) layers(all []Layer, rcpt, customer string) []Layer {
	add := func(tenant int, by string) {
		all = slices.DeleteFunc(all, func(l Layer) bool { return l.Tenant == tenant })
		all = append(all, Layer{tenant, by})
	}
	if i, ok := t.byCustomer[customer]; ok && customer != "" {
		add(i, "")
	}
	local, domain, ok := splitRecipient(rcpt)
	if !ok {
		return all
	}
	for dot := strings.LastIndexByte(domain, '.'); dot >= 0; dot = strings.LastIndexByte(domain[:dot], '.') {
		if i, ok := t.byRecipient[domain[dot:]]; ok {
			add(i, domain[dot:])
		}
	}
	if i, ok := t.byRecipient[domain]; ok {
		add(i, domain)
	}
	var room [320]byte
	address := append(append(append(room[:0], local...), '@'), domain...)
	if i, ok := t.byRecipient[string(address)]; ok {
		add(i, string(address))
	}
	return all
}

// of gives what holds for a recipient.
func (t *tenants) of(rcpt, customer string) *ruling {
	var layers [8]Layer
	var bytes [64]byte
	found, key := t.layers(layers[:0], rcpt, customer), bytes[:0]
	for _, l := range found {
		key = binary.BigEndian.AppendUint32(key, uint32(l.Tenant))
	}
	t.mu.RLock()
	r := t.rulings[string(key)]
	t.mu.RUnlock()
	if r != nil {
		return r
	}
	indices := make([]int, len(found))
	for i, l := range found {
		indices[i] = l.Tenant
	}
	r = t.newRuling(indices, t.rules(indices))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rulings[string(key)] = r
	return r
}

// newRuling names equal rules by equal ids.
func (t *tenants) newRuling(layers []int, r Rules) *ruling {
	methods := r
	methods.Policy = Policy{}
	return &ruling{layers, r, t.id(r), t.id(methods)}
}

// id is short for the text of rules. What is the same in all of them is left out:
// it may be long.
func (t *tenants) id(r Rules) string {
	r.Policy.AuthservID, r.Policy.Aliases, r.Policy.Trusted = "", nil, nil
	text := fmt.Sprintf("%#v", r)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ids[text] == "" {
		t.ids[text] = strconv.Itoa(len(t.ids) + 1)
	}
	return t.ids[text]
}

// ownLists are the lists that there are for a recipient in particular: of his
// customer, of his tenants, and those that his policy names.
func (f *Filter) ownLists(r *ruling, customer string) []string {
	var all []string
	add := func(name string) {
		if name != "" && f.Live.List(name).Len() > 0 && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if f.Live == nil {
		return nil
	}
	add(customer)
	for _, i := range slices.Backward(r.layers) {
		add(f.tenants.all[i].Name)
	}
	for _, name := range r.rules.Policy.Lists {
		add(name)
	}
	return all
}

// Lists names the lists that are asked about senders of mail to a recipient, in
// the order in which they are.
func (f *Filter) Lists(rcpt string) []string {
	all := f.ownLists(f.ruling(rcpt))
	if f.Live.List(EverybodysList).Len() > 0 {
		all = append(all, EverybodysList)
	}
	return all
}

// Owner tells in which protected domain a recipient is, and whose that is; both
// are "" if in none.
func (f *Filter) Owner(rcpt string) (protected, customer string) {
	_, domain, ok := splitRecipient(rcpt)
	if !ok {
		return "", ""
	}
	protected, customer, _ = f.Live.Domains().Owner(domain)
	return protected, customer
}

// Effect tells which recipients one message may have together: those for which
// it is the same. In mode Split all their rules are the same, and their lists; in
// the others still those by which facts are found, of which a message has but one
// set.
func (f *Filter) Effect(rcpt string) string {
	r, customer := f.ruling(rcpt)
	if f.Mixed == Strictest || f.Mixed == Mildest {
		return r.methods
	}
	if lists := f.ownLists(r, customer); len(lists) > 0 {
		return r.effect + " " + strings.Join(lists, " ")
	}
	return r.effect
}

// ruling gives what holds for a recipient, and whose customer he is.
func (f *Filter) ruling(rcpt string) (*ruling, string) {
	_, customer := f.customer(rcpt)
	if f.tenants == nil {
		return &ruling{rules: f.Rules}, customer
	}
	return f.tenants.of(rcpt, customer), customer
}

// party is the recipients of one message for whom the same rules and lists hold.
type party struct {
	*ruling
	names []string // of the nearest tenants, without everybody else's
	lists []string
}

// parties divides recipients, in the order of the first of each; there is always one.
func (f *Filter) parties(rcpts []string) []party {
	if len(rcpts) == 0 {
		rcpts = []string{""}
	}
	var all []party
	at := map[string]int{}
	for _, rcpt := range rcpts {
		r, customer := f.ruling(rcpt)
		lists := f.ownLists(r, customer)
		key := strings.Join(append(lists, r.effect), " ")
		i, met := at[key]
		if !met {
			i = len(all)
			at[key] = i
			all = append(all, party{ruling: r, lists: append(lists, EverybodysList)})
		}
		if len(r.layers) == 0 {
			continue
		}
		if name := f.tenants.all[r.layers[len(r.layers)-1]].Name; !slices.Contains(all[i].names, name) {
			all[i].names = append(all[i].names, name)
		}
	}
	return all
}
