package authres

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestField(t *testing.T) {
	prop := func(s ...string) []Property {
		var all []Property
		for i := 0; i < len(s); i += 3 {
			all = append(all, Property{s[i], s[i+1], s[i+2]})
		}
		return all
	}
	tests := []struct {
		name string
		in   Results
		want string
	}{
		{"AR-08 nothing done", Results{ID: "mx.example.net"},
			"Authentication-Results: mx.example.net;\r\n none\r\n"},
		{"AR-12 one result a signature, properties in order", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "spf", Result: "pass", Properties: prop("smtp", "mailfrom", "example.org")},
			{Name: "dkim", Result: "pass", Properties: prop("header", "d", "example.org", "header", "s", "s1", "header", "a", "rsa-sha256", "header", "i", "@example.org", "header", "b", "abcd/fgh")},
			{Name: "dkim", Result: "policy", Reason: "body longer than l=", Comment: "test key", Properties: prop("header", "d", "example.com")},
		}}, "Authentication-Results: mx.example.net;\r\n" +
			" spf=pass smtp.mailfrom=example.org;\r\n" +
			" dkim=pass header.d=example.org header.s=s1 header.a=rsa-sha256\r\n header.i=@example.org header.b=\"abcd/fgh\";\r\n" +
			" dkim=policy (test key) reason=\"body longer than l=\" header.d=example.com\r\n"},
		{"AR-09 a value that wants to be a result", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "spf", Result: "fail", Properties: prop("smtp", "mailfrom", `a"; dmarc=pass (`)}}},
			"Authentication-Results: mx.example.net;\r\n spf=fail smtp.mailfrom=\"a\\\"; dmarc=pass (\"\r\n"},
		{"AR-09 a value that wants to be a field", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "spf", Result: "fail", Properties: prop("smtp", "mailfrom", "a\r\nSubject: x\x00")}}},
			"Authentication-Results: mx.example.net;\r\n spf=fail smtp.mailfrom=\"aSubject: x[...]\"\r\n"},
		{"AR-09 a comment that wants out", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "spf", Result: "fail", Comment: `a) smtp.mailfrom=b; dmarc=pass \`}}},
			"Authentication-Results: mx.example.net;\r\n spf=fail (a\\) smtp.mailfrom=b\\; dmarc=pass \\\\)\r\n"},
		{"addresses", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "dkim", Result: "pass", Properties: prop("header", "i", "joe.o'x+y@sub.example.org", "header", "i", `"a b"@example.org`, "header", "i", "a=b@example.org", "header", "i", "a..b@example.org", "header", "i", "a@b@example.org")}}},
			"Authentication-Results: mx.example.net;\r\n dkim=pass header.i=joe.o'x+y@sub.example.org header.i=\"\\\"a b\\\"@example.org\"\r\n header.i=\"a=b@example.org\" header.i=\"a..b@example.org\"\r\n header.i=\"a@b@example.org\"\r\n"},
		{"addresses of machines", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "iprev", Result: "pass", Properties: prop("policy", "iprev", "192.0.2.1", "policy", "iprev", "2001:db8::1", "policy", "iprev", "")}}},
			"Authentication-Results: mx.example.net;\r\n iprev=pass policy.iprev=192.0.2.1 policy.iprev=\"2001:db8::1\" policy.iprev=\"\"\r\n"},
		{"AR-20 beyond ASCII in ASCII", Results{ID: "mx.example.net", Methods: []Method{
			{Name: "dmarc", Result: "fail", Properties: prop("header", "from", "bücher.example", "header", "from", "b\xffcher.example")}}},
			"Authentication-Results: mx.example.net;\r\n dmarc=fail header.from=\"b?cher.example\" header.from=\"bcher.example[...]\"\r\n"},
		{"AR-20 beyond ASCII", Results{ID: "mx.example.net", UTF8: true, Methods: []Method{
			{Name: "dmarc", Result: "fail", Reason: "a\u202eb", Properties: prop("header", "from", "bücher.example", "header", "from", "a\u2000b.example")}}},
			"Authentication-Results: mx.example.net;\r\n dmarc=fail reason=\"ab[...]\" header.from=\"bücher.example\"\r\n header.from=\"ab.example[...]\"\r\n"},
		{"mistakes of the caller", Results{ID: " \r\n", Methods: []Method{
			{Name: "", Result: "pass"}, {Name: "spf", Result: "pa ss"}, {Name: "a=b", Result: "pass"}, {Name: "x", Result: "none-"},
			{Name: "DKIM", Result: "Pass", Properties: prop("he.ader", "d", "a", "header", "", "a", "Header", "D", "A.example")}}},
			"Authentication-Results: \" [...]\";\r\n dkim=pass header.d=A.example\r\n"},
		{"no authserv-id", Results{ID: "\r\n"}, "Authentication-Results: invalid;\r\n none\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.in.Field()); diff != "" {
				t.Error(diff)
			}
			checkRound(t, tt.in)
		})
	}
}

// A value is cut at a character, and the cut shows: what is left of
// "x@victim.example.attacker.example" must not be an address of the victim.
func TestFieldLength(t *testing.T) {
	cut := strings.Repeat("x", 240) + "@victim.example"
	tests := []string{cut + ".example", strings.Repeat("é", 5000), strings.Repeat(`"`, 5000), strings.Repeat(" ", 5000)}
	for _, v := range tests {
		r := Results{ID: v, UTF8: true, Methods: []Method{{Name: "spf", Result: "fail", Reason: v, Comment: v,
			Properties: []Property{{"smtp", "mailfrom", v}}}}}
		checkRound(t, r)
		got, err := Parse(value(t, r.Field()))
		if err != nil {
			t.Fatal(err)
		}
		p := got.Methods[0].Properties[0].Value
		if !strings.HasSuffix(p, lost) || len(p) > maxValue+len(lost) || !utf8.ValidString(p) {
			t.Errorf("%.40q was cut to %q", v, p)
		}
	}
}

