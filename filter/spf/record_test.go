package spf

import (
	"net/netip"
	"strings"
	"testing"
)

// SPF-022 and SPF-034 to SPF-079: what the grammar of RFC 7208 section 12 has
// and has not. Each term stands before an "all" that would match.
func TestGrammar(t *testing.T) {
	for term, want := range map[string]error{
		"all": nil, "+all": nil, "-ALL": nil,
		"all.": errMechanism, "all:x": errArgument, "all/8": errArgument, "++all": errMechanism, "-": errMechanism, ":": errMechanism, // SPF-034
		"include:a.example": nil, "include:%{d}": nil,
		"include": errArgument, "include:": errDomain, "include/24": errArgument, "include:a.example/24": errDomain, // SPF-036
		"a": nil, "A/0": nil, "a/32//128": nil, "a//0": nil, "a:%{d}/24//64": nil, "a:b/c.example": nil, "a:x:8080.example": nil,
		"a:": errDomain, "a/33": errBits, "a/024": errBits, "a//129": errBits, "a//064": errBits, "a/": errArgument, "a//": errArgument,
		"a/24/24": errArgument, "a//64/24": errArgument, "a/-1": errArgument, "a:b.example/": errDomain, "a:b.example//": errDomain,
		"mx": nil, "mx:m.example//64": nil, "mx:": errDomain, "mx:/24": errDomain, "mx.": errMechanism,
		"ptr": nil, "ptr:m.example": nil, "ptr:": errDomain, "ptr/0": errArgument,
		"exists:%{i}.example": nil, "exists": errArgument, "exists:": errDomain, "exists:a.example/24": errDomain, // SPF-049
		"ip4:1.2.3.4": nil, "ip4:1.2.3.4/0": nil, "ip4:1.2.3.4/32": nil,
		"ip4:1.2.3.4/33": errBits, "ip4:1.2.3.4/032": errBits, "ip4:1.2.3.4/": errBits, "ip4": errArgument, "ip4/24": errArgument, // SPF-045
		"ip4:": errNetwork, "ip4:1.2.3": errNetwork, "ip4:1.2.3.4:25": errNetwork, "ip4:01.2.3.4": errNetwork, "ip4:1.2.3.256": errNetwork, "ip4:::1": errNetwork, "ip4:1.2.3.4//32": errBits,
		"ip6:::": nil, "ip6:::1/0": nil, "ip6:2001:DB8::/128": nil, "ip6:::ffff:1.2.3.4/96": nil,
		"ip6:::/129": errBits, "ip6": errArgument, "ip6::CAFE::BABE": errNetwork, "ip6:1.2.3.4": errNetwork, "ip6:fe80::1%eth0": errNetwork, // SPF-046
		"redirect=a.example": nil, "redirect=%{d}": nil, "+redirect=a.example": errMechanism, "redirect:a.example": errMechanism, "redirect=": errDomain, "redirect=a": errDomain, // SPF-056
		"exp=a.example": nil, "exp=": errDomain, "exp=-all": errDomain, "exp=%{c}.example": errMacro, // SPF-079, SPF-071
		"x=": nil, "x-1_.y=%{s}%%%_%-/:=": nil, "a=b": nil, // SPF-052
		"=x": errMechanism, "1x=y": errMechanism, "x=%": errMacro, "x=%{t}": errMacro, "moo": errMechanism, "spf2.0/pra": errMechanism, // SPF-053
		"a:foo-bar": errDomain, "a:museum": errDomain, "a:museum.": errDomain, "a:111.222.33.44": errDomain, "a:x.1-2": nil, "a:x.a-": errDomain, "a:x.-a": errDomain,
		"a:x.example.": nil, "a:x.example..": errDomain, "a:.example": nil, "a:%{d}.": errDomain, "a:%{d}com": errDomain, "a:%{d}.com": nil, "a:x%%": nil, "a:x.com%_": nil, "a:x.c_m": errDomain, // SPF-057
		"a:%(d).example": errMacro, "a:%.example": errMacro, "a:x%": errMacro, "a:%{x}.example": errMacro, "a:%{d": errMacro, "a:%{}": errMacro, "a:%{d0}": errMacro, "a:%{d00}": errMacro, // SPF-070
		"a:%{r}": errMacro, "a:%{dx}": errMacro, "a:%{dr4}": errMacro, "a:%{d4rr}": errMacro, "a:%{d99999999999999999999R.-+,/_=}": nil, "a:%{D3r}": nil,
	} {
		_, err := parse("v=spf1 " + term + " +all")
		if (err == nil) != (want == nil) || want != nil && !strings.HasSuffix(err.Error(), want.Error()) {
			t.Errorf("%s: %v, want %v", term, err, want)
		}
	}
	for record, want := range map[string]error{
		"v=spf1 redirect=a.example all REDIRECT=b.example": errTwice, // SPF-051
		"v=spf1 exp=a.example Exp=a.example":               errTwice,
		"v=spf1 x=1 x=2":                                   nil,
	} {
		if _, err := parse(record); (err == nil) != (want == nil) || want != nil && !strings.HasSuffix(err.Error(), want.Error()) {
			t.Errorf("%s: %v, want %v", record, err, want)
		}
	}
}

