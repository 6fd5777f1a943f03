package mail

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// read takes a whole message from a string.
func read(t testing.TB, s string, o Options) *Message {
	t.Helper()
	m, err := Read(Envelope{}, strings.NewReader(s), o)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// crlf makes a message of lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

// A From value with the author it gives: a domain, or several with spaces
// between them, or the status.
type authorCase struct{ id, value, want string }

var authorCases = []authorCase{
	// What the grammar has.
	{"plain", " a@example.com", "example.com"},
	{"angle", " <a@example.com>", "example.com"},
	{"name", " Joe Doe <a@example.com>", "example.com"},
	{"quoted name", ` "Doe, Joe \"J\" <x@y>" <a@example.com>`, "example.com"},
	{"no space", " Joe<a@example.com>", "example.com"},
	{"upper case", " a@EXAMPLE.Com", "example.com"},
	{"trailing white space", " a@example.com \t ", "example.com"},
	{"folded", " Joe\r\n Doe\r\n\t<a@example.com>\r\n ", "example.com"},
	{"folded in quotes", " \"Joe\r\n Doe\" <a@example.com>", "example.com"},
	{"folded at LF", " Joe\n Doe <a@example.com>", "example.com"},
	{"comment after", " a@example.com (Joe Doe)", "example.com"},
	{"comments everywhere", " (x) Joe (y) Doe (z) <(1) a (2) @ (3) example.com (4)> (5)", "example.com"},
	{"quoted local part", ` "a b"@example.com`, "example.com"},
	{"@ in quotes", ` "a@victim.example"@example.com`, "example.com"},
	{"quote in quotes", ` "\""@example.com`, "example.com"},
	{"atext", " !#$%&'*+-/=?^_`{|}~@example.com", "example.com"},
	{"single label", " root@localhost", "localhost"},
	{"encoded name", " =?utf-8?B?44GC?= =?utf-8?Q?=E3=81=82?= <a@example.com>", "example.com"},
	{"encoded name without space", " =?UTF-8?B?44GC?=<a@example.com>", "example.com"},
	{"encoded name in quotes", ` "=?utf-8?B?44GC?=" <a@example.com>`, "example.com"},
	{"encoded name with brackets", " =?utf-8?Q?A_(B)_C?= <a@example.com>", "example.com"},

	// What real mail has.
	{"dots in a name", " John Q. Public <a@example.com>", "example.com"},
	{"brackets in a name", " [list] digest <a@example.com>", "example.com"},
	{"apostrophes", " 'Joe' <a@example.com>", "example.com"},
	{"two dots", " a..b@docomo.ne.jp", "docomo.ne.jp"},
	{"dot before @", " abc.@docomo.ne.jp", "docomo.ne.jp"},
	{"dots in angle brackets", " <.a..b.@ezweb.ne.jp>", "ezweb.ne.jp"},
	{"VERP", " <prvs=123=a+b=c@example.com>", "example.com"},
	{"raw UTF-8 name", " 山田太郎 <a@example.com>", "example.com"},
	{"raw Latin-1 name", " Andr\xe9 <a@example.com>", "example.com"},
	{"underscore", " a@mail_1.example.com", "mail_1.example.com"},

	// MS-01.
	{"MS-01 empty", "", "malformed"},
	{"MS-01 blank", " \t\r\n ", "malformed"},
	{"MS-01 comment only", " (a@example.com)", "malformed"},

	// MS-13: several mailboxes.
	{"MS-13 same domain", " a@example.com, B <b@Example.COM>", "example.com"},
	{"MS-13 same domain in two forms", " a@bücher.example, b@xn--bcher-kva.example", "xn--bcher-kva.example"},
	{"MS-13 two domains", " a@attack.example, b@legit.example", "attack.example legit.example"},
	{"MS-13 three domains, one twice", " a@a.example, b@b.example, c@A.example, d@d.example", "a.example b.example d.example"},
	{"MS-13 A9", " <first@attack.com>, <admin@legitimate.com>", "attack.com legitimate.com"},
	{"null members", " ,,a@example.com", "malformed"},
	{"null members, fuzzed", " ,(),,,word<a@example.com>", "malformed"},
	{"comma at the end", " a@example.com,", "malformed"},

	// MS-14: groups.
	{"MS-14 empty", " undisclosed-sender:;", "none"},
	{"MS-14 empty with comment", " x: (nobody) ;", "none"},
	{"MS-14 one", " x: a@example.com;", "example.com"},
	{"MS-14 two domains", " g: a@d.example, b@e.example;", "d.example e.example"},
	{"MS-14 group and mailbox", " g: a@d.example;, b@d.example", "d.example"},
	{"MS-14 quoted name", ` "g": J <a@d.example>;`, "d.example"},
	{"MS-14 open", " g: a@d.example", "malformed"},
	{"MS-14 nested", " g: h: a@d.example;;", "malformed"},
	{"MS-14 nameless", " : a@d.example;", "malformed"},
	{"MS-14 empty members", " g: ,;", "malformed"},
	{"MS-14 text after", " g: a@d.example; x", "malformed"},

	// MS-15: source routes.
	{"MS-15", " <@attack.com,@any.com:admin@legitimate.com>", "malformed"},
	{"MS-15 one hop", " <@attack.com:admin@legitimate.com>", "malformed"},
	{"MS-15 without brackets", " @attack.com:admin@legitimate.com", "malformed"},

	// MS-16: encoded words.
	{"MS-16 A10", " =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPg==?=,<second@attack.com>", "malformed"},
	{"MS-16 only one", " =?utf-8?B?PGFkbWluQGxlZ2l0aW1hdGUuY29tPg==?=", "malformed"},
	{"MS-16 local part", " =?utf-8?Q?admin=40legitimate.com?=@attack.com", "malformed"},
	{"MS-16 quoted local part", ` "=?utf-8?Q?admin=40legitimate.com?="@attack.com`, "malformed"},
	{"MS-16 domain", " admin@=?utf-8?Q?legitimate.com?=", "malformed"},
	{"MS-16 in angle brackets", " <=?utf-8?B?YWRtaW5AbGVnaXRpbWF0ZS5jb20=?=>", "malformed"},
	{"MS-16 fuzzed", " <=?utf-8?B?YWRtaW4=?=>\x00@attack.com", "malformed"},

	// MS-17: syntax errors.
	{"MS-17 A12", ` <admin@legitimate.com>\,<second@attack.com>`, "malformed"},
	{"MS-17 A13", " <any@attack.com>admin@legitimate.com", "malformed"},
	{"MS-17 A13 list", " admin@legitimate.com,<second@attack.com>", "legitimate.com attack.com"},
	{"MS-17 A13 quoted", ` "admin@legitimate.com" <any@attack.com>`, "attack.com"},
	{"MS-17 A13 unquoted", " admin@legitimate.com <any@attack.com>", "malformed"},
	{"MS-17 two angles", " <a@legit.example><b@attack.example>", "malformed"},
	{"MS-17 two angles, space", " <a@legit.example> <b@attack.example>", "malformed"},
	{"MS-17 no comma", " a@legit.example b@attack.example", "malformed"},
	{"MS-17 text before", " Joe a@example.com", "malformed"},
	{"MS-17 text after", " a@example.com Joe", "malformed"},
	{"MS-17 quoted pair", ` a\@b@example.com`, "malformed"},
	{"MS-17 open angle", " <a@example.com", "malformed"},
	{"MS-17 closed angle", " a@example.com>", "malformed"},
	{"MS-17 nested angles", " <<a@example.com>>", "malformed"},
	{"MS-17 open quote", ` "Joe <a@example.com>`, "malformed"},
	{"MS-17 open quote and pair", ` "Joe\`, "malformed"},
	{"MS-17 open comment", " a@example.com (Joe", "malformed"},
	{"MS-17 closed comment", " a@example.com Joe)", "malformed"},
	{"MS-17 two @", " a@legit.example@attack.example", "malformed"},
	{"MS-17 two @ in angles", " <a@legit.example@attack.example>", "malformed"},
	{"MS-17 no @", " root", "malformed"},
	{"MS-17 no @ in angles", " Joe <root>", "malformed"},
	{"MS-17 words only", " Joe Doe", "malformed"},
	{"MS-17 null path", " <>", "malformed"},
	{"MS-17 no local part", " <@example.com>", "malformed"},
	{"MS-17 no domain", " <a@>", "malformed"},
	{"MS-17 two words", " <a b@example.com>", "malformed"},
	{"MS-17 quoted pieces", ` "a".b@example.com`, "malformed"},
	{"MS-17 quoted domain", ` a@"example.com"`, "malformed"},
	{"MS-17 brackets in local part", " [a]@example.com", "malformed"},
	{"MS-17 semicolon", " a@example.com; b@example.com", "malformed"},

	// MS-18: comments.
	{"MS-18", " u@(c)d.example", "d.example"},
	{"MS-18 spaces", " u (c) @ d.example", "d.example"},
	{"MS-18 nested", " u@d.example (a (b \\) (c)))", "d.example"},
	{"MS-18 twenty deep", " u@d.example " + strings.Repeat("(", 20) + strings.Repeat(")", 20), "d.example"},
	{"MS-18 too deep", " u@d.example " + strings.Repeat("(", 21) + strings.Repeat(")", 21), "malformed"},
	{"MS-18 inside of a domain", " u@d.(c)example", "malformed"},
	{"MS-18 space inside of a domain", " u@d. example", "malformed"},
	{"MS-18 hides no address", " (a@legit.example) <b@attack.example>", "attack.example"},

	// MS-19: address literals.
	{"MS-19", " u@[192.0.2.1]", "none"},
	{"MS-19 IPv6", " <u@[IPv6:2001:db8::1]>", "none"},
	{"MS-19 two", " u@[192.0.2.1], v@[192.0.2.2]", "none"},
	{"MS-19 beside a domain", " u@[192.0.2.1], v@legit.example", "malformed"},
	{"MS-19 open", " u@[192.0.2.1", "malformed"},
	{"MS-19 pair", ` u@[192.0.2.1\]]`, "malformed"},

	// MS-20: domains.
	{"MS-20 empty label", " a@legit..example", "malformed"},
	{"MS-20 first label empty", " a@.example", "malformed"},
	{"MS-20 trailing dot", " a@legit.example.", "malformed"},
	{"MS-20 long label", " a@" + strings.Repeat("x", 64) + ".example", "malformed"},
	{"MS-20 long domain", " a@" + strings.Repeat("x.", 130) + "example", "malformed"},
	{"MS-20 not LDH", " a@legit!.example", "malformed"},
	{"MS-20 hyphen", " a@-legit.example", "malformed"},

	// MS-21, MS-22, EA-3, EA-4.
	{"MS-21", " u@bücher.example", "xn--bcher-kva.example"},
	{"MS-21 A-label", " u@xn--bcher-kva.example", "xn--bcher-kva.example"},
	{"MS-21 UTF-8 local part", " 山田@例え.example", "xn--r8jz45g.example"},
	{"EA-4 full width", " u@ＥＸＡＭＰＬＥ.example", "example.example"},
	{"EA-4 upper case", " u@BÜCHER.example", "xn--bcher-kva.example"},
	{"EA-4 ideographic dot", " u@例え。example", "xn--r8jz45g.example"},
	{"EA-4 ideographic dot at the end", " u@legit.example。", "malformed"},
	{"EA-4 B1", " admin@legitimate.com\u2000", "malformed"},
	{"EA-4 zero width", " admin@legit\u200b.example", "malformed"},
	{"EA-4 soft hyphen", " admin@le\u00adgit.example", "malformed"},
	{"EA-4 false A-label", " u@xn--legit-.example", "malformed"},
	{"MS-22 bad UTF-8 in a domain", " a@legit\xff.example", "malformed"},
	{"MS-22 bad UTF-8 in a local part", " \xff@legit.example", "malformed"},
	{"MS-22 overlong", " a@legit\xc0\xae.example", "malformed"},
	{"MS-22 surrogate", " a@\xed\xa0\x80.example", "malformed"},

	// Controls.
	{"NUL", " admin@legit.example\x00@attack.example", "malformed"},
	{"NUL in quotes", " \"a\x00\" <a@example.com>", "malformed"},
	{"NUL in a comment", " a@example.com (\x00)", "malformed"},
	{"NUL quoted", " \"a\\\x00\" <a@example.com>", "malformed"},
	{"NUL in a name", " a\x00 <a@example.com>", "malformed"},
	{"NUL at the end", " a@example.com\x00", "malformed"},
	{"escape", " \x1b$B;3ED\x1b(B <a@example.com>", "malformed"},
	{"CR", " a@example.com\rb@legit.example", "malformed"},
	{"DEL", " a\x7f@example.com", "malformed"},

	// Bounds.
	{"100 mailboxes", strings.Repeat("a@example.com,", 99) + "a@example.com", "example.com"},
	{"101 mailboxes", strings.Repeat("a@example.com,", 100) + "a@example.com", "malformed"},
	{"64 KiB", " a@example.com " + strings.Repeat("(x)", 21840), "example.com"},
	{"more than 64 KiB", " a@example.com " + strings.Repeat(" ", 64<<10), "malformed"},
}

func (c authorCase) check(t *testing.T, got Author) {
	t.Helper()
	checkAuthor(t, got)
	is := string(got.Status)
	if len(got.Domains) > 0 {
		is = strings.Join(got.Domains, " ")
	}
	if is != c.want {
		t.Errorf("%q: %s (%s), want %s", c.value, is, got.Reason, c.want)
	}
}

// checkAuthor holds an Author to what its fields promise.
func checkAuthor(t *testing.T, a Author) {
	t.Helper()
	n := len(a.Domains)
	var ok bool
	switch a.Status {
	case AuthorDomain:
		ok = n == 1 && a.Domain == a.Domains[0] && a.Domain != "" && a.Reason == ""
	case AuthorMultiple:
		ok = n > 1 && a.Domain == "" && a.Reason != ""
	case AuthorNone, AuthorMalformed:
		ok = n == 0 && a.Domain == "" && a.Reason != ""
	}
	if !ok {
		t.Errorf("not an author: %+v", a)
	}
	for i, d := range a.Domains {
		if ascii, err := ASCIIDomain(d); ascii != d || err != nil || slices.Contains(a.Domains[:i], d) {
			t.Errorf("domain %q of %q", d, a.Domains)
		}
	}
}

func TestAuthorOfValue(t *testing.T) {
	for _, c := range authorCases {
		t.Run(c.id, func(t *testing.T) {
			c.check(t, parseAuthor([]byte(c.value)))
		})
	}
}

func TestAuthorOfMessage(t *testing.T) {
	const attack, legit = "From: <first@attack.com>", "From: <admin@legitimate.com>"
	for _, c := range []struct {
		id     string
		lines  []string
		status AuthorStatus
	}{
		{"one", []string{"To: x@y.example", legit}, AuthorDomain},
		{"any case", []string{"fROM: <admin@legitimate.com>"}, AuthorDomain},
		{"MS-01", []string{"Subject: x"}, AuthorNone},
		{"MS-02 A6", []string{attack, legit}, AuthorMalformed},
		{"MS-02 same twice", []string{legit, legit}, AuthorMalformed},
		{"MS-02 case", []string{legit, "FROM: <first@attack.com>"}, AuthorMalformed},
		{"MS-02 A15", []string{legit, "DKIM-Signature: v=1", attack}, AuthorMalformed},
		{"MS-06", []string{"From : <admin@legitimate.com>"}, AuthorDomain},
		{"MS-06 a10", []string{attack, "From : <admin@legitimate.com>"}, AuthorMalformed},
		{"MS-06 tab", []string{attack, "From\t: <admin@legitimate.com>"}, AuthorMalformed},
		{"MS-07 a9", []string{" From: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-07 alone", []string{" From: <first@attack.com>"}, AuthorMalformed},
		{"MS-07 tab", []string{"\tFrom: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-08 a11", []string{"From", " : <first@attack.com>", legit}, AuthorMalformed},
		{"MS-08 a12", []string{"From", " : <first@attack.com>", "nTo: x", "Sender: admin@legitimate.com"}, AuthorMalformed},
		{"MS-08 a13", []string{"From", " : <first@attack.com>", "Resent-From: admin@legitimate.com"}, AuthorMalformed},
		{"MS-08 space before the fold", []string{"From ", " : <first@attack.com>", legit}, AuthorMalformed},
		{"MS-08 cut name", []string{"Fr", " om: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-05 no colon", []string{"From", legit}, AuthorMalformed},
		{"MS-04 space", []string{"Fr om: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 NUL", []string{"From\x00: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 control", []string{"F\x01rom: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 DEL", []string{"From\x7f: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 8-bit", []string{"From\xff: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 zero width", []string{"Fr\u200bom: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 no-break space", []string{"From\u00a0: <first@attack.com>", legit}, AuthorMalformed},
		{"MS-04 alone", []string{"From\xff: <first@attack.com>"}, AuthorMalformed},
		{"MS-04 another name", []string{"Fromm\xff: <first@attack.com>", legit}, AuthorDomain},
		{"MS-04 a shorter name", []string{"Fro\xff: <first@attack.com>", legit}, AuthorDomain},
		{"mbox", []string{"From first@attack.com Sun Nov 22 10:00:00 2026", legit}, AuthorDomain},
		{"MS-11 without Sender", []string{"From: a@legitimate.com, b@legitimate.com"}, AuthorDomain},
		{"MS-12 A8", []string{"Sender: admin@legitimate.com"}, AuthorNone},
		{"MS-12 a14", []string{"From: <first@attack.com>, <admin@legitimate.com>", "Sender: s@sender.legitimate.com"}, AuthorMultiple},
		{"MS-23", []string{"Author: admin@legitimate.com"}, AuthorNone},
		{"MS-24", []string{"Resent-From: admin@legitimate.com", "Resent-Sender: admin@legitimate.com"}, AuthorNone},
		{"MS-25 no Date", []string{legit}, AuthorDomain},
		{"MS-26", []string{legit, "Content-Type: message/rfc822", "", "From: <first@attack.com>"}, AuthorDomain},
		{"continuation is no field", []string{legit, "Subject: x", " From: <first@attack.com>"}, AuthorDomain},
		{"no header", []string{"", legit}, AuthorNone},
	} {
		t.Run(c.id, func(t *testing.T) {
			a := read(t, crlf(append(c.lines, "", "body")...), Options{}).Author()
			checkAuthor(t, a)
			if a.Status != c.status {
				t.Errorf("%s (%s), want %s", a.Status, a.Reason, c.status)
			}
			if a.Status == AuthorDomain && a.Domain != "legitimate.com" {
				t.Errorf("domain %q", a.Domain)
			}
		})
	}
}

// The reason goes into replies and logs: nothing of the message may be in it.
func TestAuthorReasonHoldsNoMessage(t *testing.T) {
	for _, c := range authorCases {
		r := parseAuthor([]byte(strings.ReplaceAll(c.value, "example", "zqxjk"))).Reason
		if strings.Contains(r, "zqxjk") || strings.ContainsFunc(r, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s: reason %q", c.id, r)
		}
	}
}

// The work is linear in the size of what is hostile: each byte is looked at a
// small number of times.
func TestAuthorIsLinear(t *testing.T) {
	for name, shape := range map[string]func(n int) string{
		"addresses":       func(n int) string { return strings.Repeat("a@example.com,", n) },
		"empty comments":  func(n int) string { return strings.Repeat("()", n) + "a@example.com" },
		"comment nesting": func(n int) string { return strings.Repeat("(", n) + strings.Repeat(")", n) },
		"open comments":   func(n int) string { return strings.Repeat("( ", n) },
		"words":           func(n int) string { return strings.Repeat("a ", n) + "<a@example.com>" },
		"quoted strings":  func(n int) string { return strings.Repeat(`"a"`, n) + "<a@example.com>" },
		"pairs":           func(n int) string { return `"` + strings.Repeat(`\\`, n) },
		"folds":           func(n int) string { return strings.Repeat("\r\n ", n) + "a@example.com" },
		"groups":          func(n int) string { return strings.Repeat("g:;,", n) },
		"open angles":     func(n int) string { return strings.Repeat("<", n) },
		"dots":            func(n int) string { return strings.Repeat(".", n) + "@example.com" },
		"domain dots":     func(n int) string { return "a@" + strings.Repeat(".", n) },
		"literal":         func(n int) string { return "a@[" + strings.Repeat("1", n) },
		"empty groups":    func(n int) string { return "g:" + strings.Repeat(",", n) },
	} {
		t.Run(name, func(t *testing.T) {
			for n := 1000; n <= 16000; n *= 2 {
				in := []byte(shape(n))[:]
				in = in[:min(len(in), maxFrom)]
				p := addressParser{in: in}
				p.list()
				if p.steps > 4*len(in)+16 {
					t.Fatalf("%d steps for %d bytes", p.steps, len(in))
				}
				allocs := testing.AllocsPerRun(1, func() { parseAuthor(in) })
				if allocs > 400 {
					t.Fatalf("%v allocations for %d bytes", allocs, len(in))
				}
			}
		})
	}
}

