package authres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	spf := func(props ...string) Results {
		m := Method{Name: "spf", Result: "pass"}
		for i := 0; i < len(props); i += 3 {
			m.Properties = append(m.Properties, Property{props[i], props[i+1], props[i+2]})
		}
		return Results{ID: "example.com", Methods: []Method{m}}
	}
	tests := []struct {
		in   string
		want Results
	}{
		// RFC 8601 appendix B.
		{" example.org 1; none", Results{ID: "example.org"}},
		{" example.com;\r\n          spf=pass smtp.mailfrom=example.com", spf("smtp", "mailfrom", "example.com")},
		{` example.com;` + "\r\n" + `  auth=pass (cram-md5) smtp.auth=sender@example.net;` + "\r\n" + `  spf=pass smtp.mailfrom=example.net`,
			Results{ID: "example.com", Methods: []Method{
				{Name: "auth", Result: "pass", Comment: "cram-md5", Properties: []Property{{"smtp", "auth", "sender@example.net"}}},
				{Name: "spf", Result: "pass", Properties: []Property{{"smtp", "mailfrom", "example.net"}}}}}},
		{` example.com; dkim=pass reason="good signature"` + "\r\n\t" + `header.i=@mail-router.example.net; dkim=fail reason="bad signature" header.i=@newyork.example.com`,
			Results{ID: "example.com", Methods: []Method{
				{Name: "dkim", Result: "pass", Reason: "good signature", Properties: []Property{{"header", "i", "@mail-router.example.net"}}},
				{Name: "dkim", Result: "fail", Reason: "bad signature", Properties: []Property{{"header", "i", "@newyork.example.com"}}}}}},
		{" foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) 1362471462",
			Results{ID: "foo.example.net", Methods: []Method{{Name: "dkim", Result: "fail", Properties: []Property{{"policy", "expired", "1362471462"}}}}}},
		{`"mx (1)";SPF=Pass SMTP.Helo=""`, Results{ID: "mx (1)", Methods: []Method{{Name: "spf", Result: "pass", Properties: []Property{{"smtp", "helo", ""}}}}}},
		{`example.com;spf=pass smtp.mailfrom="a b"@example.org`, spf("smtp", "mailfrom", `"a b"@example.org`)},
		{`example.com;spf=pass smtp.mailfrom="a\"b c"`, spf("smtp", "mailfrom", `a"b c`)},
		{`example.com;spf=pass smtp.mailfrom=a=b?/@example.org`, spf("smtp", "mailfrom", "a=b?/@example.org")},
		{`example.com;spf=pass a.b="c"d.e=f`, spf("a", "b", "c", "d", "e", "f")},
		{`example.com;spf=pass reason.x=y`, spf("reason", "x", "y")},
		{"example.com;spf=pass (a (nested\\)) \r\n\tcomment) (and b)", Results{ID: "example.com", Methods: []Method{{Name: "spf", Result: "pass", Comment: "a (nested)) comment and b"}}}},
		{"example.com; none=pass", Results{ID: "example.com", Methods: []Method{{Name: "none", Result: "pass"}}}},
		{"example.com;dmarc=fail header.from=bücher.example", Results{ID: "example.com", UTF8: true, Methods: []Method{{Name: "dmarc", Result: "fail", Properties: []Property{{"header", "from", "bücher.example"}}}}}},
	}
	for _, tt := range tests {
		got, err := Parse([]byte(tt.in))
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.in, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", ";", "example.com", "example.com;", "; none", "example.com none", "example.com; none;", "example.com; none; spf=pass",
		"example.com 2; none", "example.com 11; none", "example.com 1 1; none", "example.com x; none", "example.com/1; none",
		"example.com; spf", "example.com; spf=", "example.com; =pass", "example.com; spf=pass;", "example.com;; spf=pass",
		"example.com; spf/2=pass", "example.com; spf/=pass", "example.com; s_pf=pass", "example.com; spf-=pass", "example.com; spf=pa/ss",
		"example.com; spf=pass smtp.mailfrom", "example.com; spf=pass smtp.=x", "example.com; spf=pass .mailfrom=x", "example.com; spf=pass smtp.mailfrom=",
		"example.com; spf=pass smtp.mailfrom=a@b@c", "example.com; spf=pass smtp.mailfrom=a..b@c", "example.com; spf=pass smtp.mailfrom=a@", "example.com; spf=pass smtp.mailfrom=a/b",
		`example.com; spf=pass smtp.mailfrom="a`, `example.com; spf=pass smtp.mailfrom="a\`, `example.com; spf=pass smtp.mailfrom="a"@b..c`,
		"example.com; spf=pass smtp.mailfrom=x reason=y", "example.com; spf=pass reason=", "example.com; spf=pass reason=a reason=b", "example.com; spf=pass x=y",
		"example.com; spf=pass (", "example.com; spf=pass (\\", "example.com; spf=pass )", "example.com; (a spf=pass",
		"example.com; spf=pass (a\x00)", "example.com; spf=pass (a\rb)", "example.com;\r\nspf=pass", "example.com; spf=pass\n smtp.helo=x",
		"example.com; spf=pass (\xff)", "example.com; " + strings.Repeat("(", maxDepth+1) + strings.Repeat(")", maxDepth+1) + "spf=pass",
		"example.com; spf=pass (" + strings.Repeat("x", maxField) + ")",
	} {
		if got, err := Parse([]byte(in)); err == nil {
			t.Errorf("%.80q was read as %+v", in, got)
		}
	}
	deep := "example.com; " + strings.Repeat("(", maxDepth) + strings.Repeat(")", maxDepth) + "spf=pass"
	if _, err := Parse([]byte(deep)); err != nil {
		t.Errorf("comments at the limit: %v", err)
	}
}

// What Parse reads, Field writes and Parse reads again, but for what is cut.
func FuzzParse(f *testing.F) {
	f.Add([]byte(" example.org 1; none"))
	f.Add([]byte(` example.com; dkim (x) / 1 = pass (y (z)) reason="a \" b"` + "\r\n\t" + `header.i="a b"@example.net`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := Parse(value)
		if err == nil {
			checkRound(t, r)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	v := []byte(` mx.example.net; spf=pass smtp.mailfrom=bounce.example.org; dkim=pass header.d=example.org header.s=s1 header.b="abcd/fgh"; dmarc=pass (p=reject dis=none) header.from=example.org`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(v); err != nil {
			b.Fatal(err)
		}
	}
}
