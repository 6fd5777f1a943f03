package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestTenants(t *testing.T) {
	own := func(change func(*Policy)) Policy {
		p := defaultPolicy()
		change(&p)
		return p
	}
	shadow := own(func(p *Policy) { p.Mode = "shadow" })
	tests := []struct {
		name, text string
		want       []Tenant
	}{
		{"all as in the default", "[[tenant]]\nname = 'a'\nrecipients = ['a.example']", []Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: defaultPolicy()}}},
		{"single brackets", "[tenant]\nname = 'a'\nrecipients = ['a.example']\npolicy.mode = 'shadow'", []Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: shadow}}},
		{"[policy] above", "[policy]\nmode = 'shadow'\n[[tenant]]\nname = 'a'\nrecipients = ['a.example']", []Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: shadow}}},
		{"[policy] below", "[[tenant]]\nname = 'a'\nrecipients = ['a.example']\n[tenant.policy]\nmode = 'shadow'\n[policy]\nmode = 'enforce'\nspf.fail = 'tag'",
			[]Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: own(func(p *Policy) { p.Mode, p.SPF.Fail = "shadow", "tag" })}}},
		{"back to the default", "policy.spf.explain = true\npolicy.help_url = 'https://a.example'\n[[tenant]]\nname = 'a'\nrecipients = ['a.example']\npolicy.help_url = ''\npolicy.spf.explain = false",
			[]Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: defaultPolicy()}}},
		{"two", "[[tenant]]\nname = 'a'\nrecipients = ['a.example']\n[tenant.policy.spf]\nfail = 'tag'\n[[tenant]]\nname = 'b'\nrecipients = ['b.example']\n[tenant.policy]\nmode = 'shadow'",
			[]Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: own(func(p *Policy) { p.SPF.Fail = "tag" })}, {Name: "b", Recipients: []string{"b.example"}, Policy: shadow}}},
		{"inline", "tenant = [{name = 'a', recipients = ['a.example'], policy = {mode = 'shadow'}}, {name = 'b', recipients = ['b.example']}]",
			[]Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: shadow}, {Name: "b", Recipients: []string{"b.example"}, Policy: defaultPolicy()}}},
		{"replies", "[policy.replies]\nspf_fail = 'x'\nbare_newline = 'y'\n[[tenant]]\nname = 'a'\nrecipients = ['a.example']\n[tenant.policy.replies]\nspf_fail = 'z'",
			[]Tenant{{Name: "a", Recipients: []string{"a.example"}, Policy: own(func(p *Policy) { p.Replies = map[string]string{"spf_fail": "z", "bare_newline": "y"} })}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("test.toml", []byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Tenants, cmpopts.IgnoreUnexported(Tenant{})); diff != "" {
				t.Error(diff)
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A tenant's entry never gets into the maps of others.
func TestTenantsShareNothing(t *testing.T) {
	c, err := Parse("", []byte("policy.replies.a = 'x'\n[[tenant]]\nname = 'a'\nrecipients = ['a']\npolicy.replies.b = 'y'\n[[tenant]]\nname = 'b'\nrecipients = ['b']"))
	if err != nil {
		t.Fatal(err)
	}
	c.Tenants[1].Policy.Replies["c"] = "z"
	if len(c.Policy.Replies) != 1 || len(c.Tenants[0].Policy.Replies) != 2 {
		t.Errorf("%v %v", c.Policy.Replies, c.Tenants[0].Policy.Replies)
	}
}

func TestManyTenants(t *testing.T) {
	text := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "[[tenant]]\nname='t%d'\nrecipients=['%d.example']\npolicy.mode='shadow'\n", i, i)
		}
		return []byte(b.String())
	}
	c, err := Parse("many", text(10000))
	if err != nil || len(c.Tenants) != 10000 || c.Tenants[9999].Policy.Mode != "shadow" {
		t.Errorf("%d tenants, %v", len(c.Tenants), err)
	}
	if _, err := Parse("many", text(10001)); err == nil || !strings.Contains(err.Error(), "more than 10000") {
		t.Errorf("one too many: %v", err)
	}
}

// The first of many may go, and the log of the reload stays short.
func TestDiffTenants(t *testing.T) {
	with := func(policy Policy, tenants ...Tenant) Config {
		c := Default()
		c.Policy, c.Tenants = policy, tenants
		return c
	}
	shadow := defaultPolicy()
	shadow.Mode = "shadow"
	got := Diff(
		with(defaultPolicy(), Tenant{Name: "a", Recipients: []string{"a.example"}, Policy: defaultPolicy()}, Tenant{Name: "b", Recipients: []string{"b.example"}, Policy: shadow}),
		with(shadow, Tenant{Name: "b", Recipients: []string{"b.example"}, Policy: shadow}, Tenant{Name: "c", Recipients: []string{"c.example"}, Policy: defaultPolicy()}))
	want := []string{
		`policy.mode: "enforce" -> "shadow"`,
		`tenant c.name: -> "c"`,
		`tenant c.recipients: -> ["c.example"]`,
		`tenant c.customers: -> []`,
		`tenant c.policy.mode: -> "enforce"`,
		`tenant a.name: "a" ->`,
		`tenant a.recipients: ["a.example"] ->`,
		`tenant a.customers: [] ->`,
		`tenant b.policy.mode: "shadow" ->`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
