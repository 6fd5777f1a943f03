package mail

import (
	"strings"
	"testing"
)

func TestASCIIDomain(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, c := range []struct{ in, want string }{ // want "": an error
		{"example.com", "example.com"},
		{"EXAMPLE.Com", "example.com"},
		{"example.com.", "example.com"},
		{"localhost", "localhost"},
		{"_dmarc.example.com", "_dmarc.example.com"},
		{"A_b.example", "a_b.example"},
		{"192.0.2.1", "192.0.2.1"},
		{"r3---sn-x.example", "r3---sn-x.example"},
		{long + ".example", long + ".example"},
		{long + "." + long + "." + long + "." + long[:61], long + "." + long + "." + long + "." + long[:61]},
		{strings.Repeat("x.", 126) + "x", strings.Repeat("x.", 126) + "x"},

		{"", ""}, {".", ""}, {"..", ""}, {"a..b", ""}, {".a", ""}, {"a..", ""},
		{"[192.0.2.1]", ""}, {"a b", ""}, {"a@b", ""}, {"a\x00b", ""}, {"a\tb", ""}, {"a\r\nb", ""},
		{"a/b", ""}, {"a(b", ""}, {"a'b", ""}, {`a"b`, ""}, {"a>b", ""}, {"a:25", ""}, {"*.example", ""},
		{"-a.example", ""}, {"a-.example", ""}, {"-", ""},
		{long + "x.example", ""},
		{long + "." + long + "." + long + "." + long[:62], ""},
		{strings.Repeat("x.", 127), strings.TrimSuffix(strings.Repeat("x.", 127), ".")},
		{strings.Repeat("x.", 127) + "x", ""},
		{strings.Repeat("ü", 500), ""},
		{"a\xff.example", ""}, {"\xed\xa0\x80.example", ""}, {"a\xc0\xae.example", ""},

		// UTS 46, non-transitional (RFC 5891, 5895).
		{"bücher.example", "xn--bcher-kva.example"},
		{"BÜCHER.example", "xn--bcher-kva.example"},
		{"bu\u0308cher.example", "xn--bcher-kva.example"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
		{"faß.example", "xn--fa-hia.example"},
		{"例え.テスト", "xn--r8jz45g.xn--zckzah"},
		{"ｅｘａｍｐｌｅ．ＣＯＭ", "example.com"},
		{"例え。example｡com", "xn--r8jz45g.example.com"},
		{"例え.example。", "xn--r8jz45g.example"},
		{"_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"},
		{"نامه\u200cای.example", "xn--mgba3gch31f060k.example"}, // ZWNJ where it has a use
		{"xn--i-7iq.example", "xn--i-7iq.example"},

		{"le\u00adgit.example", ""}, {"le\u200bgit.example", ""}, {"le\ufe0fgit.example", ""}, {"le\u2060git.example", ""},
		{"le\u200dgit.example", ""}, {"le\u200cgit.example", ""},
		{"legit\u2000.example", ""}, {"legit\u00a0.example", ""}, {"legit\u3000.example", ""}, {"legit\u2028.example", ""},
		{"le\u202egit.example", ""}, {"legit\ufffd.example", ""}, {"a℀b.example", ""}, {"ａ／ｂ.example", ""}, {"a≠b.example", ""},
		{"a\u2488b.example", ""}, {"a\u2024b.example", ""}, {"a\ufe52b.example", ""},
		{"_ü.example", ""}, {"-ü.example", ""}, {"ü-.example", ""}, {"ab--ü.example", ""},
		{"xn--.example", ""}, {"xn--legit-.example", ""}, {"xn--legit.example\u2000", ""}, {"xn--\u00e9.example", ""}, {"xn--a_b.example", ""},
		{"xn--ab-5da.example", ""},     // a soft hyphen
		{"xn--legit-mt3b.example", ""}, // a zero-width space
		{"xn--bucher-xyd.example", ""}, // not composed
		{"xn--mi7c.example", ""},       // full width
		{"xn--999999.example", ""},     // beyond Unicode
		{"XN--Bcher-KVA.example", "xn--bcher-kva.example"},
		{"xn--bcher-KVA\u00ad.example", ""}, {"ｘｎ－－legit-.example", ""},
		{"\u0378.example", ""}, // unassigned
	} {
		got, err := ASCIIDomain(c.in)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q (%+q): %q, %v; want %q", c.in, c.in, got, err, c.want)
		}
	}
}

