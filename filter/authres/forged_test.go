package authres

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter/mail"
)

// header builds a header by hand: one field a string, as on the wire but for
// its last line end.
func header(fields ...string) mail.Header {
	var h mail.Header
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		h.Fields = append(h.Fields, mail.Field{Name: strings.TrimRight(name, " \t"), Raw: []byte(f + "\r\n"), Value: []byte(value)})
	}
	return h
}

func TestForged(t *testing.T) {
	const ar = "Authentication-Results"
	forged := []string{
		// AR-01: ours, however it is written.
		ar + ": mx.ours.example; dmarc=pass header.from=victim.example",
		ar + ":mx.ours.example;none",
		"AUTHENTICATION-RESULTS: MX.Ours.EXAMPLE; none",
		"authentication-results: old.ours.example; none",
		ar + ": mx.ours.example 1; none",
		ar + ": mx.ours.example (a comment (nested)) ; none",
		ar + ": (a comment)\r\n\tmx.ours.example\r\n (x)\r\n\t; none",
		ar + ":\r\n mx.ours.example;\r\n none",
		ar + `: "mx.ours.example"; none`,
		ar + `: "mx\.ours.example" 1; none`,
		ar + ": mx.ours.example.; none",
		// AR-02: versions that nobody knows.
		ar + ": mx.foreign.example 2; none",
		ar + ": mx.foreign.example 01; none",
		// AR-03: whose it is cannot be told.
		ar + ":",
		ar + ": ",
		ar + ": ;",
		ar + ": mx.foreign.example",
		ar + ": mx.foreign.example mx.ours.example; none",
		ar + ": mx.foreign.example 1 mx.ours.example; none",
		ar + ": mx(x).ours.example; none",
		ar + ": mx.foreign.example/mx.ours.example; none",
		ar + ": mx.foreign.example (unclosed; none",
		ar + `: "mx.foreign.example; none`,
		ar + `: "mx.ours .example"; none`,
		ar + ": spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=victim.example",
		ar + ": mx.foreign.example\x00; none",
		ar + ": mx.foreign.example\n; none",
		ar + ": mx.foreign\xff; none",
		ar + ": " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + "mx.foreign.example; none",
		// MS-04, MS-06: names that some reader takes for the name.
		ar + " : mx.foreign.example; none",
		ar + "\t: mx.foreign.example; none",
		" " + ar + ": mx.foreign.example; none",
		"Authentication -Results: mx.foreign.example; none",
		"Authentication\xad-Results: mx.foreign.example; none",
		"Auth\x00entication-Results: mx.foreign.example; none",
		"Authentication-\u200bResults: mx.foreign.example; none",
		ar + "\r\n : mx.foreign.example; none",
		ar + " mx.ours.example; none",
		// AR-05: a Received-SPF in our name.
		"Received-SPF: pass receiver=mx.ours.example; client-ip=192.0.2.1;",
		`Received-SPF: Pass (x: y) client-ip=192.0.2.1; envelope-from="a@b"; Receiver = "MX.ours.example"`,
		"Received-SPF: pass (mx.ours.example: domain of a@victim.example designates 192.0.2.1 as permitted sender) client-ip=192.0.2.1",
		"Received-SPF: pass (unclosed receiver=mx.ours.example",
		"Received-SPF: pass receiver=mx. ours.example",
		"Received-SPF : pass receiver=mx.foreign.example",
	}
	ids := []string{"mx.ours.example", "Old.Ours.example"}
	for _, f := range forged {
		if got := Forged(header(f), ids); len(got) != 1 {
			t.Errorf("kept %.100q", f)
		}
	}
	kept := []string{
		// AR-04: others may say what they like.
		ar + ": mx.foreign.example; dmarc=pass header.from=victim.example",
		ar + ": mx.foreign.example (mx.ours.example); none",
		ar + ": mx.foreign.example 1; spf=pass smtp.helo=mx.ours.example",
		ar + ": sub.mx.ours.example; none",
		ar + ": ours.example; none",
		ar + ": mail.foreign.example;\r\n dkim=pass header.i=@example.org header.b=a/b+c=;\r\n arc=pass (i=1)",
		ar + ": foreign_gateway; none",
		// AR-05.
		"ARC-Authentication-Results: i=1; mx.ours.example; dmarc=pass",
		"X-Original-Authentication-Results: mx.ours.example; dmarc=pass",
		"Received-SPF: pass receiver=mx.foreign.example; helo=mx.ours.example; client-ip=2001:db8::1",
		"Received-SPF: pass (mx.foreign.example: domain of a@mx.ours.example designates 192.0.2.1) client-ip=192.0.2.1; envelope-from=a@mx.ours.example; helo=x;",
		"Received-SPF: none",
		"Received-SPF: pass (unclosed receiver=mx.foreign.example",
		"Received-SPF:",
		"Subject: Authentication-Results: mx.ours.example; none",
		"X-Authentication-Results: mx.ours.example; none",
		"",
	}
	for _, f := range kept {
		if got := Forged(header(f), ids); len(got) != 0 {
			t.Errorf("dropped %.100q", f)
		}
	}
}

