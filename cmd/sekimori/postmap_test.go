package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

func TestPostmap(t *testing.T) {
	program, err := exec.LookPath("postmap")
	peer.Require(t, err == nil, "Postfix is not installed (Debian: apt-get install postfix)")
	dir := t.TempDir()
	t.Setenv("MAIL_CONFIG", dir)
	table := filepath.Join(dir, "domains")
	for name, text := range map[string]string{filepath.Join(dir, "main.cf"): "compatibility_level = 3.6\n", table: "example.com OK\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(program, "hash:"+table).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := postmap(program)(context.Background(), "hash:"+table, 1000)
	if err != nil || string(out) != "example.com\tOK\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := postmap(program)(context.Background(), "hash:"+table+"-none", 1000); err == nil || !strings.Contains(err.Error(), "No such file") {
		t.Error(err)
	}
}

// A program that does something else costs neither time nor memory without end,
// and gets nothing of our environment.
func TestPostmapBounds(t *testing.T) {
	t.Setenv("PGPASSWORD", "secret")
	for script, want := range map[string]string{
		"yes":      "printed too much",
		"sleep 60": "did not end in time",
		`echo "first $1 $2" >&2; echo x >&2; exit 1`: `exit status 1: "first -s hash:/x"`,
		`test -z "$PGPASSWORD" || exit 7; exit 3`:    "exit status 3",
	} {
		program := filepath.Join(t.TempDir(), "postmap")
		if err := os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\n%s\n", script), 0o755); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		start := time.Now()
		_, err := postmap(program)(ctx, "hash:/x", 1<<20)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || time.Since(start) > 10*time.Second {
			t.Errorf("%s: %v", script, err)
		}
	}
}