func BenchmarkAuthor(b *testing.B) {
	for _, c := range []struct{ name, value string }{
		{"plain", " =?utf-8?B?5bGx55Sw5aSq6YOO?= <taro.yamada@example.com>"},
		{"idn", " taro@例え.example"},
		{"hundred", strings.Repeat("Joe Doe <a@example.com>,\r\n ", 99) + "a@example.com"},
		{"comments", " a@example.com " + strings.Repeat("(((x)))", 9000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.value)))
			b.ReportAllocs()
			for b.Loop() {
				parseAuthor([]byte(c.value))
			}
		})
	}
}

func FuzzAuthor(f *testing.F) {
	for _, c := range authorCases {
		f.Add([]byte(c.value))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		p := addressParser{in: value}
		p.list()
		if p.steps > 4*len(value)+16 {
			t.Errorf("%d steps for %d bytes", p.steps, len(value))
		}
		a := parseAuthor(value)
		checkAuthor(t, a)
		// Every domain must stand in the value, unless it was mapped.
		if a.Status == AuthorDomain && isASCII(string(value)) && !strings.Contains(strings.ToLower(string(value)), a.Domain) {
			t.Errorf("domain %q of %q", a.Domain, value)
		}
		// What follows a comma can only add domains, never take one away.
		b := parseAuthor(fmt.Appendf(nil, "%s,x@added.example", value))
		if b.Status == AuthorDomain && b.Domain != "added.example" {
			t.Errorf("%q: %+v", value, b)
		}
	})
}
