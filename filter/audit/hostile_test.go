package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sekimori/filter/dns"
)

// wire answers TXT with whatever bytes, everything else from a zone.
type wire struct {
	zone dns.Source
	txt  map[string][]string
}

func (w wire) Query(ctx context.Context, q dns.Question) dns.Answer {
	if texts := w.txt[q.Name]; len(texts) > 0 && (q.Type == dns.TXT || q.Type == dns.SPF) {
		return dns.Answer{Outcome: dns.Found, TXT: texts}
	}
	return w.zone.Query(ctx, q)
}

// checkReport holds what is promised of every report.
func checkReport(t *testing.T, r Report) {
	t.Helper()
	for i, f := range r.Findings {
		if slices.ContainsFunc(r.Findings[:i], func(g Finding) bool { return g.Code == f.Code && g.Name == f.Name && g.Text == f.Text }) {
			t.Errorf("%s stands twice: %s", f.Code, f.Text)
		}
		if !isPrintable(f.Text) || !isPrintable(f.Name) || f.Area == "" || f.Rank.order() < 0 || len(f.Text) > 1000 {
			t.Errorf("%s: %q %q", f.Code, f.Name, f.Text)
		}
		for _, p := range f.Publish {
			if !isPrintable(p.Name) || !isPrintable(p.Data) || p.Data == "" {
				t.Errorf("%s: publish %q %q", f.Code, p.Name, p.Data)
			}
		}
	}
	if len(r.Findings) == 0 || len(r.Findings) > 200 || r.Rank != r.Findings[0].Rank {
		t.Errorf("%d findings, rank %s", len(r.Findings), r.Rank)
	}
	if r.DNS.Asked > r.DNS.Limit {
		t.Errorf("%d questions", r.DNS.Asked)
	}
	b, err := json.Marshal(r)
	if err != nil || !isPrintable(string(b)) || len(b) > 4<<20 {
		t.Errorf("JSON of %d bytes: %v", len(b), err)
	}
	noNil(t, "report", reflect.ValueOf(r))
}

// noNil: absent facts are "" or [], never null.
func noNil(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() {
			t.Errorf("%s is null in JSON", path)
		}
		for i := range v.Len() {
			noNil(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			noNil(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
}

func TestReports(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			checkReport(t, examine(t, c.zone, "example.com", Options{Selectors: c.selectors}))
		})
	}
}

// However large the tree, the work has an end.
func TestBounds(t *testing.T) {
	var wide, deep strings.Builder
	for i := range 40 {
		fmt.Fprintf(&wide, "n%d.example. TXT %s\n", i, strings.Join(chunks("v=spf1 "+repeat(40, "include:n%d.example")), " "))
		fmt.Fprintf(&deep, "d%d.example. TXT \"v=spf1 include:d%d.example\"\n", i, i+1)
	}
	zones := map[string]string{
		"every one includes all":  spfCase("v=spf1 include:n0.example -all", wide.String()),
		"a long chain":            spfCase("v=spf1 include:d0.example -all", deep.String()),
		"a thousand names":        spfCase("v=spf1 " + repeat(600, "a:x%d.example") + " -all"),
		"a thousand of our MX":    spfCase("v=spf1 "+repeat(50, "mx:m%d.example.com")+" -all", hosts(50, "m%[1]d.example.com. MX 10 h%[1]d.example.com.")),
		"a thousand bad terms":    spfCase("v=spf1 " + repeat(600, "bad%d") + " -all"),
		"a hundred records":       goodMX + hosts(100, `example.com. TXT "v=spf1 ip4:192.0.2.%d"`) + "\n",
		"a hundred MX":            mxCase(hosts(100, "example.com. MX 10 h%d.example."), hosts(100, "h%d.example. CNAME x.example.")),
		"a hundred keys":          keyCase(hosts(100, `s1._domainkey.example.com. TXT "v=DKIM1; p=; n=%d"`)),
		"a hundred report hosts":  dmarcCase("v=DMARC1; p=reject; rua=" + strings.ReplaceAll(repeat(20, "mailto:a@r%d.example"), " ", ",")),
		"a hundred DMARC records": goodMX + hosts(100, `_dmarc.example.com. TXT "v=DMARC1; p=none; x=%d"`) + "\n",
	}
	for name, zone := range zones {
		t.Run(name, func(t *testing.T) {
			r := examine(t, zone, "example.com", Options{})
			checkReport(t, r)
			if n := nodes(r.SPF.Tree); n > 1+maxFollowed || r.DNS.Asked > 180 {
				t.Errorf("%d SPF records read, %d questions", n, r.DNS.Asked)
			}
		})
	}
}