func TestFieldBounds(t *testing.T) {
	r := Results{ID: "mx.example.net"}
	for range 500 {
		m := Method{Name: "dkim", Result: "pass"}
		for range 500 {
			m.Properties = append(m.Properties, Property{"header", "d", "example.org"})
		}
		r.Methods = append(r.Methods, m)
	}
	r.Methods = append(r.Methods, Method{Name: "dmarc", Result: "pass"})
	got, err := Parse(value(t, r.Field()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Methods) != maxRepeats+1 || got.Methods[maxRepeats].Name != "dmarc" || len(got.Methods[0].Properties) != maxProperties {
		t.Errorf("%d methods, %d properties", len(got.Methods), len(got.Methods[0].Properties))
	}
}

// value is what stands after the colon of a whole field.
func value(t *testing.T, field string) []byte {
	t.Helper()
	v, ok := strings.CutPrefix(field, "Authentication-Results:")
	if !ok || !strings.HasSuffix(v, "\r\n") {
		t.Fatalf("no whole field: %q", field)
	}
	return []byte(strings.TrimSuffix(v, "\r\n"))
}

// checkRound holds Field to its promises: one field, short lines, no byte that
// does harm, and a strict reader sees exactly what was meant.
func checkRound(t *testing.T, r Results) {
	t.Helper()
	field := r.Field()
	v := value(t, field)
	for line := range strings.SplitSeq(strings.TrimSuffix(field, "\r\n"), "\r\n") {
		if len(line) > 998 || strings.TrimSpace(line) == "" || strings.ContainsAny(line, "\r\n\x00\t") {
			t.Fatalf("bad line %q", line)
		}
		if line != field[:len(line)] && line[0] != ' ' {
			t.Fatalf("a second field %q", line)
		}
	}
	if !r.UTF8 && strings.IndexFunc(field, func(r rune) bool { return r >= utf8.RuneSelf }) >= 0 {
		t.Fatalf("more than ASCII in %q", field)
	}
	got, err := Parse(v)
	if err != nil {
		t.Fatalf("%v in %q", err, field)
	}
	got.UTF8 = r.UTF8
	if diff := cmp.Diff(meant(r), got); diff != "" {
		t.Fatalf("%q: %s", field, diff)
	}
}

// meant is what a reader should find, built without any of the writing.
func meant(r Results) Results {
	m := Results{ID: clean(r.ID, r.UTF8), UTF8: r.UTF8}
	if m.ID == "" {
		m.ID = "invalid"
	}
	count := map[string]int{}
	for _, in := range r.Methods {
		if !isKeyword(in.Name) || !isKeyword(in.Result) || count[strings.ToLower(in.Name)] >= maxRepeats {
			continue
		}
		count[strings.ToLower(in.Name)]++
		out := Method{Name: strings.ToLower(in.Name), Result: strings.ToLower(in.Result), Reason: clean(in.Reason, r.UTF8),
			Comment: strings.Join(strings.Fields(clean(in.Comment, r.UTF8)), " ")}
		for _, p := range in.Properties {
			if isKeyword(p.Type) && isKeyword(p.Name) && len(out.Properties) < maxProperties {
				out.Properties = append(out.Properties, Property{strings.ToLower(p.Type), strings.ToLower(p.Name), clean(p.Value, r.UTF8)})
			}
		}
		m.Methods = append(m.Methods, out)
	}
	return m
}

func FuzzField(f *testing.F) {
	f.Add("mx.example.net", "spf", "pass", "reason", "comment", "smtp", "mailfrom", "a@example.org", false)
	f.Add("mx\r\n", "spf", "pass", "\"\\", ")(\\;", "smtp", "mailfrom", "a\r\n b\"; dmarc=pass\x00é\xff", true)
	f.Fuzz(func(t *testing.T, id, method, result, reason, comment, ptype, property, value string, international bool) {
		hostile := Method{method, result, reason, comment, []Property{{ptype, property, value}, {"header", "from", value}}}
		checkRound(t, Results{ID: id, UTF8: international, Methods: []Method{
			hostile, {"dmarc", "fail", value, reason, []Property{{"header", "from", comment}, {"policy", "dmarc", id}}}, hostile}})
	})
}

func BenchmarkField(b *testing.B) {
	r := Results{ID: "mx.example.net", Methods: []Method{
		{Name: "spf", Result: "pass", Properties: []Property{{"smtp", "mailfrom", "bounce.example.org"}}},
		{Name: "dkim", Result: "pass", Properties: []Property{{"header", "d", "example.org"}, {"header", "s", "s1"},
			{"header", "a", "rsa-sha256"}, {"header", "i", "@example.org"}, {"header", "b", "abcd/fgh"}}},
		{Name: "dmarc", Result: "pass", Comment: "p=reject dis=none", Properties: []Property{{"header", "from", "example.org"}, {"policy", "dmarc", "reject"}}},
	}}
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Field()
	}
}
