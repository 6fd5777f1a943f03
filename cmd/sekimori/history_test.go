package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/config"
	"sekimori/filter/history"
)

// honest is mail that passes, sent to a daemon; the reply must be there soon,
// however the history fares.
func (d *daemon) honest(t *testing.T) {
	t.Helper()
	begin := time.Now()
	got := d.send(t, "user@example.com", "user@example.net", "From: user@example.com\r\nSubject: honest\r\n\r\nhello\r\n")
	if took := time.Since(begin); !strings.HasPrefix(got, "250 ") || took > 5*time.Second {
		t.Errorf("reply %q after %v", got, took)
	}
}

func (d *daemon) historyRows(t *testing.T) []history.Row {
	t.Helper()
	s := d.service.common.history
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Flush(ctx); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
	rows, err := s.Search(ctx, history.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func (d *daemon) shows(line string) bool {
	return strings.Contains(d.get("/metrics")+"\n", "\n"+line+"\n")
}

func TestServeKeepsHistory(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	dir := filepath.Join(t.TempDir(), "missing")
	text := func(name string) string { return fmt.Sprintf("[history]\npath = %q\n", filepath.Join(dir, name)) }
	d := startDaemon(t, mta.listen.Addr().String(), text("one.db"))
	d.honest(t)
	waitFor(t, "it is visible that the directory is missing", func() bool {
		return d.shows("sekimori_history_up 0") && strings.Contains(d.log.String(), "the history cannot be written")
	})
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is written again", func() bool { return d.shows(`sekimori_history_rows_total{result="written"} 1`) })
	d.honest(t)
	rows := d.historyRows(t)
	if len(rows) != 2 || rows[0].Reason != "dmarc_pass" || rows[0].Action != "accept" || rows[0].Outcome != "delivered" || !rows[0].Vouched {
		t.Fatalf("%+v", rows)
	}
	for _, r := range rows {
		n := 0
		for line := range strings.Lines(d.log.String()) {
			if strings.Contains(line, r.MessageID) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("the log has %d lines of %s", n, r.MessageID)
		}
	}
	if !d.shows("sekimori_history_up 1") {
		t.Error("the history is not up")
	}
	reloadHistory(t, d, text)
}

// A reload moves to another file, and back, and switches off.
func reloadHistory(t *testing.T, d *daemon, text func(string) string) {
	t.Helper()
	b, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		to   string
		rows int
	}{{text("two.db"), 1}, {text("one.db"), 3}} {
		if err := os.WriteFile(d.file, []byte(strings.Replace(string(b), text("one.db"), step.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.service.reload(); err != nil {
			t.Fatal(err)
		}
		d.honest(t)
		if rows := d.historyRows(t); len(rows) != step.rows {
			t.Errorf("%s: %d rows, want %d", step.to, len(rows), step.rows)
		}
	}
	if err := os.WriteFile(d.file, []byte(strings.Replace(string(b), text("one.db"), "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err != nil {
		t.Fatal(err)
	}
	d.honest(t)
	if d.service.common.history.Stats().Queued != 0 || !d.shows("sekimori_history_up 1") {
		t.Error("rows wait for a history that is off, or it counts as broken")
	}
}

func TestHistoryConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "url")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]string{
		`path = "/x/y.db"`:                              "",
		`url = "postgres://u:hush@db.example.net/x"`:    "",
		`url = "mysql://u:hush@db.example.net/x"`:       "not a URL of PostgreSQL",
		`url = "postgres://u:hush@db:99999999/x"`:       "history.url",
		`url_file = "` + file + `"`:                     "",
		`url_file = "` + file + `.missing"`:             "no such file",
		"path = \"/x\"\nurl = \"postgres://u:hush@db\"": "does not go with history.path",
	} {
		write("postgres://u:hush@db.example.net/x\n")
		conf := filepath.Join(dir, "sekimori.toml")
		if err := os.WriteFile(conf, []byte("hostname = \"mx.example.net\"\nupstream.address = \"127.0.0.1:10025\"\n[history]\n"+text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := loadConfig(conf)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", text, err, want)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("%s: the password is told: %v", text, err)
		}
	}
	write("hush")
	if _, err := historyURL(config.History{URLFile: file}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a file without a URL: %v", err)
	}
}

// Whatever is wrong with the history, mail is taken as ever, the trouble is
// shown, and the end does not wait for it.
func TestMailFlowsWithoutHistory(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mta.close)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage", 3000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no directory":         `path = "/nonexistent/history.db"`,
		"a directory":          fmt.Sprintf("path = %q", t.TempDir()),
		"no database":          fmt.Sprintf("path = %q", garbage),
		"nobody listens":       fmt.Sprintf("url = %q", "postgres://u:hush@"+freeAddr(t)+"/x"),
		"a server that hangs":  fmt.Sprintf("url = %q", "postgres://u:hush@"+silent.Addr().String()+"/x?sslmode=disable&connect_timeout=1"),
		"a name without hosts": `url = "postgres://u:hush@db.invalid/x"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := startDaemon(t, mta.listen.Addr().String(), "[history]\n"+text+"\n")
			for range 3 {
				d.honest(t)
			}
			waitFor(t, "the trouble is visible", func() bool { return d.shows("sekimori_history_up 0") && d.shows("sekimori_history_queue_rows 3") })
			begin := time.Now()
			if err := d.stop(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took > 15*time.Second {
				t.Errorf("the end took %v", took)
			}
			if strings.Contains(d.log.String(), "hush") {
				t.Error("the log tells the password")
			}
			if s := d.service.common.history.Stats(); s.Dropped[history.Ended] != 3 {
				t.Errorf("%+v", s)
			}
		})
	}
}
