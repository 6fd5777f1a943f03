package filter

import (
	"fmt"
	"testing"

	"sekimori/filter/dmarc"
)

// As many domains as the percentage says, the same each time; who is in stays in
// while it grows; and each reason begins with others.
func TestRollout(t *testing.T) {
	const n = 4000
	enforced := func(reason Reason, percent int) map[string]bool {
		p := testPolicy()
		p.Rollout = map[Reason]int{reason: percent}
		all := map[string]bool{}
		for i := range n {
			r := found(dmarc.Fail, dmarc.PolicyReject)
			r.Author.Domain = fmt.Sprintf("d%d.example", i)
			if p.rolledOut(reason, testMessage(), r) {
				all[r.Author.Domain] = true
			}
		}
		return all
	}
	before := map[string]bool{}
	for _, percent := range []int{0, 1, 10, 50, 99, 100} {
		now := enforced(DMARCFailReject, percent)
		if want := n * percent / 100; len(now) < want-n/20 || len(now) > want+n/20 || (percent%100 == 0 && len(now) != want) {
			t.Errorf("%d%%: %d of %d", percent, len(now), n)
		}
		for d := range before {
			if !now[d] {
				t.Fatalf("%s was in before %d%%, and is out", d, percent)
			}
		}
		before = now
	}
	both, a, b := 0, enforced(DMARCFailReject, 50), enforced(SPFFail, 50)
	for d := range a {
		if b[d] {
			both++
		}
	}
	if both < n/5 || both > n/3 {
		t.Errorf("%d domains are among the first half of both", both)
	}
}

func TestRolloutVerdict(t *testing.T) {
	p := testPolicy()
	r := found(dmarc.Fail, dmarc.PolicyReject)
	p.Rollout = map[Reason]int{DMARCFailReject: 0}
	if v := p.Decide(testMessage(), r); !v.Shadow || v.Action != Reject || v.Enforced() != Accept {
		t.Errorf("%+v", v)
	}
	p.Rollout = map[Reason]int{SPFFail: 0}
	if v := p.Decide(testMessage(), r); v.Shadow {
		t.Error("another rule's rollout is a shadow on this one")
	}
	p.Rollout = map[Reason]int{BareNewline: 0, InternalError: 0}
	if !p.rolledOut(BareNewline, testMessage(), r) {
		t.Error("a bare newline is let through")
	}
	if v := p.Decide(testMessage(), found(dmarc.Pass, "")); v.Shadow {
		t.Error("an accept is no shadow")
	}
}
