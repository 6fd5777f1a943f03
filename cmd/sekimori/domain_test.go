package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/filter/audit"
	"sekimori/filter/dns"
)

func TestDomainExitStatus(t *testing.T) {
	for args, want := range map[string]int{
		"domain":                      exitUsage,
		"domain a..b":                 exitUsage,
		"domain example.com --zone x": exitTrouble,
		"domain example.com --zone x --resolver y":                                   exitUsage,
		"domain example.com" + strings.Repeat(" --selector s", audit.MaxSelectors+1): exitUsage,
	} {
		var out, errs bytes.Buffer
		if got := run(strings.Fields(args), nil, &out, &errs); got != want || out.Len() > 0 {
			t.Errorf("%s: exit status %d, want %d; %s", args, got, want, &out)
		}
	}
}

// What a page shows can be put into a zone as it stands.
func TestMasterLine(t *testing.T) {
	for _, text := range []string{"v=spf1 -all", `a "quoted\" text`, strings.Repeat("0123456789", 70)} {
		line := masterLine(audit.Record{Name: "q.example", Type: "TXT", Data: text})
		z, err := dns.ParseZone("page", strings.NewReader(line+"\n"))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if a := z.Query(t.Context(), dns.Question{Name: "q.example", Type: dns.TXT}); len(a.TXT) != 1 || a.TXT[0] != text {
			t.Errorf("%s gives %q", line, a.TXT)
		}
	}
	if got := masterLine(audit.Record{Name: "q.example", Type: "MX", Data: "0 ."}); got != "q.example. MX 0 ." {
		t.Error(got)
	}
}

func TestWrap(t *testing.T) {
	text := strings.Repeat("word ", 40) + strings.Repeat("long", 30)
	lines := strings.Split(wrap(text, 3), "\n")
	for i, l := range lines {
		if i > 0 && !strings.HasPrefix(l, "   ") || len(l) > 87 && i < len(lines)-1 {
			t.Errorf("line %d: %q", i, l)
		}
	}
	if got := strings.Join(strings.Fields(strings.Join(lines, " ")), " "); got != text {
		t.Errorf("%q is not what was given", got)
	}
}

// A name server on the network and a zone file give the same page.
func TestDomainResolver(t *testing.T) {
	const text = `
example.com. MX 10 alias.example.com.
alias.example.com. CNAME mx.example.com.
mx.example.com. A 192.0.2.1
example.com. SPF "v=spf1 -all"
example.com. TXT "v=spf1 mx -all"
`
	z, err := dns.ParseZone("test", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- z.Serve(ctx, udp, nil) }()
	defer func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var pages [2]bytes.Buffer
	for i, args := range [][]string{{"--zone", file}, {"--resolver", udp.LocalAddr().String()}} {
		var errs bytes.Buffer
		if got := run(append([]string{"domain", "example.com"}, args...), nil, &pages[i], &errs); got != exitOK {
			t.Errorf("%v: exit status %d: %s", args, got, &errs)
		}
	}
	if pages[0].String() != pages[1].String() {
		t.Errorf("from the file:\n%s\nfrom the network:\n%s", &pages[0], &pages[1])
	}
	for _, word := range []string{"is a CNAME", "the DNS type SPF"} {
		if !strings.Contains(pages[1].String(), word) {
			t.Errorf("%q is missing in\n%s", word, &pages[1])
		}
	}
}
