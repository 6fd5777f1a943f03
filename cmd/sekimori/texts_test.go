package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/config"
	"sekimori/filter"
)

// A file of texts goes before the language's, and one that is wrong is found
// before anything runs.
func TestTexts(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	cfg.Policy.Language, cfg.Policy.Texts = "ja", write("own", "[spf_fail]\nown words\n")
	f, err := newFilter(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Policy.Texts; got[filter.SPFFail] != "own words" || !strings.Contains(got[filter.Blocked], "受信者") {
		t.Errorf("%q", got)
	}
	bad := write("bad.toml", "hostname = 'mx.example.net'\npolicy.texts = '"+write("bad", "[nothing]\nx\n")+"'\n[[tenant]]\nname = 'a'\ncustomers = ['a']\npolicy.texts = '"+filepath.Join(dir, "none")+"'\n")
	_, err = loadConfig(bad)
	for _, want := range []string{"policy.texts: ", "line 1: not a reason", "tenant.policy.texts: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