// RFC 7208 section 7.4, and what section 7.3 says beyond it.
func TestMacros(t *testing.T) {
	for _, c := range []struct{ client, local, text, want string }{
		{client4, "strong-bad", "%{s}", "strong-bad@email.example.com"},
		{client4, "strong-bad", "%{o}", "email.example.com"},
		{client4, "strong-bad", "%{d}", "email.example.com"},
		{client4, "strong-bad", "%{d4}", "email.example.com"},
		{client4, "strong-bad", "%{d3}", "email.example.com"},
		{client4, "strong-bad", "%{d2}", "example.com"},
		{client4, "strong-bad", "%{d1}", "com"},
		{client4, "strong-bad", "%{dr}", "com.example.email"},
		{client4, "strong-bad", "%{d2r}", "example.email"},
		{client4, "strong-bad", "%{l}", "strong-bad"},
		{client4, "strong-bad", "%{l-}", "strong.bad"},
		{client4, "strong-bad", "%{lr}", "strong-bad"},
		{client4, "strong-bad", "%{lr-}", "bad.strong"},
		{client4, "strong-bad", "%{l1r-}", "strong"},
		{client4, "strong-bad", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
		{client4, "strong-bad", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
		{client4, "strong-bad", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
		{client4, "strong-bad", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
		{client4, "strong-bad", "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
		{client6, "strong-bad", "%{ir}.%{v}._spf.%{d2}", "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"},
		{client4, "a..b", "%{l}", "a..b"},                               // SPF-075
		{client4, "a+b=c", "%{l2r+=}.%{d127}", "b.a.email.example.com"}, // SPF-075
		{client4, "a&b~c d", "%{L}%%%_%-", "a%26b~c%20d% %20"},          // SPF-074
		{client4, "", "%{l}", ""},
		{client4, "x", strings.Repeat("a.", 127) + "%{d}", strings.Repeat("a.", 118) + "email.example.com"}, // SPF-073: 254 would be too long
		{client4, "x", strings.Repeat("a", 240) + ".%{d}", "email.example.com"},
		{client4, "x", strings.Repeat("a", 300), ""},
	} {
		e := &evaluation{client: netip.MustParseAddr(c.client), sender: sender{local: c.local, domain: "email.example.com"}}
		macros, err := parseMacros(c.text, termLetters)
		if err != nil {
			t.Fatal(err)
		}
		got := expandName(macros, func(l byte) string { return e.value(t.Context(), l, "email.example.com") })
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.text, got, c.want)
		}
	}
}

// The work for a name has an end, whatever a record of the greatest length says.
func TestExpansionIsBounded(t *testing.T) {
	macros, err := parseMacros(strings.Repeat("%{s}", maxRecord/4), termLetters)
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	value := func(byte) string { calls++; return "local@example.com" }
	if name := expandName(macros, value); len(name) > maxName || calls > maxName {
		t.Errorf("%d bytes after %d values", len(name), calls)
	}
	calls = 0
	if text := expandText(macros, maxExplanation, value); len(text) != maxExplanation || calls > maxExplanation {
		t.Errorf("%d bytes after %d values", len(text), calls)
	}
}

// The grammar is checked in one pass: twice the record is twice the work.
func TestGrammarIsLinear(t *testing.T) {
	for _, shape := range []string{" a", " x=%{d}", " a:%{d}.%{d}.x", " ip4:1.2.3.4/24", "%%", "%{", "/1", " "} {
		work := func(n int) float64 {
			txt := version + " x=" + strings.Repeat(shape, n)
			return testing.AllocsPerRun(3, func() { _, _ = parse(txt) })
		}
		if one, two := work(300), work(600); two > 2*one+20 {
			t.Errorf("%q: %v allocations, doubled %v", shape, one, two)
		}
	}
}

// BenchmarkHostile is the most that one identity can cost beside the DNS: eleven
// records of the greatest length.
func BenchmarkHostile(b *testing.B) {
	for name, term := range map[string]string{"networks": " ip4:10.0.0.1", "modifiers": " x=%{d}", "macros": "%{s}"} {
		b.Run(name, func(b *testing.B) {
			record := "v=spf1 include:%{d} x="
			record += strings.Repeat(term, (maxRecord-len(record))/len(term))
			for b.Loop() {
				Check(b.Context(), same{record}, netip.MustParseAddr(client4), "h", "u@example.com")
			}
		})
	}
}
