package testdata

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const goodWant = `
# a comment
title: One line
rule: DM-072, SPF-091
time: 2026-12-24T18:00:00Z
config: a = 1
config: b = 2
envelope.client_ip: 203.0.113.9
envelope.helo: mx.example.org
envelope.mail_from:
envelope.rcpt_to: user@example.net
envelope.rcpt_to: other@example.net
verdict.action: reject
edit.prepend ~ dmarc=fail
edit.prepend !~ dmarc=pass
smtp: 550 5.7.26
`

func TestLoad(t *testing.T) {
	fsys := fstest.MapFS{
		"x/common.zone":   {Data: []byte("common")},
		"x/README.md":     {},
		"x/one.want":      {Data: []byte(goodWant)},
		"x/one.eml":       {Data: []byte("From: a\n\nb\n")},
		"x/two.want":      {Data: []byte(strings.Replace(goodWant, "time: 2026-12-24T18:00:00Z", "", 1))},
		"x/two.eml":       {Data: []byte("From: a\r\n\nb\n")},
		"x/two.zone":      {Data: []byte("own")},
		"bare/three.want": {Data: []byte(goodWant)},
		"bare/three.eml":  {},
	}
	got, err := Load(fsys, "x")
	if err != nil {
		t.Fatal(err)
	}
	one := Case{Area: "x", Name: "one", Title: "One line", Rules: []string{"DM-072", "SPF-091"},
		EML: []byte("From: a\r\n\r\nb\r\n"), Zone: []byte("common"), Time: time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC),
		Config: "a = 1\nb = 2\n", ClientIP: "203.0.113.9", Helo: "mx.example.org", Rcpts: []string{"user@example.net", "other@example.net"}, SMTP: "550 5.7.26"}
	two := one
	two.Name, two.EML, two.Zone, two.Time = "two", []byte("From: a\r\n\nb\n"), []byte("own"), defaultTime()
	if (Case{SMTP: "550"}).Judged() {
		t.Error("a reply is no verdict")
	}
	for i := range got {
		if len(got[i].expects) != 3 || !got[i].Judged() {
			t.Errorf("%d expectations", len(got[i].expects))
		}
		got[i].expects = nil
	}
	if diff := cmp.Diff([]Case{one, two}, got, cmp.AllowUnexported(Case{})); diff != "" {
		t.Error(diff)
	}
	if bare, err := Load(fsys, "bare"); err != nil || bare[0].Zone != nil {
		t.Errorf("%v, zone %q", err, bare[0].Zone)
	}
}

