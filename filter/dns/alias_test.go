package dns

import (
	"strings"
	"testing"
)

// RFC 2181 section 10.3: who checks what an MX leads to must see the CNAME.
func TestAlias(t *testing.T) {
	z, err := ParseZone("test", strings.NewReader(`
host.example.   A     192.0.2.1
alias.example.  CNAME host.example.
far.example.    CNAME alias.example.
lost.example.   CNAME nowhere.example.
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		typ     Type
		outcome Outcome
		alias   string
	}{
		{"host.example", A, Found, ""},
		{"alias.example", A, Found, "host.example"},
		{"far.example", A, Found, "host.example"},
		{"alias.example", AAAA, NoData, "host.example"},
		{"lost.example", A, NXDomain, "nowhere.example"},
		{"nowhere.example", A, NXDomain, ""},
	} {
		a := z.Query(t.Context(), Question{c.name, c.typ})
		if a.Outcome != c.outcome || a.Alias != c.alias {
			t.Errorf("%s %s: %s, alias %q; want %s, %q", c.typ, c.name, a.Outcome, a.Alias, c.outcome, c.alias)
		}
	}
}

// The type SPF reads as TXT does, and is no TXT.
func TestTypeSPF(t *testing.T) {
	z, err := ParseZone("test", strings.NewReader(`
old.example.  SPF "v=spf1 " "-all"
old.example.  TXT "else"
`))
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[Type]string{SPF: "v=spf1 -all", TXT: "else"} {
		if a := z.Query(t.Context(), Question{"old.example", typ}); a.Outcome != Found || strings.Join(a.TXT, "|") != want {
			t.Errorf("%s: %s %q, want %q", typ, a.Outcome, a.TXT, want)
		}
	}
	if a := z.Query(t.Context(), Question{"none.example", SPF}); a.Outcome != NXDomain {
		t.Errorf("none.example: %s", a.Outcome)
	}
}
