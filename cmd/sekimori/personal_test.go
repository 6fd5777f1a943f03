package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const personalZone = serveZone + `
speaking.example.       TXT "v=spf1 exists:%{l}.users.%{d} -all exp=why.%{d}"
why.speaking.example.   TXT "%{s} may not send from %{i}: ask for %{l}"
;fail _dmarc.unsure.example. TXT SERVFAIL
`

const personalPolicy = `history.path = %q
log.level = "debug"
log.subject = true
log.personal = %q
policy.mode = "%s"
policy.dmarc.temperror = "defer"
protected.domains = ["bank.example", "example.net"]
listener.max_errors = 100
`

// personalLetters name people in every place that has addresses. Each name begins
// with "zq", and nothing else does.
var personalLetters = []struct{ from, author, more string }{
	{"zqsender@example.com", `"Zqshown" <zqauthor@example.com>`, ""},
	{"ZQ.Upper+tag@example.com", "zq.author.dotted@bank.example", ""},
	{`"zq quoted"@example.com`, `"zqname@bank.example" <zqbehind@attacker.example>`, ""},
	{"zqspf.first.last@speaking.example", "zqspoof@attacker.example", ""},
	{"zqspf@speaking.example", "zqunsure@unsure.example", ""},
	{"SRS0=zq1=2a=origin.example=zqforwarded@attacker.example", "zqone@bank.example, zqtwo@shop.example", ""},
	{"zqbounce@attacker.example", "zqbad@@bank.example", ""},
	{"zqsigned@attacker.example", "zqlist@attacker.example", "DKIM-Signature: v=1; a=rsa-sha256; d=attacker.example; s=s1; i=zqident@attacker.example; h=from; bh=AAAA; b=AAAA\r\n"},
	{"zqforged@example.com", "zqforger@example.com", "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=zqresult@bank.example\r\nReceived: from zqhost by x for <zqfor@example.net>; x\r\n"},
}

// With "hashed" and with "none" no local part is found again: neither in a line of
// the log, whatever its level, nor in a byte of the history's files.
func TestNobodyIsNamed(t *testing.T) {
	for _, personal := range []string{"hashed", "none"} {
		for _, mode := range []string{"enforce", "shadow"} {
			t.Run(personal+" "+mode, func(t *testing.T) { nobodyIsNamed(t, personal, mode) })
		}
	}
}

func nobodyIsNamed(t *testing.T, personal, mode string) {
	dir := t.TempDir()
	config := fmt.Sprintf(personalPolicy, filepath.Join(dir, "h.db"), personal, mode)
	if personal == "hashed" {
		key := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
			t.Fatal(err)
		}
		config += fmt.Sprintf("log.personal_key = %q\n", key)
	}
	d := startDaemonOn(t, personalZone, startMoodyMTA(t), config)
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	for i, l := range personalLetters {
		letter := fmt.Sprintf("From: %s\r\nSender: zqagent@example.com\r\nReply-To: zqreply@example.com\r\nTo: zqto@example.net\r\nSubject: to zqsubject@example.net\r\nMessage-ID: <zqid%d@example.com>\r\n%s\r\nzqbody\r\n", l.author, i, l.more)
		for _, rcpt := range []string{"zqrcpt@example.net", "full@example.net", "gone@example.net", "lost@example.net"} {
			if reply := d.deliver(t, l.from, []string{"zqfirst@example.net", rcpt}, letter); strings.Contains(reply, "lost:") {
				t.Fatal(reply)
			}
		}
	}
	d.leave(t)
	waitFor(t, "the one who left is counted", func() bool { return measured(t, d)["outcome client_lost"] == 1 })
	lines := d.log.String()
	if n := len(logged(t, lines, "message")); n != 4*len(personalLetters)+1 {
		t.Errorf("%d lines", n)
	}
	if err := d.stop(); err != nil {
		t.Fatal(err)
	}
	named(t, "the log", []byte(d.log.String()))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	rows := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named(t, filepath.Base(file), b)
		rows += bytes.Count(b, []byte(`@speaking.example`))
	}
	if rows == 0 {
		t.Error("nothing was kept at all")
	}
}

// named reports each place where a person's name is, with what stands around it.
func named(t *testing.T, where string, b []byte) {
	t.Helper()
	folded := bytes.ToLower(b)
	for at, told := 0, 0; told < 10; told++ {
		i := bytes.Index(folded[at:], []byte("zq"))
		if i < 0 {
			return
		}
		at += i + 2
		t.Errorf("%s has %q", where, b[max(0, at-100):min(len(b), at+60)])
	}
}