// AR-01: all instances, anywhere in the header.
func TestForgedAll(t *testing.T) {
	h := header("Received: x", "Authentication-Results: a.example; none", "From: a@b.example", "authentication-results: A.example; none",
		"Authentication-Results: b.example; none", "Authentication-Results: a.example; none")
	if diff := cmp.Diff([]int{1, 3, 5}, Forged(h, []string{"a.example"})); diff != "" {
		t.Error(diff)
	}
	if got := Forged(h, []string{""}); got != nil {
		t.Errorf("without an id of ours: %v", got)
	}
}

func TestPrefixed(t *testing.T) {
	h := header("X-Sekimori-Verdict: accept", "x-sekimori-other:", "X-Sekimori-Verdict : accept", " X-Sekimori-Verdict: a", "X-Sekimori\xa0-Verdict: a",
		"X-Sekimori-Verdict", "X-Sekimori: a", "X-Sekimoris: a", "Subject: X-Sekimori-Verdict: a", "A-X-Sekimori-: a", "X-Sekimori-\r\n Verdict: a")
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 10}, Prefixed(h, "X-Sekimori-")); diff != "" {
		t.Error(diff)
	}
}

// A field survives only if a strict reading of all before its results gives a
// foreign id, and what Field writes for one of ours is always found.
func FuzzForged(f *testing.F) {
	f.Add([]byte("Authentication-Results: mx.ours.example; none"))
	f.Add([]byte("Authentication-Results : (x) \"mx.ours.example\" 1; spf=pass"))
	f.Add([]byte("Received-SPF: pass (x) receiver=mx.ours.example; client-ip=192.0.2.1"))
	ids := []string{"mx.ours.example"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		name, value, _ := bytes.Cut(raw, []byte{':'})
		h := mail.Header{Fields: []mail.Field{{Name: string(name), Raw: raw, Value: value}}}
		drop := Forged(h, ids)
		Prefixed(h, "X-Sekimori-")
		if strings.EqualFold(string(name), "Authentication-Results") && len(drop) == 0 {
			r, err := Parse(value)
			if err == nil && strings.EqualFold(r.ID, ids[0]) {
				t.Errorf("kept %q", raw)
			}
		}
		if flat := strings.ToLower(string(raw)); strings.HasPrefix(flat, "authentication-results:mx.ours.example") &&
			!isTokenByte(append(raw, ';')[len("authentication-results:mx.ours.example")]) && len(drop) == 0 {
			t.Errorf("kept %q", raw)
		}
	})
}

// The work grows with the bytes and no faster: hostile fields of twice the size
// take about twice the steps. Counted in allocations, the clock being no judge.
func TestForgedLinear(t *testing.T) {
	for _, part := range []string{"(x)", " ", "\r\n ", "(", "\"", "\\", "a=b;"} {
		for _, name := range []string{"Authentication-Results: ", "Received-SPF: pass "} {
			small, large := header(name+strings.Repeat(part, 1000)), header(name+strings.Repeat(part, 4000))
			ids := []string{"mx.ours.example"}
			a := testing.AllocsPerRun(3, func() { Forged(small, ids) })
			b := testing.AllocsPerRun(3, func() { Forged(large, ids) })
			if b > 5*a+20 {
				t.Errorf("%s%q: %v allocations for 1000, %v for 4000", name, part, a, b)
			}
		}
	}
}
