package sources

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/testdata/peer"
)

func postmap(ctx context.Context, table string, _ int64) ([]byte, error) {
	return exec.CommandContext(ctx, "postmap", "-s", table).Output()
}

// requirePostmap skips where Postfix is missing.
func requirePostmap(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("postmap")
	peer.Require(t, err == nil, "Postfix is not installed (Debian: apt-get install postfix)")
}

// Tables that a real Postfix makes, and makes anew.
func TestTables(t *testing.T) {
	requirePostmap(t)
	config := t.TempDir()
	must(t, os.WriteFile(filepath.Join(config, "main.cf"), []byte("compatibility_level = 3.6\n"), 0o644))
	t.Setenv("MAIL_CONFIG", config)
	known, err := exec.Command("postconf", "-m").Output()
	must(t, err)
	for _, kind := range []string{"hash", "btree", "lmdb", "cdb", "texthash", ""} {
		t.Run(kind, func(t *testing.T) {
			peer.Require(t, kind == "" || strings.Contains(string(known), kind+"\n"), "this Postfix has no "+kind+" (Debian: postfix-"+kind+")")
			table := strings.TrimPrefix(kind+":DIR/vdomains", ":")
			s := newStand(t, Source{Name: "postfix", Kind: Postfix, Paths: []string{table}})
			compile := func() {
				if kind != "texthash" && kind != "" {
					out, err := exec.Command("postmap", kind+":"+s.dir+"/vdomains").CombinedOutput()
					if err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
			}
			s.write("vdomains", "# ours\nExample.com OK\nexample.net\n  virtual\nuser@elsewhere.example x\n"+strings.ReplaceAll(lines(0, 10), "\n", " OK\n"))
			compile()
			s.start()
			if s.live.Domains().Len() != 12 || !s.has("example.com") || !s.has("example.net") || s.has("elsewhere.example") {
				t.Fatalf("%d domains: %s", s.live.Domains().Len(), s.log)
			}
			s.append("vdomains", "new.example OK\n")
			compile()
			s.soon("the new domain is protected", func() bool { return s.has("new.example") })
			s.write("vdomains", "")
			compile()
			s.waitFor("it is told", func() bool { return strings.Contains(s.problem("postfix"), "has only 0 of its 13") })
			if s.live.Domains().Len() != 13 {
				t.Errorf("%d domains", s.live.Domains().Len())
			}
		})
	}
}

func TestSplitTable(t *testing.T) {
	for table, want := range map[string]string{
		"hash:/etc/postfix/v": "hash /etc/postfix/v.db", "btree:/v": "btree /v.db", "lmdb:/v": "lmdb /v.lmdb",
		"cdb:/v": " /v", "texthash:/v": " /v", "/etc/postfix/v": " /etc/postfix/v", "/a:b": " /a:b",
	} {
		kind, file, err := SplitTable(table)
		if err != nil || kind+" "+file != want {
			t.Errorf("%s: %q, %q, %v", table, kind, file, err)
		}
	}
	for table, want := range map[string]string{"mysql:/v": `kind = "sql"`, "proxy:hash:/v": "cannot be listed", "pcre:/v": "cannot be listed"} {
		if _, _, err := SplitTable(table); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", table, err)
		}
	}
}
