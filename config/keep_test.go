package config

import (
	"slices"
	"strings"
	"testing"
)

func TestKeep(t *testing.T) {
	present, next := Default(), Default()
	next.Hostname = "new.example.net"
	next.Listener.Address = ":2525"
	next.Policy.Mode = "shadow"
	next.Policy.Replies = map[string]string{"spf_fail": "no"}
	before := literalAll(next)
	kept := Keep(present, next, func(key string) bool { return strings.HasSuffix(key, ".address") || key == "policy.replies" })
	want := []string{`hostname: "" -> "new.example.net"`, `policy.mode: "enforce" -> "shadow"`}
	if got := Diff(present, kept); !slices.Equal(got, want) {
		t.Errorf("taken over: %q", got)
	}
	want = []string{`listener.address: ":25" -> ":2525"`, `policy.replies: {} -> {spf_fail = "no"}`}
	if got := Diff(kept, next); !slices.Equal(got, want) {
		t.Errorf("left for later: %q", got)
	}
	if literalAll(present) != literalAll(Default()) || literalAll(next) != before {
		t.Error("an argument was changed")
	}
}

// literalAll is every key with its value.
func literalAll(c Config) string { return strings.Join(Diff(Config{}, c), "\n") }
