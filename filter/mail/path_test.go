package mail

import (
	"errors"
	"strings"
	"testing"
)

func TestParsePath(t *testing.T) {
	local64 := strings.Repeat("x", 64)
	for _, c := range []struct {
		id, in, want string // want "": an error
	}{
		{"plain", "a@example.com", "a@example.com"},
		{"case stays", "A.b@Example.COM", "A.b@Example.COM"},
		{"underscore", "a@mail_1.example", "a@mail_1.example"},
		{"single label", "a@localhost", "a@localhost"},
		{"A-label", "a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"odd dots", "a..b.@docomo.ne.jp", "a..b.@docomo.ne.jp"},
		{"VERP", "prvs=1=a+b=c.example@example.com", "prvs=1=a+b=c.example@example.com"},
		{"SM-05", local64 + "@example.com", local64 + "@example.com"},
		{"SM-05 longer than must be", local64 + "x@example.com", local64 + "x@example.com"},
		{"SM-05 quotes count", strings.Repeat(" ", 62) + "@d", `"` + strings.Repeat(" ", 62) + `"@d`},
		{"SM-05 quotes count", strings.Repeat(" ", 251) + "@d", ""},
		{"SM-05 path", "a@" + strings.Repeat("x.", 125) + "xx", "a@" + strings.Repeat("x.", 125) + "xx"},
		{"SM-05 path too long", "a@" + strings.Repeat("x.", 126) + "x", ""},
		{"SM-09", "@a,@b:u@d", ""},
		{"SM-09 in the local part", "@legitimate.com,@any.com:'any@attack.com", ""},
		{"SM-10 A2", "(any@legitimate.com", `"(any"@legitimate.com`}, // went through a server only in quotes
		{"SM-10 A5", "any@legitimate.com(a.attack.com", ""},
		{"SM-10 A5 two @", "any@legitimate.com'@any.attack.com", ""},
		{"SM-10 two @", "a@b@d", ""},
		{"SM-10 NUL", "a\x00@d", ""},
		{"SM-10 control", "a\x1f@d", ""},
		{"SM-10 CRLF", "a\r\nRCPT@d", ""},
		{"SM-10 TAB", "a\tb@d", ""},
		{"SM-10 DEL", "a\x7f@d", ""},
		{"SM-10 no @", "postmaster", ""},
		{"SM-10 no local part", "@d", ""},
		{"SM-10 no domain", "a@", ""},
		{"SM-10 control in domain", "a@d\x01", ""},
		{"SM-10 quote in domain", `a@b<c"d`, ""},
		{"SM-10 bracket in domain", "a@d>", ""},
		{"SM-10 space in domain", "a@d SIZE=1", ""},
		{"SM-10 trailing dot", "a@d.example.", ""},
		{"SM-10 empty label", "a@d..example", ""},
		{"SM-11", "a b@d", `"a b"@d`},
		{"SM-11 quote", `"@d`, `"\""@d`},
		{"SM-11 backslash", `\@d`, `"\\"@d`},
		{"SM-11 @ in what must have been quotes", "a b@c@d", `"a b@c"@d`},
		{"SM-11 @ after a character that needs quotes", "(a@b@d", `"(a@b"@d`},
		{"SM-11 injection", "root@internal> NOTIFY=NEVER@ok.example", `"root@internal> NOTIFY=NEVER"@ok.example`},
		{"SM-12", "u@[192.0.2.1]", "u@[192.0.2.1]"},
		{"SM-12 IPv6", "u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"},
		{"SM-12 IPv6 without tag", "u@[2001:db8::1]", ""},
		{"SM-12 IPv4 with tag", "u@[IPv6:192.0.2.1]", ""},
		{"SM-12 zone", "u@[IPv6:fe80::1%eth0]", ""},
		{"SM-12 name", "u@[example.com]", ""},
		{"SM-12 open", "u@[192.0.2.1", ""},
		{"SM-12 text after", "u@[192.0.2.1]x", ""},
		{"null", "", ""},
	} {
		t.Run(c.id, func(t *testing.T) {
			got, err := ParsePath(c.in, false)
			if got != c.want || (err == nil) != (c.want != "" || c.in == "") {
				t.Fatalf("%q: %q, %v; want %q", c.in, got, err, c.want)
			}
			if bad := (*PathError)(nil); err != nil && (!errors.As(err, &bad) || bad.UTF8) {
				t.Errorf("error %v", err)
			}
			if got == "" {
				return
			}
			if again, err := ParseMailbox(got, false); again != got || err != nil {
				t.Errorf("%q is read again as %q, %v", got, again, err)
			}
		})
	}
}

// SM-15: what is beyond ASCII needs SMTPUTF8 and has an error of its own.
func TestParsePathUTF8(t *testing.T) {
	for _, c := range []struct {
		in string
		ok bool // with SMTPUTF8
	}{
		{"山田@example.com", true},
		{"a@bücher.example", true},
		{"山田@例え.テスト", true},
		{"\xff@example.com", false},
		{"a@\xff.example", false},
		{"a@le\u00adgit.example", false},
		{"a\u0085@example.com", false},
	} {
		got, err := ParsePath(c.in, true)
		if (err == nil) != c.ok || err == nil && got != c.in {
			t.Errorf("%q with SMTPUTF8: %q, %v", c.in, got, err)
		}
		_, err = ParsePath(c.in, false)
		if bad := (*PathError)(nil); !errors.As(err, &bad) || bad.UTF8 != c.ok {
			t.Errorf("%q without SMTPUTF8: %v", c.in, err)
		}
	}
}

func TestParseMailbox(t *testing.T) {
	for _, c := range []struct{ in, want string }{ // want "": an error
		{"a@d", "a@d"},
		{`"a"@d`, "a@d"},
		{`"a b"@d`, `"a b"@d`},
		{`"a@b"@d`, `"a@b"@d`},
		{`"\""@d`, `"\""@d`},
		{`"\a\b"@d`, "ab@d"},
		{"a@b@d", ""}, {"a b@d", ""}, {`a"b"@d`, ""}, {`"a"b@d`, ""}, {`"a@d`, ""}, {`""@d`, ""},
		{"(a@d", ""}, {"@d", ""}, {"", ""}, {"a", ""}, {`"a"b"@d`, ""}, {"<a@d>", ""}, {`"a\`, ""},
	} {
		got, err := ParseMailbox(c.in, false)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// What comes out can stand in a command: no way out of the angle brackets but
// in quotes, and both readers of it agree.
func FuzzPath(f *testing.F) {
	f.Add("a b@d", false)
	f.Add(`a"\@b@d`, true)
	f.Add("root@internal> NOTIFY=NEVER@ok.example", false)
	f.Add("山田@例え.example", true)
	f.Fuzz(func(t *testing.T, s string, utf8 bool) {
		got, err := ParsePath(s, utf8)
		if err != nil || got == "" {
			return
		}
		local, domain, ok := SplitAddress(got)
		if !ok || strings.ContainsAny(domain, `<>" @\`) || local[0] != '"' && strings.ContainsAny(local, `<>" @\`) {
			t.Errorf("%q: %q", s, got)
		}
		if strings.ContainsAny(got, "\r\n\x00") || len(got) > maxPath || !utf8 && !isASCII(got) {
			t.Errorf("%q: %q", s, got)
		}
		if again, err := ParseMailbox(got, utf8); again != got || err != nil {
			t.Errorf("%q: %q, then %q, %v", s, got, again, err)
		}
		if at := strings.LastIndexByte(s, '@'); s[at+1:] != domain {
			t.Errorf("%q: domain %q", s, domain)
		}
	})
}
