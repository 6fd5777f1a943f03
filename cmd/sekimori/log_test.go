package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// lineless is a syslog receiver that takes connections and never reads.
func lineless(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// Lines reach the file, before and after logrotate has moved it, even at a reload
// of a broken configuration; outputs that do not work slow no mail; and at the end
// nothing is missing.
func TestLogOutputs(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	file := filepath.Join(t.TempDir(), "sekimori.log")
	dead := "syslog+tcp://" + freeAddr(t)
	d := startDaemon(t, mta.listen.Addr().String(), fmt.Sprintf("[log]\noutputs = [\"stderr\", \"file:%s\", %q, \"syslog+tcp://%s\", \"file:/dev/full\"]\n", file, dead, lineless(t)))
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	send := func() {
		t.Helper()
		start := time.Now()
		if reply := d.send(t, "a@example.com", "user@example.net", strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n")); !strings.HasPrefix(reply, "250") {
			t.Errorf("%q", reply)
		}
		if time.Since(start) > 20*time.Second {
			t.Error("mail waits for the log")
		}
	}
	in := func(name string) int {
		b, _ := os.ReadFile(name)
		return len(logged(t, string(b), "message"))
	}
	send()
	waitFor(t, "a line in the file", func() bool { return in(file) == 1 })
	waitFor(t, "the dead ones to be told of", func() bool {
		page := d.get("/metrics")
		return strings.Contains(page, fmt.Sprintf(`sekimori_log_up{output=%q} 0`, dead)) && strings.Contains(page, `sekimori_log_up{output="file:/dev/full"} 0`) &&
			strings.Contains(page, fmt.Sprintf(`sekimori_log_up{output="file:%s"} 1`, file))
	})
	if err := os.Rename(file, file+".1"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.file, append(text, "nonsense = 1\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err == nil {
		t.Error("a broken configuration is taken")
	}
	send()
	waitFor(t, "a line in the new file", func() bool { return in(file) == 1 && in(file+".1") == 1 })
	if err := os.WriteFile(d.file, []byte(strings.Replace(string(text), `"stderr", `, "", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err != nil {
		t.Error(err)
	}
	send()
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if n := in(file); n != 2 {
		t.Errorf("%d lines in the file", n)
	}
	b, _ := os.ReadFile(file)
	ended := false
	for _, line := range logged(t, string(b), "program") {
		ended = ended || line["message"] == "ended"
	}
	if !ended {
		t.Errorf("the last line is missing in\n%s", b)
	}
	if n := len(logged(t, d.log.String(), "message")); n != 2 {
		t.Errorf("standard error has %d messages, and was taken out after two", n)
	}
}

// What the log keeps of people changes with a reload; a key that cannot be read
// changes nothing.
func TestLogPersonal(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, mta.listen.Addr().String(), fmt.Sprintf("[log]\npersonal = \"hashed\"\npersonal_key = %q\nsubject = true\n", key))
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	message := "From: Hanako <hanako.himitsu@example.com>\r\nSubject: =?utf-8?B?44KI44KN44GX44GP?= hanako.himitsu\r\nMessage-ID: <hanako.himitsu@example.com>\r\n\r\nend\r\n"
	if reply := d.send(t, "hanako.himitsu@example.com", "taro.naisho@example.net", message); !strings.HasPrefix(reply, "250") {
		t.Fatalf("%q", reply)
	}
	log := d.log.String()
	if strings.Contains(log, "himitsu") || strings.Contains(log, "naisho") || !strings.Contains(log, "よろしく") {
		t.Errorf("%s", log)
	}
	line := logged(t, log, "message")[0]
	if from := fmt.Sprint(line["email.sender.address"]); !strings.HasSuffix(from, "@example.com") || len(from) != len("0000.0123456789abcdef@example.com") {
		t.Errorf("%q", from)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err == nil || !strings.Contains(err.Error(), "log.personal_key") {
		t.Errorf("without its key: %v", err)
	}
}

// A log that cannot be opened is said at the start, before any mail is taken.
func TestLogThatCannotBeOpened(t *testing.T) {
	d := writeConfig(t, "[log]\noutputs = [\"file:/nowhere/at/all\"]\n")
	s := &service{file: d, book: newLogbook(io.Discard, io.Discard)}
	s.log = s.book.logger()
	if err := s.serve(t.Context()); err == nil || !strings.Contains(err.Error(), "log.outputs: open /nowhere/at/all") {
		t.Errorf("%v", err)
	}
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sekimori.toml")
	if err := os.WriteFile(file, []byte("hostname = \"mx.example.net\"\nlistener.address = \"127.0.0.1:0\"\nadmin.address = \"\"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
