package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// usual is a message as most are.
func usual() filter.Record {
	return filter.Record{
		Start: time.Date(2026, 11, 22, 4, 5, 6, 123456789, time.UTC), Total: 5 * time.Millisecond, Check: time.Millisecond, Delivery: 3 * time.Millisecond,
		Listener: "smtp", Upstream: "127.0.0.1:10025", Size: 4096, Judged: true, Outcome: filter.Delivered,
		Reply: filter.Reply{Code: 250, Text: "2.0.0 Ok: queued as 4XyZ123456"},
		Envelope: mail.Envelope{ID: "q7ta0h8r6fs13t3h", Client: netip.MustParseAddr("192.0.2.1"), Port: 4711, Helo: "mx.example.org", MailFrom: "a@example.org",
			Rcpts: []string{"user@example.net"}, TLS: mail.TLS{Version: "TLS1.3", Cipher: "TLS_AES_128_GCM_SHA256"}},
		Verdict: filter.Verdict{Action: filter.Accept, Reason: filter.DMARCPass, Explanation: "example.org authenticates the message: DKIM pass for example.org.",
			Results: filter.Results{Checked: true,
				Author: mail.Author{Status: mail.AuthorDomain, Domain: "example.org", Domains: []string{"example.org"}, Addresses: []string{"a@example.org"}},
				Shown:  filter.Shown{MessageID: "1@example.org"},
				SPF:    spf.Results{MailFrom: spf.Result{Word: spf.Pass, Domain: "example.org"}, Helo: spf.Result{Word: spf.None, Domain: "mx.example.org"}},
				DKIM:   []dkim.Result{{Word: dkim.Pass, Domain: "example.org", Selector: "s1", Algorithm: "rsa-sha256", KeyBits: 2048}},
				DMARC:  dmarc.Result{Word: dmarc.Pass, PolicyDomain: "example.org", Policy: dmarc.PolicyReject, Effective: dmarc.PolicyReject, DKIMAligned: []bool{true}},
				Stages: filter.Stages{SPF: 1000, DKIM: 2000, DMARC: 3000, DNS: 4000},
				DNS:    []dns.Exchange{{Answer: dns.Answer{Outcome: dns.Found, Cached: true}}, {Answer: dns.Answer{Outcome: dns.Timeout}}}}}}
}

// full is a message that has everything.
func full() filter.Record {
	r := usual()
	r.Err, r.Verdict.Fault = "the MTA was lost", "panic: x"
	r.Verdict.Shadow, r.Verdict.Action = true, filter.Reject
	r.Reply.Enhanced = "2.0.0"
	r.Verdict.Tenants = []string{"customer-1"}
	r.Envelope.TLS.Client = mail.ClientCertificate{Subject: "CN=x", Fingerprint: "ab", Verified: true}
	res := &r.Verdict.Results
	res.Author.Domains = []string{"a.example", "b.example"}
	res.Shown.Subject = "hello"
	res.Stages.IPRev = 5
	r.Verdict.Protected = "bank.example"
	res.Claims = []filter.Claim{{Protected: "bank.example", Customer: "bank"}}
	r.Verdict.Listing = &filter.Listing{List: "own", Entry: filter.Entry{Domain: "list.example"}}
	res.Hop = filter.Hop{Behind: netip.MustParseAddr("192.0.2.25"), Client: netip.MustParseAddr("198.51.100.1"), Helo: "x", Reason: "y"}
	res.IPRev = iprev.Result{Word: iprev.Pass, Name: "mx.example.org"}
	res.DKIM[0].Reason, res.DMARC.Reason = "limit", "x"
	return r
}

func members(t *testing.T, line []byte) map[string]any {
	t.Helper()
	m := map[string]any{}
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return m
}