func TestLoadRefuses(t *testing.T) {
	without := func(line string) string { return strings.Replace(goodWant, line, "", 1) }
	for _, tt := range []struct{ want, complaint string }{
		{goodWant + "verdict.acton", "x/a.want:17: not `path: text`"},
		{goodWant + "verdict.action ? x", ":17: not"},
		{goodWant + "verdict.action ~", ":17: not"},
		{goodWant + "verdikt.action: x", ":17: unknown: verdikt.action"},
		{goodWant + "envelope.size: 3", ":17: unknown: envelope.size"},
		{goodWant + "title ~ x", ":17: unknown: title"},
		{goodWant + "title: again", ":17: stands twice: title"},
		{goodWant + "verdict.action: accept", ":17: stands twice"},
		{strings.Replace(goodWant, "24T18", "24 18", 1), ":5: parsing time"},
		{strings.Replace(goodWant, "One line", "", 1), ":3: nothing after title:"},
		{without("title: One line"), "x/a.want: no title"},
		{without("envelope.mail_from:"), "no envelope.mail_from"},
		{without("envelope.client_ip: 203.0.113.9"), "no envelope.client_ip"},
		{goodWant[:strings.Index(goodWant, "verdict")], "nothing is expected"},
	} {
		fsys := fstest.MapFS{"x/a.eml": {}, "x/a.want": {Data: []byte(tt.want)}}
		if _, err := Load(fsys, "x"); err == nil || !strings.Contains(err.Error(), tt.complaint) {
			t.Errorf("%v, want %q", err, tt.complaint)
		}
	}
	for name, fsys := range map[string]fstest.MapFS{
		"no folder":       {},
		"no want":         {"x/a.eml": {}},
		"no eml":          {"x/a.eml": {}, "x/a.want": {Data: []byte(goodWant)}, "x/b.want": {}},
		"no case":         {"x/README.md": {}},
		"stray extension": {"x/a.eml": {}, "x/a.want": {Data: []byte(goodWant)}, "x/b.txt": {}},
	} {
		if _, err := Load(fsys, "x"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

const object = `{
 "author": {"domains": ["a.example", "b.example"], "domain": ""},
 "dkim": [{"result": "pass", "key_bits": 2048, "aligned": true, "reason": null}],
 "dns": {"seconds": 0.012},
 "edit": {"drop": [], "prepend": ["Authentication-Results: mx;\r\n\tdmarc=fail\r\n", "X-Sekimori-Verdict: reject"]}
}`

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		line string
		ok   bool
	}{
		{"author.domains: a.example b.example", true},
		{"author.domains: a.example", false},
		{"author.domains.#: 2", true},
		{"author.domains.1: b.example", true},
		{"author.domains.2: b.example", false},
		{"author.domain:", true},
		{"author.domain: x", false},
		{"author.name:", false},
		{"dkim.#: 1", true},
		{"dkim.#: 0", false},
		{"dkim.0.result: pass", true},
		{"dkim.0.key_bits: 2048", true},
		{"dkim.0.aligned: true", true},
		{"dkim.0.reason:", true},
		{"dkim.1.result: pass", false},
		{"dkim.0.result.x: pass", false},
		{"dkim.1.result !~ pass", false},
		{"dkim.x: 1", false},
		{"dkim.0 ~ 2048", true},
		{"dns.seconds: 0.012", true},
		{"edit.drop:", true},
		{"edit.drop ~ x", false},
		{"edit.drop !~ x", true},
		{"edit.prepend ~ mx; dmarc=fail", true},
		{"edit.prepend ~ X-Sekimori-Verdict: reject", true},
		{"edit.prepend ~ dmarc=fail X-Sekimori", false},
		{"edit.prepend !~ dmarc=fail", false},
		{"edit.prepend !~ dmarc=pass", true},
	} {
		e, err := split(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		got := Case{expects: []expectation{e}}.Check([]byte(object))
		if (got == nil) != tt.ok {
			t.Errorf("%s: %q", tt.line, got)
		}
	}
	e, _ := split("author.domain: x")
	e.line = 7
	got := Case{expects: []expectation{e}}.Check([]byte(object))
	if diff := cmp.Diff([]string{`line 7: author.domain is "", want "x"`}, got); diff != "" {
		t.Error(diff)
	}
	if got := (Case{}).Check([]byte("{")); len(got) != 1 {
		t.Errorf("no JSON: %q", got)
	}
}

func TestCheckReply(t *testing.T) {
	c := Case{SMTP: "550 5.7.26"}
	if got := c.CheckReply("550 5.7.26 No"); got != nil {
		t.Error(got)
	}
	if got := c.CheckReply("250 OK"); len(got) != 1 {
		t.Error("another reply is no difference")
	}
	if got := (Case{}).CheckReply("250 OK"); got != nil {
		t.Error(got)
	}
}

// Every folder of cases is readable, and what the program carries is what lies
// here.
func TestFolders(t *testing.T) {
	messages, err := filepath.Glob("*/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	loaded := map[string]bool{}
	for _, m := range messages {
		if area := filepath.Dir(m); !loaded[area] {
			loaded[area] = true
			if _, err := Load(os.DirFS("."), area); err != nil {
				t.Error(err)
			}
		}
	}
	there, err := Load(os.DirFS("."), "demo")
	if err != nil {
		t.Fatal(err)
	}
	here, err := Load(Demo, "demo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(there, here, cmp.AllowUnexported(Case{}, expectation{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzWant(f *testing.F) {
	f.Add(goodWant)
	f.Fuzz(func(t *testing.T, want string) {
		var c Case
		if c.parse("x", want) == nil {
			c.Check([]byte(object))
		}
	})
}
