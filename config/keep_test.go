package config

import (
	"slices"
	"strings"
	"testing"
)

func TestKeep(t *testing.T) {
	present, next := Default(), Default()
	next.Hostname = "new.example.net"
	next.Admin.Address = ":2525"
	next.Policy.Mode = "shadow"
	next.Policy.Replies = map[string]string{"spf_fail": "no"}
	before := literalAll(next)
	kept := Keep(present, next, "admin", "policy.replies")
	want := []string{`hostname: "" -> "new.example.net"`, `policy.mode: "enforce" -> "shadow"`}
	if got := Diff(present, kept); !slices.Equal(got, want) {
		t.Errorf("taken over: %q", got)
	}
	want = []string{`policy.replies: {} -> {spf_fail = "no"}`, `admin.address: "127.0.0.1:9925" -> ":2525"`}
	if got := Diff(kept, next); !slices.Equal(got, want) {
		t.Errorf("left for later: %q", got)
	}
	if literalAll(present) != literalAll(Default()) || literalAll(next) != before {
		t.Error("an argument was changed")
	}
}

// literalAll is every key with its value.
func literalAll(c Config) string { return strings.Join(Diff(Config{}, c), "\n") }