func TestMessage(t *testing.T) {
	r := usual()
	got := string(Format{Host: "mx.example.net"}.Message(nil, &r))
	want := `{"@timestamp":"2026-11-22T04:05:06.128456Z","log.level":"info","ecs.version":"8.17.0","service.name":"sekimori","event.kind":"event","event.dataset":"sekimori.message","host.hostname":"mx.example.net",` +
		`"message":"delivered: accept dmarc_pass, author example.org, client 192.0.2.1 [q7ta0h8r6fs13t3h]","event.category":["email"],` +
		`"event.id":"q7ta0h8r6fs13t3h","event.start":"2026-11-22T04:05:06.123456Z","event.duration":5000000,"event.outcome":"success","sekimori.outcome":"delivered",` +
		`"sekimori.listener":"smtp","sekimori.upstream":"127.0.0.1:10025","sekimori.size":4096,"sekimori.reply.code":250,"sekimori.reply.text":"2.0.0 Ok: queued as 4XyZ123456",` +
		`"source.ip":"192.0.2.1","source.port":4711,"sekimori.helo":"mx.example.org","email.sender.address":"a@example.org","email.to.address":["user@example.net"],"sekimori.recipients":1,` +
		`"tls.version":"1.3","tls.cipher":"TLS_AES_128_GCM_SHA256","sekimori.duration.check":1000000,"sekimori.duration.delivery":3000000,"sekimori.duration.spf":1000,"sekimori.duration.dkim":2000,"sekimori.duration.dmarc":3000,"sekimori.duration.dns":4000,"event.action":"accept","event.reason":"dmarc_pass",` +
		`"sekimori.explanation":"example.org authenticates the message: DKIM pass for example.org.","sekimori.technique":"none","sekimori.author.status":"domain","sekimori.author.domain":"example.org",` +
		`"email.from.address":["a@example.org"],"email.message_id":"1@example.org","sekimori.spf.mailfrom.result":"pass","sekimori.spf.mailfrom.domain":"example.org",` +
		`"sekimori.spf.helo.result":"none","sekimori.spf.helo.domain":"mx.example.org","sekimori.dkim":[{"result":"pass","domain":"example.org","selector":"s1","algorithm":"rsa-sha256","bits":2048,"aligned":true}],` +
		`"sekimori.dmarc.result":"pass","sekimori.dmarc.domain":"example.org","sekimori.dmarc.published":"reject","sekimori.dmarc.policy":"reject","sekimori.dmarc.spf_aligned":false,"sekimori.dmarc.dkim_aligned":true,` +
		`"sekimori.dns.queries":2,"sekimori.dns.cached":1,"sekimori.dns.failed":1}` + "\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMessageThatWasNotJudged(t *testing.T) {
	r := filter.Record{Outcome: filter.ClientLost, Envelope: mail.Envelope{ID: "x"}}
	m := members(t, Format{}.Message(nil, &r))
	for _, key := range []string{"event.action", "event.reason", "source.ip", "host.hostname", "sekimori.spf.mailfrom.result", "error.message"} {
		if _, there := m[key]; there {
			t.Errorf("it has %s", key)
		}
	}
	if m["event.outcome"] != "unknown" || m["email.sender.address"] != "" || m["message"] != "client_lost, not judged [x]" {
		t.Errorf("%v", m)
	}
}

// Shadow is what would have been; what was done is event.action.
func TestMessageOfShadowMode(t *testing.T) {
	r := full()
	m := members(t, Format{}.Message(nil, &r))
	if m["event.action"] != "accept" || m["sekimori.shadow"] != "reject" || m["log.level"] != "error" || m["error.message"] != "the MTA was lost" {
		t.Errorf("%v", m)
	}
}

// deploy/log.md names every field with its type, and no other.
func TestFieldsAreInTheManual(t *testing.T) {
	page, err := os.ReadFile("../../deploy/log.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9@_.]+)` \\| ([a-z\\[\\]]+) \\|").FindAllStringSubmatch(string(page), -1) {
		if told[row[1]] != "" {
			t.Errorf("%s stands there twice", row[1])
		}
		told[row[1]] = row[2]
	}
	r := full()
	written := map[string]string{}
	typesOf(written, "", members(t, Format{Host: "h"}.Message(nil, &r)))
	for key, kind := range written {
		if told[key] != kind {
			t.Errorf("%s is %s, the manual says %q", key, kind, told[key])
		}
	}
	for key := range told {
		if written[key] == "" {
			t.Errorf("the manual has %s, a line has not", key)
		}
	}
}

func typesOf(types map[string]string, prefix string, m map[string]any) {
	for key, v := range m {
		kind := map[reflect.Kind]string{reflect.String: "string", reflect.Float64: "integer", reflect.Bool: "boolean", reflect.Slice: "string[]"}[reflect.TypeOf(v).Kind()]
		if list, ok := v.([]any); ok {
			if one, ok := list[0].(map[string]any); ok {
				kind = "object[]"
				typesOf(types, key+".", one)
			}
		}
		if strings.HasPrefix(key, "@") || key == "event.start" {
			kind = "time"
		}
		types[prefix+key] = kind
	}
}