func nodes(n SPFNode) int {
	sum := 1
	for _, c := range n.Includes {
		sum += nodes(c)
	}
	return sum
}

func TestHostileBytes(t *testing.T) {
	z, err := dns.ParseZone("test", strings.NewReader(goodMX))
	if err != nil {
		t.Fatal(err)
	}
	for _, evil := range []string{"\x1b[2J", "\u202e", "\xff\x00", `"\"`, strings.Repeat("\xf0", 20_000)} {
		r := Domain(t.Context(), wire{z, map[string][]string{
			"example.com":                 {"v=spf1 " + evil + " -all"},
			"_dmarc.example.com":          {"v=DMARC1; p=reject; rua=mailto:" + evil},
			"s1._domainkey.example.com":   {"v=DKIM1; t=y; n=" + evil + "; p=" + strings.ReplaceAll(rsa2048, `" "`, "")},
			"s2._domainkey.example.com":   {"v=DKIM1; p=" + evil},
			"key1._domainkey.example.com": {"dkim1" + evil},
		}}, "example.com", Options{})
		checkReport(t, r)
		if r.Rank != Broken {
			t.Errorf("%.10q: rank %s", evil, r.Rank)
		}
	}
	if got, want := visible("a\x1b\\\xff"), `a\027\092\255`; got != want {
		t.Errorf("visible gives %s, want %s", got, want)
	}
}

// Bytes that are no UTF-8 before the word that a text is known by.
func TestStrayBytes(t *testing.T) {
	z, err := dns.ParseZone("test", strings.NewReader(goodMX))
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Repeat("\xfb", 8)
	r := Domain(t.Context(), wire{z, map[string][]string{
		"example.com":        {"v" + bad + "=spf1 mx\xff"},
		"_dmarc.example.com": {"v=" + bad + "DMARC1; p=reject"},
	}}, "example.com", Options{})
	checkReport(t, r)
	for _, want := range []Code{SPFNotARecord, DMARCNotARecord} {
		if !strings.Contains(codes(r), string(want)) {
			t.Errorf("no %s: %s", want, sentences(r))
		}
	}
}

func FuzzAudit(f *testing.F) {
	for _, c := range cases() {
		f.Add(c.zone, []byte("v=spf1 include:i.example ?all"), []byte("v=spf1 a:example.com mx -all"), []byte("v=DMARC1; p=none; rua=mailto:a@i.example"), []byte("v=DKIM1; p=AAAA"))
	}
	f.Add("i.example. MX 0 .\n", []byte("v=spf1 +all \xff"), []byte("v=spf1 redirect=example.com"), []byte("v=dmarc1;p=reject"), []byte("p="))
	f.Fuzz(func(t *testing.T, zone string, spf, included, dmarc, key []byte) {
		z, err := dns.ParseZone("fuzz", strings.NewReader(zone))
		if err != nil {
			if z, err = dns.ParseZone("fuzz", strings.NewReader(goodMX)); err != nil {
				t.Fatal(err)
			}
		}
		texts := map[string][]string{}
		for name, b := range map[string][]byte{"example.com": spf, "i.example": included, "_dmarc.example.com": dmarc, "s1._domainkey.example.com": key} {
			if len(b) > 0 {
				texts[name] = []string{string(b)}
			}
		}
		checkReport(t, Domain(t.Context(), wire{z, texts}, "example.com", Options{}))
	})
}
