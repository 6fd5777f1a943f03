package dns

import (
	"net/netip"
	"strings"
	"testing"
)

// RFC 1035 section 2.3.4, RFC 2181 section 11 (DM-019).
func TestAskable(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".") // 253
	for name, want := range map[string]bool{
		"example.com":             true,
		"_dmarc.example.com":      true,
		"com":                     true,
		"a@b c\x00\xff.example":   true,
		label + ".example":        true,
		long:                      true,
		"":                        false,
		".":                       false,
		"a..b":                    false,
		".a":                      false,
		"a.":                      false, // canonical has taken one dot away already
		label + "a.example":       false,
		long + "a":                false,
		"_dmarc." + long:          false,
		strings.Repeat("a.", 1e5): false,
	} {
		if got := askable(name); got != want {
			t.Errorf("askable(%.40q...) = %v, want %v", name, got, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.":    "example.com",
		"example.com":     "example.com",
		"B\xc3\x9cCHER.x": "b\xc3\x9ccher.x", // bytes that are no ASCII letters stay
		"\xffA":           "\xffa",
		".":               "",
		"a..":             "a.",
	} {
		if got := canonical(in); got != want {
			t.Errorf("canonical(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPresentationRoundTrip(t *testing.T) {
	for _, name := range []string{"example.com", `a\b"c;(d)@e$f'g h.example`, "\x00\x1f\x7f\x80\xff.x", "*.x", "_spf.x"} {
		got, ok := parseName(present(name))
		if !ok || got != name {
			t.Errorf("%q became %q %v by way of %q", name, got, ok, present(name))
		}
	}
}

func TestParseName(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.":  "example.com",
		".":             "",
		`\065bc.x.`:     "abc.x",
		`a\@b.x.`:       "a@b.x",
		"":              "-",
		"relative":      "-",
		`a\.b.x.`:       "-", // one label, which would be read as two
		`a\046b.x.`:     "-",
		`trailing.x\.`:  "-",
		`trailing.x\\.`: `trailing.x\`,
	} {
		got, ok := parseName(in)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("parseName(%q) = %q, want %q", in, got, want)
		}
	}
	for _, in := range []string{`a\@b.x.`, `a\010b.x.`, "b\xc3\xbc.x.", "a b.", "a\nb."} {
		if got, ok := parseHost(in); ok {
			t.Errorf("parseHost(%q) = %q, want none", in, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		`plain`:           "plain",
		`a\"b\\c`:         `a"b\c`,
		`\000\127\200\25`: "\x00\x7f\xc825",
		`\255\256`:        "\xff\x00", // as the library packs them
		`end\`:            `end\`,
		`\1`:              "1",
		`v=spf1\; p`:      "v=spf1; p",
	} {
		if got, _ := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

// RFC 1035 section 3.5, RFC 3596 section 2.5.
func TestReverseName(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":        "1.2.0.192.in-addr.arpa",
		"::ffff:192.0.2.1": "1.2.0.192.in-addr.arpa",
		"2001:db8::1f":     "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
		"fe80::1%eth0":     "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa",
	} {
		if got := ReverseName(netip.MustParseAddr(in)); got != want {
			t.Errorf("ReverseName(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestErrorIsEscaped(t *testing.T) {
	e := &Error{Question: Question{"a\r\nb\x1b.example", TXT}, Outcome: NXDomain}
	if got, want := e.Error(), `TXT a\013\010b\027.example: nxdomain`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