// Whatever comes over the wire stays within its string, within its bounds, and
// within UTF-8; no terminal obeys it.
func TestHostileBytes(t *testing.T) {
	for _, bad := range []string{
		"\"},{\"event.action\":\"accept\"", "\r\n{}\n", "\x00\x1b[2J\x7f", "\xff\xfe\xc3", "\u009b31m\u202e\u2028\ufeff", `\u0000\`, strings.Repeat("é", 5000), strings.Repeat("\x01", 70000),
	} {
		r := full()
		hostile(reflect.ValueOf(&r).Elem(), bad)
		r.Envelope.Rcpts = slices.Repeat([]string{bad}, 1000)
		r.Verdict.Results.DKIM = slices.Repeat(r.Verdict.Results.DKIM, 200)
		line := Format{}.Message(nil, &r)
		m := members(t, line)
		if bytes.Count(line, []byte("\n")) != 1 || !utf8.Valid(line) || bytes.ContainsFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' || unsafe(r) && r >= 0x80 }) {
			t.Errorf("%.100q: %.2000q", bad, line)
		}
		if n := len(m["email.to.address"].([]any)); n != maxRcpts || m["sekimori.recipients"] != float64(1000) {
			t.Errorf("%d recipients", n)
		}
		if len(m["sekimori.dkim"].([]any)) != maxEntries || len(line) > 1<<20 {
			t.Errorf("%d bytes of line", len(line))
		}
	}
}

// hostile fills each text of a value that is none of a closed set.
func hostile(v reflect.Value, bad string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				hostile(v.Field(i), bad)
			}
		}
	case reflect.Pointer:
		if !v.IsNil() {
			hostile(v.Elem(), bad)
		}
	case reflect.Slice:
		for i := range v.Len() {
			hostile(v.Index(i), bad)
		}
	case reflect.String:
		if v.Type() == reflect.TypeFor[string]() {
			v.SetString(bad)
		}
	}
}

func TestEscaping(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\"b\\c": `a\"b\\c`, "a\nb\tc": `a\nb\u0009c`, "日本語": "日本語", "\xff": `\ufffd`, "é\u0085": `é\u0085`,
		"0123456789x": "0123456789...", "012345678日": "012345678...", "012345678\xe6\x97": "012345678...", "0123456789": "0123456789",
	} {
		if got := string(appendEscaped(nil, in, 10)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func FuzzEscaping(f *testing.F) {
	f.Add("a\xff\u2028\"", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = limit&0xff + 1
		var got string
		line := appendString(nil, s, limit)
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); len(s) <= limit && utf8.ValidString(s) && got != want {
			t.Errorf("%q became %q", s, got)
		}
	})
}

func TestHandler(t *testing.T) {
	var lines []string
	log := slog.New(NewHandler(func() Format { return Format{Host: "h"} }, slog.LevelInfo, func(line []byte) { lines = append(lines, string(line)) }))
	log.Debug("never")
	log.With("listener", "smtp").WithGroup("g").Warn("a \"word\"\n", "error", errors.New("x\x00"), slog.Group("in", "n", 3), "changes", []string{"a", "b"}, "on", true, "took", time.Second)
	log.Error("bad", "error", "words")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	m := members(t, []byte(lines[0]))
	want := map[string]any{"log.level": "warn", "message": "a \"word\"\n", "event.dataset": "sekimori.program", "sekimori.listener": "smtp", "sekimori.g.error": "x\x00",
		"sekimori.g.in.n": 3.0, "sekimori.g.on": true, "sekimori.g.took": 1e9, "host.hostname": "h"}
	for key, v := range want {
		if m[key] != v {
			t.Errorf("%s is %v, want %v", key, m[key], v)
		}
	}
	if fmt.Sprint(m["sekimori.g.changes"]) != "[a b]" || members(t, []byte(lines[1]))["error.message"] != "words" {
		t.Errorf("%q", lines)
	}
}

func BenchmarkMessage(b *testing.B) {
	r := usual()
	var line []byte
	b.ReportAllocs()
	for b.Loop() {
		line = Format{Host: "mx.example.net"}.Message(line[:0], &r)
	}
	b.SetBytes(int64(len(line)))
}

// What the samples for log shippers read is there, and each of their files is cut
// in pairs of braces and quotes.
func TestSamplesNameRealFields(t *testing.T) {
	r := full()
	line := members(t, Format{Host: "h"}.Message(nil, &r))
	for file, name := range map[string]string{"vector/vector.toml": `fields\."([^"]+)"`, "alloy/config.alloy": `= "\\"([^"]+)\\""`} {
		b, err := os.ReadFile("../../deploy/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(name).FindAllSubmatch(b, -1)
		if len(names) < 6 {
			t.Errorf("%s reads %d fields", file, len(names))
		}
		for _, n := range names {
			if _, there := line[string(n[1])]; !there {
				t.Errorf("%s reads %s, which no line has", file, n[1])
			}
		}
		if bytes.Count(b, []byte("{")) != bytes.Count(b, []byte("}")) || bytes.Count(b, []byte(`"`))%2 != 0 {
			t.Errorf("%s is not closed", file)
		}
	}
}