// What is too long is refused before any work that grows faster than it does.
func TestASCIIDomainSaysWhy(t *testing.T) {
	distinct := make([]rune, 300)
	for i := range distinct {
		distinct[i] = rune(0x4e00 + i)
	}
	for in, why := range map[string]string{
		string(distinct[:100]) + ".example": "domain has a label that is too long",
		strings.Repeat("ü.", 500):           "domain too long",
		strings.Repeat("例え。", 60) + "com":   "domain too long",
		"a\xff.example":                     "domain is not UTF-8",
		"a..example":                        "empty label in domain",
		"le\u00adgit.example":               "domain has invisible characters",
	} {
		if _, err := ASCIIDomain(in); err == nil || err.Error() != why {
			t.Errorf("%.40q: %v, want %s", in, err, why)
		}
	}
}

// EA-4: there is no character that a name can be seen with and looked up
// without.
func TestNoCharacterVanishes(t *testing.T) {
	for r := rune(0x80); r < 0x20000; r++ {
		checkVisible(t, r)
	}
	for r := rune(0xe0000); r < 0xe1000; r++ {
		checkVisible(t, r)
	}
}

func checkVisible(t *testing.T, r rune) {
	t.Helper()
	if !vanishes(r) { // else it is refused before any mapping
		if d, err := asciiLabel("a" + string(r) + "b"); err == nil && (d == "ab" || !isLabel(d)) {
			t.Errorf("%U: %q", r, d)
		}
	}
}

// Names as they come most often cost nothing.
func TestPlainDomainAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { _, _ = ASCIIDomain("mail.example.co.jp") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSplitAddress(t *testing.T) {
	for _, c := range []struct {
		in, local, domain string
	}{ // local "": not ok
		{"a@b", "a", "b"},
		{"a@b@c", "a@b", "c"},
		{`"a@b"@c`, `"a@b"`, "c"},
		{`"a\"@b"@c`, `"a\"@b"`, "c"},
		{`"\\"@c`, `"\\"`, "c"},
		{`a\@b`, `a\`, "b"},
		{`"a b"@[192.0.2.1]`, `"a b"`, "[192.0.2.1]"},
		{"", "", ""}, {"a", "", ""}, {"@b", "", ""}, {"a@", "", ""}, {"@", "", ""},
		{`"a@b`, "", ""}, {`"a@b"`, "", ""}, {`"a"@b"`, "", ""}, {`"a\"@b`, "", ""}, {`"\`, "", ""},
	} {
		local, domain, ok := SplitAddress(c.in)
		if local != c.local || domain != c.domain || ok != (c.local != "") {
			t.Errorf("%q: %q, %q, %v", c.in, local, domain, ok)
		}
	}
}

func BenchmarkASCIIDomain(b *testing.B) {
	for _, d := range []string{"mail.example.co.jp", "Mail.Example.COM", "xn--bcher-kva.example", "bücher.example"} {
		b.Run(d, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ASCIIDomain(d)
			}
		})
	}
}

func FuzzASCIIDomain(f *testing.F) {
	for _, s := range []string{
		"example.com", "EXAMPLE.com.", "bücher.example", "xn--bcher-kva.example", "a\u00adb.example",
		"ｅ．ＣＯＭ", "a。b", "xn--", "_x.y", "[192.0.2.1]", "نامه\u200cای.example", "a..b", "faß.de", "אב.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ASCIIDomain(s)
		if (err == nil) != (d != "") {
			t.Fatalf("%q: %q, %v", s, d, err)
		}
		if err != nil {
			return
		}
		for _, l := range strings.Split(d, ".") {
			if !isLabel(l) {
				t.Errorf("%q: label %q", s, l)
			}
		}
		if again, err := ASCIIDomain(d); len(d) > maxDomain || again != d || err != nil {
			t.Errorf("%q: %q, then %q, %v", s, d, again, err)
		}
	})
}
