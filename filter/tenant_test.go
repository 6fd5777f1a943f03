package filter

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// rules are those of testFilter but for a change.
func rules(change func(*Rules)) Rules {
	r := Rules{Policy: testPolicy()}
	change(&r)
	return r
}

// testTenant has rules of its own, whatever the layers below it say.
type testTenant struct {
	Tenant
	rules Rules
}

// withTenants takes for each recipient the rules of the nearest.
func withTenants(f *Filter, all []testTenant) (*Filter, error) {
	var tenants []Tenant
	for _, one := range all {
		tenants = append(tenants, one.Tenant)
	}
	return f.WithTenants(tenants, func(layers []int) Rules { return all[layers[len(layers)-1]].rules })
}

func ofNames(name string, recipients ...string) Tenant {
	return Tenant{Name: name, Recipients: recipients}
}

// tenantFilter has a strict tenant, one in shadow mode, one who tags, one whose
// rules are everybody's and one whose checks differ.
func tenantFilter(t *testing.T, source dns.Source, m Mixed) *Filter {
	t.Helper()
	f, err := withTenants(testFilter(source), []testTenant{
		{ofNames("strict", "strict.example", "VIP@Everybody.example"), rules(func(r *Rules) { r.Policy.DMARCReject = Strict })},
		{ofNames("shadow", ".strict.example", "boss@strict.example"), rules(func(r *Rules) { r.Policy.Shadow = true })},
		{ofNames("twin", "twin.example"), rules(func(r *Rules) { r.Policy.DMARCReject = Strict })},
		{ofNames("same", "same.example"), rules(func(*Rules) {})},
		{ofNames("lenient", "lenient.example"), rules(func(r *Rules) { r.Policy.DMARCReject, r.Policy.HelpURL = Lenient, "https://lenient.example" })},
		{ofNames("iprev", "iprev.example"), rules(func(r *Rules) { r.IPRev = true })},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Mixed = m
	return f
}

func TestTenantOf(t *testing.T) {
	f := tenantFilter(t, nil, Split)
	for rcpt, want := range map[string]string{
		"a@strict.example":           "strict",
		"A@STRICT.Example":           "strict",
		"vip@everybody.example":      "strict",
		"VIP@everybody.example":      "strict",
		"other@everybody.example":    "",
		"boss@strict.example":        "shadow",
		"a@sub.strict.example":       "shadow",
		"a@b.sub.strict.example":     "shadow",
		"boss@sub.strict.example":    "shadow",
		"a@notstrict.example":        "",
		"a@example":                  "",
		"strict.example":             "",
		"a@[192.0.2.1]":              "",
		"":                           "",
		"x@strict.example@y.example": "",
	} {
		got := ""
		if layers := f.Layers(rcpt); len(layers) > 0 {
			got = f.tenants.all[layers[len(layers)-1].Tenant].Name
		}
		if got != want {
			t.Errorf("%s is of %q, want %q", rcpt, got, want)
		}
	}
}

func TestRecipientKey(t *testing.T) {
	for in, want := range map[string]string{
		"Example.NET":           "example.net",
		".Example.net":          ".example.net",
		"例え.jp":                 "xn--r8jz45g.jp",
		"User@例え.jp":            "user@xn--r8jz45g.jp",
		`"a b"@example.net`:     `"a b"@example.net`,
		"":                      "error",
		".":                     "error",
		"..example.net":         "error",
		"*.example.net":         "error",
		"@example.net":          "error",
		"user@":                 "error",
		"user@.example.net":     "error",
		"user@[192.0.2.1]":      "error",
		"a@b@example.net":       "error",
		"User <a@example.net>":  "error",
		"example.net, other.jp": "error",
	} {
		got, err := RecipientKey(in)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
}

func TestWithTenantsRefuses(t *testing.T) {
	for _, recipients := range [][]string{{"a b"}, {"example.net", "EXAMPLE.net"}, {"a@example.net", "A@Example.Net"}} {
		if _, err := withTenants(testFilter(nil), []testTenant{{ofNames("a", recipients[:1]...), Rules{}}, {ofNames("b", recipients[1:]...), Rules{}}}); err == nil {
			t.Errorf("%q: no error", recipients)
		}
	}
}

// Recipients are kept apart by what their rules do, not by whose they are.
func TestEffect(t *testing.T) {
	together := func(f *Filter, a, b string) bool { return f.Effect("x@"+a) == f.Effect("x@"+b) }
	tests := []struct {
		a, b         string
		split, other bool
	}{
		{"strict.example", "strict.example", true, true},
		{"strict.example", "twin.example", true, true},
		{"same.example", "nobody.example", true, true},
		{"strict.example", "nobody.example", false, true},
		{"sub.strict.example", "nobody.example", false, true},
		{"lenient.example", "strict.example", false, true},
		{"iprev.example", "nobody.example", false, false},
	}
	for _, tt := range tests {
		for m, want := range map[Mixed]bool{Split: tt.split, "": tt.split, Strictest: tt.other, Mildest: tt.other} {
			if got := together(tenantFilter(t, nil, m), tt.a, tt.b); got != want {
				t.Errorf("%s: %s and %s together: %v", m, tt.a, tt.b, got)
			}
		}
	}
	if e := testFilter(nil).Effect("a@example.net"); e != "" {
		t.Errorf("without tenants %q", e)
	}
}

func readFor(t *testing.T, rcpts ...string) *mail.Message {
	t.Helper()
	m := read(t, "a@example.org", plain) // a spoof of example.com, p=reject
	m.Envelope.Rcpts = rcpts
	return m
}

func TestMixed(t *testing.T) {
	tests := []struct {
		name    string
		mixed   Mixed
		rcpts   []string
		action  Action
		shadow  bool
		tenants []string
	}{
		{"nobody's", Split, []string{"x@nobody.example"}, Reject, false, nil},
		{"no recipient", Split, nil, Reject, false, nil},
		{"one", Split, []string{"x@lenient.example"}, Quarantine, false, []string{"lenient"}},
		{"shadow", Split, []string{"boss@strict.example"}, Reject, true, []string{"shadow"}},
		{"equal rules", Split, []string{"x@twin.example", "x@strict.example", "y@twin.example"}, Reject, false, []string{"twin", "strict"}},
		{"somebody with everybody's rules", Split, []string{"x@nobody.example", "x@same.example"}, Reject, false, []string{"same"}},
		{"strictest", Strictest, []string{"x@lenient.example", "x@strict.example"}, Reject, false, []string{"strict"}},
		{"mildest", Mildest, []string{"x@strict.example", "x@lenient.example"}, Quarantine, false, []string{"lenient"}},
		{"not kept apart", Split, []string{"x@lenient.example", "x@strict.example"}, Reject, false, []string{"strict"}},
		{"strictest of shadow and lenient", Strictest, []string{"boss@strict.example", "x@lenient.example"}, Quarantine, false, []string{"lenient"}},
		{"mildest of strict and shadow", Mildest, []string{"x@strict.example", "boss@strict.example"}, Reject, true, []string{"shadow"}},
		{"of equals the first", Mildest, []string{"x@strict.example", "x@nobody.example"}, Reject, false, []string{"strict"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tenantFilter(t, zone(t, testZone), tt.mixed)
			v := f.Check(context.Background(), readFor(t, tt.rcpts...))
			if v.Action != tt.action || v.Shadow != tt.shadow || !slices.Equal(v.Tenants, tt.tenants) {
				t.Errorf("%s, shadow %v, by %q", v.Action, v.Shadow, v.Tenants)
			}
		})
	}
}

// RFC 5321 knows one reply for all: it is that of the rules that hold.
func TestReplyOfTenant(t *testing.T) {
	f, err := withTenants(testFilter(zone(t, testZone)), []testTenant{
		{ofNames("helped", "helped.example"), rules(func(r *Rules) { r.Policy.HelpURL = "https://helped.example/" })},
	})
	if err != nil {
		t.Fatal(err)
	}
	for rcpt, want := range map[string]bool{"a@helped.example": true, "a@nobody.example": false} {
		if v := f.Check(context.Background(), readFor(t, rcpt)); strings.Contains(v.Reply.Text, "https://helped.example/") != want {
			t.Errorf("%s: %s", rcpt, v.Reply.Text)
		}
	}
}

func TestPrefersOrder(t *testing.T) {
	order := []Action{Accept, Tag, Quarantine, Defer, Reject}
	for i, a := range order {
		for j, b := range order {
			v, other := Verdict{Action: a}, Verdict{Action: b}
			if Strictest.prefers(v, other) != (i > j) || Mildest.prefers(v, other) != (i < j) {
				t.Errorf("%s and %s", a, b)
			}
		}
	}
}

// The facts are found once for all rules that want the same, and by each
// tenant's own where they do not.
func TestTenantMethods(t *testing.T) {
	asked := map[string]int{}
	z := zone(t, testZone)
	counting := func() dns.Source {
		clear(asked)
		return sourceFunc(func(ctx context.Context, q dns.Question) dns.Answer {
			if q.Type == dns.PTR {
				asked[q.Name]++
			}
			return z.Query(ctx, q)
		})
	}
	f := tenantFilter(t, counting(), Strictest)
	f.Check(context.Background(), readFor(t, "x@strict.example", "x@lenient.example"))
	if len(asked) != 0 {
		t.Errorf("asked %v for those who did not want it", asked)
	}
	f = tenantFilter(t, counting(), Strictest)
	v := f.Check(context.Background(), readFor(t, "x@iprev.example"))
	if len(asked) != 1 || v.Results.IPRev.Word == "none" {
		t.Errorf("asked %v: %+v", asked, v.Results.IPRev)
	}
}

func BenchmarkEffect(b *testing.B) {
	all := make([]testTenant, 1000)
	for i := range all {
		name := strings.Repeat("a", 1+i%60) + string(rune('a'+i/60))
		all[i] = testTenant{ofNames(name, name+".example", "u@"+name+".test"), rules(func(r *Rules) { r.Policy.HelpURL = name })}
	}
	f, err := withTenants(testFilter(nil), all)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f.Effect("somebody@mail.aaaaaaaaa.example")
	}
}

// The levels of a recipient, from his customer to his address.
func TestLayers(t *testing.T) {
	var asked []string
	f, err := testFilter(nil).WithTenants([]Tenant{
		{Name: "boss", Recipients: []string{"boss@shop.acme.example"}},
		{Name: "acme", Customers: []string{"acme"}, Recipients: []string{"extra.example"}},
		{Name: "shop", Recipients: []string{"shop.acme.example", "twice.acme.example"}},
		{Name: "below", Recipients: []string{".acme.example", "twice@twice.acme.example"}},
		{Name: "all", Recipients: []string{".example"}},
	}, func(layers []int) Rules {
		asked = append(asked, fmt.Sprint(layers))
		return rules(func(r *Rules) { r.Policy.HelpURL = fmt.Sprint(layers) })
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Live = &Live{}
	f.Live.SetDomains(domains(t, map[string]string{"acme.example": "acme", "other.example": "other", "free.test": ""}))
	for rcpt, want := range map[string]string{
		"boss@shop.acme.example":   "acme(customer acme) all(.example) below(.acme.example) shop(shop.acme.example) boss(boss@shop.acme.example)",
		"a@shop.acme.example":      "acme(customer acme) all(.example) below(.acme.example) shop(shop.acme.example)",
		"a@acme.example":           "acme(customer acme) all(.example)",
		"a@other.example":          "all(.example)",
		"a@extra.example":          "all(.example) acme(extra.example)",
		"twice@twice.acme.example": "acme(customer acme) all(.example) shop(twice.acme.example) below(twice@twice.acme.example)",
		"a@free.test":              "",
		"a@b@c":                    "",
	} {
		var got []string
		for _, l := range f.Layers(rcpt) {
			got = append(got, f.tenants.all[l.Tenant].Name+"("+l.By+")")
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", rcpt, got, want)
		}
		f.Effect(rcpt)
		f.Effect(rcpt)
	}
	if len(asked) != 6 {
		t.Errorf("rules were made for %v", asked)
	}
}

// Recipients with lists of their own come in messages of their own, and no list is
// asked for another's recipient.
func TestEffectOfLists(t *testing.T) {
	f := tenantFilter(t, nil, Split)
	f.Live = &Live{}
	f.Live.SetDomains(domains(t, map[string]string{"one.example": "one", "two.example": "two", "three.example": "three"}))
	same := func() bool { return f.Effect("a@one.example") == f.Effect("a@two.example") }
	if !same() {
		t.Error("without lists")
	}
	f.Live.SetList("one", listOf(t, Entry{Domain: "x.example", Block: true}))
	if same() || f.Effect("a@two.example") != f.Effect("a@three.example") {
		t.Error("with a list of the first")
	}
	f.Live.SetList("one", nil)
	f.Live.SetList(EverybodysList, listOf(t, Entry{Domain: "x.example"}))
	if !same() {
		t.Error("with everybody's")
	}
}

// Rules are made while mail comes, by several at once.
func TestRulingsAtOnce(t *testing.T) {
	f := tenantFilter(t, zone(t, testZone), Split)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, rcpt := range []string{"a@strict.example", "boss@strict.example", "x@sub.strict.example", "a@nobody.example"} {
				if f.Effect(rcpt) == "" {
					t.Error("no effect")
				}
			}
		})
	}
	wg.Wait()
}
