package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const layered = `
[policy]
mode = "shadow"
dmarc.reject = "strict"
replies.spf_fail = "base"
rollout.spf_fail = 10

[[tenant]]
name = "customer"
customers = ["acme"]
policy.mode = "enforce"
policy.replies.spf_fail = "customer"
policy.lists = ["one"]

[[tenant]]
name = "domain"
recipients = ["a.example"]
policy.mode = "shadow"
policy.rollout.spf_fail = 50
policy.replies.bare_newline = "domain"
`

// Each key is as the nearest has it who sets it, even if that is what [policy]
// says.
func TestPolicyOf(t *testing.T) {
	c, err := Parse("", []byte(layered))
	if err != nil {
		t.Fatal(err)
	}
	p := c.PolicyOf(0, 1)
	if p.Mode != "shadow" || p.DMARC.Reject != "strict" || p.Replies["spf_fail"] != "customer" || p.Replies["bare_newline"] != "domain" || p.Rollout["spf_fail"] != 50 || len(p.Lists) != 1 {
		t.Errorf("%+v", p)
	}
	if p := c.PolicyOf(1, 0); p.Mode != "enforce" || p.Rollout["spf_fail"] != 50 {
		t.Errorf("the other way round: %+v", p)
	}
	if p := c.PolicyOf(); p.Mode != "shadow" || len(p.Replies) != 1 || p.Rollout["spf_fail"] != 10 {
		t.Errorf("nobody's: %+v", p)
	}
	if c.Policy.Replies["spf_fail"] != "base" || c.Policy.Rollout["spf_fail"] != 10 {
		t.Error("[policy] was changed")
	}
}

func TestSettings(t *testing.T) {
	c, err := Parse("", []byte(layered))
	if err != nil {
		t.Fatal(err)
	}
	lines := Lines([]byte(layered))
	got := map[string]string{}
	for _, s := range c.Settings(0, 1) {
		got[s.Key] = s.Value
		if s.Tenant >= 0 {
			got[s.Key] += " of " + c.Tenants[s.Tenant].Name
		}
		if n := lines[s.Path()]; n > 0 {
			if text := strings.Split(layered, "\n")[n-1]; !strings.Contains(text, s.Value) {
				t.Errorf("%s stands in %q", s.Key, text)
			}
			got[s.Key] += ", line"
		}
	}
	for key, want := range map[string]string{
		"mode":                 `"shadow" of domain, line`,
		"dmarc.reject":         `"strict", line`,
		"dmarc.quarantine":     `"quarantine"`,
		"lists":                `["one"] of customer, line`,
		"replies.spf_fail":     `"customer" of customer, line`,
		"replies.bare_newline": `"domain" of domain, line`,
		"rollout.spf_fail":     `50 of domain, line`,
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
}

func TestRolloutWords(t *testing.T) {
	_, err := Parse("x.toml", []byte("[policy.rollout]\nspf_fial = 5\nspf_fail = 101\n[[tenant]]\nname='a'\ncustomers=['a']\npolicy.rollout.nothing = 1"), KnownRollouts([]string{"spf_fail"}))
	for _, want := range []string{`policy.rollout.spf_fial: no rule has this reason; did you mean "spf_fail"?`, "policy.rollout.spf_fail: 101 is out of range: 0 to 100", "tenant.policy.rollout.nothing: no rule has this reason"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
