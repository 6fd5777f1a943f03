package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// logged are the lines of one kind ("message", "program") in a log.
func logged(t *testing.T, log, kind string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(log) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if fields["event.dataset"] == "sekimori."+kind {
			all = append(all, fields)
		}
	}
	return all
}

// wantLogged fails unless a line of a message has all of these, written
// "name=value".
func wantLogged(t *testing.T, log string, want ...string) {
	t.Helper()
	for _, line := range logged(t, log, "message") {
		found := 0
		for _, field := range want {
			name, value, _ := strings.Cut(field, "=")
			if v, there := line[name]; there && fmt.Sprint(v) == value || !there && value == "" {
				found++
			}
		}
		if found == len(want) {
			return
		}
	}
	t.Errorf("no message with %q in\n%s", want, log)
}
