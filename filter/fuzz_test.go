package filter

import (
	"bytes"
	"context"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// FuzzCheck judges any message with any DNS behind it. Whatever they are: no
// panic, a verdict of the closed sets, a clean reply, whole fields in the edit,
// and never dmarc=pass for the victim, who signs nothing and allows no client.
func FuzzCheck(f *testing.F) {
	files := os.DirFS("../testdata")
	names, err := fs.Glob(files, "*/*.eml")
	if err != nil || len(names) < 50 {
		f.Fatalf("%d seeds: %v", len(names), err)
	}
	for _, name := range names {
		eml, err := fs.ReadFile(files, name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(eml, "v=spf1 a mx include:%{d2}.x.example exists:%{l}.%{i} redirect=y.example", "mx.example", "a@attacker.example")
	}
	known := map[Reason]bool{}
	for _, r := range Reasons() {
		known[r] = true
	}
	f.Fuzz(func(t *testing.T, eml []byte, txt, helo, from string) {
		if len(eml) > 64<<10 || len(txt) > 4096 {
			return
		}
		env := mail.Envelope{ID: "fuzz", Client: netip.MustParseAddr("203.0.113.9"), Helo: helo, MailFrom: from}
		m, err := mail.Read(env, bytes.NewReader(eml), mail.Options{})
		if err != nil {
			return
		}
		defer m.Close()
		filter := testFilter(hostileSource(txt))
		v := filter.Check(context.Background(), m)
		if v.Fault != "" || !known[v.Reason] {
			t.Fatalf("%s: %s", v.Reason, v.Fault)
		}
		if v.Results.Author.Domain == "victim.example" && v.Results.DMARC.Word == "pass" {
			t.Fatalf("dmarc=pass for the victim: %+v", v.Results)
		}
		checkShape(t, m, v)
	})
}

// hostileSource says the same of every name but the victim's.
func hostileSource(txt string) dns.Source {
	return sourceFunc(func(_ context.Context, q dns.Question) dns.Answer {
		switch {
		case q.Name == "_dmarc.victim.example":
			return dns.Answer{Outcome: dns.Found, TXT: []string{"v=DMARC1; p=reject"}}
		case q.Name == "victim.example" || strings.HasSuffix(q.Name, ".victim.example"):
			return dns.Answer{Outcome: dns.NXDomain}
		case q.Name == "example" || q.Name == "_dmarc.example":
			return dns.Answer{Outcome: dns.NXDomain}
		}
		switch q.Type {
		case dns.TXT:
			return dns.Answer{Outcome: dns.Found, TXT: []string{txt}}
		case dns.MX:
			return dns.Answer{Outcome: dns.Found, MX: []dns.MXRecord{{Host: "mx." + q.Name}}}
		case dns.PTR:
			return dns.Answer{Outcome: dns.Found, Names: []string{txt, "host.attacker.example"}}
		}
		return dns.Answer{Outcome: dns.Found, Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
	})
}

func checkShape(t *testing.T, m *mail.Message, v Verdict) {
	t.Helper()
	if strings.ContainsFunc(v.Reply.Text+v.Explanation, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
		t.Errorf("reply %q, explanation %q", v.Reply.Text, v.Explanation)
	}
	last := -1
	for _, i := range v.Edit.Drop {
		if i <= last || i >= len(m.Header.Fields) {
			t.Errorf("drops %v of %d fields", v.Edit.Drop, len(m.Header.Fields))
		}
		last = i
	}
	for _, field := range v.Edit.Prepend {
		fieldShape(t, field)
	}
	if n := dns.Questions(v.Results.DNS); n > 60 {
		t.Errorf("%d questions", n)
	}
}

// fieldShape: one field, folded, in ASCII, ending in CR LF.
func fieldShape(t *testing.T, field string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(field, "\r\n"), "\r\n")
	for i, line := range lines {
		if len(line) > 998 || i > 0 && line[0] != ' ' && line[0] != '\t' || strings.TrimSpace(line) == "" ||
			strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) {
			t.Errorf("line %q of field %q", line, field)
		}
	}
	if !strings.HasSuffix(field, "\r\n") {
		t.Errorf("field %q has no end", field)
	}
}
