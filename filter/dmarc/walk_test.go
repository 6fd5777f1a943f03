package dmarc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter/dns"
)

const long = "a.b.c.d.e.f.g.h.i.j.mail.example.com" // 13 labels

// queries are what one walk from the author asks.
func TestWalkNames(t *testing.T) {
	example := "g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com j.mail.example.com mail.example.com example.com com"
	tests := []struct{ id, author, want string }{
		{"DM-034 13 labels", long, long + " " + example},
		{"DM-035 9 labels", "f.fg.g.h.i.j.mail.example.com", "f.fg.g.h.i.j.mail.example.com " + example},
		{"DM-035 8 labels", "fg.g.h.i.j.mail.example.com", "fg.g.h.i.j.mail.example.com " + example},
		{"DM-035 7 labels", "g.h.i.j.mail.example.com", example},
		{"two labels", "example.com", "example.com com"},
		{"one label", "com", "com"},
		{"127 labels", strings.Repeat("a.", 120) + "b.c.d.e.f.g.h", strings.Repeat("a.", 120) + "b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			w := records(nil)
			f := Gather(t.Context(), w, test.author, nil)
			var want []string
			for name := range strings.SplitSeq(test.want, " ") {
				if len("_dmarc."+name) <= 253 { // DM-019
					want = append(want, "_dmarc."+name)
				}
			}
			if diff := cmp.Diff(want, f.Queries); diff != "" {
				t.Error(diff)
			}
			w.once(t, f)
		})
	}
}

// DM-019: a name that cannot be asked for holds no record.
func TestNameTooLong(t *testing.T) {
	author := strings.Repeat(strings.Repeat("a", 59)+".", 4) + "example.com"
	if len(author) < 247 || len(author) > 253 {
		t.Fatal(len(author))
	}
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject"})
	r := w.judge(t, Options{}, author, Identifier{}, nil)
	if r.Word != Fail || r.PolicyDomain != "example.com" || len(r.Queries) != 5 {
		t.Errorf("%+v", r)
	}
}

func TestWalkStops(t *testing.T) {
	tests := []struct {
		id, author string
		records    map[string]string
		want       string // names asked for
	}{
		{"DM-036 psd=n at the start", "a.example.com", map[string]string{"a.example.com": "v=DMARC1; p=none; psd=n"}, "a.example.com"},
		{"DM-036 psd=y at the start", "a.example.com", map[string]string{"a.example.com": "v=DMARC1; p=none; psd=y"}, "a.example.com"},
		{"DM-036 psd=n above", "a.b.example.com", map[string]string{"b.example.com": "v=DMARC1; p=none; psd=n"}, "a.b.example.com b.example.com"},
		{"DM-036 psd=y above", "a.b.example.com", map[string]string{"example.com": "v=DMARC1; p=none; psd=y"}, "a.b.example.com b.example.com example.com"},
		{"DM-036 psd=u does not stop", "a.example.com", map[string]string{"example.com": "v=DMARC1; p=none; psd=u"}, "a.example.com example.com com"},
		{"DM-005 several with psd=n do not stop", "a.example.com", map[string]string{"example.com": "v=DMARC1; psd=n|v=DMARC1; psd=n"}, "a.example.com example.com com"},
		{"DM-018 a failure stops", "a.example.com", map[string]string{"example.com": "TIMEOUT"}, "a.example.com example.com"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			w := records(test.records)
			f := Gather(t.Context(), w, test.author, nil)
			var got []string
			for _, step := range f.Walk() {
				got = append(got, step.Domain)
			}
			if diff := cmp.Diff(strings.Split(test.want, " "), got); diff != "" {
				t.Error(diff)
			}
			w.once(t, f)
		})
	}
}

func TestOrganizationalDomain(t *testing.T) {
	const none = "v=DMARC1; p=none"
	tests := []struct {
		id, start string
		records   map[string]string
		want      string // by default
		strict    string // to the letter; "" if equal
	}{
		{"DM-037", "a.mail.example.com", map[string]string{"com": none + "; psd=y"}, "example.com", ""},
		{"DM-037 at two labels", "a.giant.bank.example", map[string]string{"bank.example": none + "; psd=y"}, "giant.bank.example", ""},
		{"DM-037 below the cut", "a.b.c.d.e.f.g.h.i.j.k.l.example", map[string]string{"g.h.i.j.k.l.example": none + "; psd=y"}, "f.g.h.i.j.k.l.example", ""},
		{"DM-038", "a.mail.example.com", map[string]string{"mail.example.com": none + "; psd=n"}, "mail.example.com", ""},
		{"DM-038 psd=n below another record", "a.mail.example.com", map[string]string{"mail.example.com": none + "; psd=n", "example.com": none}, "mail.example.com", ""},
		{"DM-039", "a.mail.example.com", map[string]string{"mail.example.com": none, "example.com": none}, "example.com", ""},
		{"DM-040", "example.com", map[string]string{"example.com": none + "; psd=y"}, "example.com", ""},
		{"DM-041", "a.mail.example.com", nil, "a.mail.example.com", ""},
		{"DM-005 several count as none", "a.mail.example.com", map[string]string{"example.com": none + "|" + none, "mail.example.com": none}, "mail.example.com", ""},
		{"record without a policy counts", "a.mail.example.com", map[string]string{"com": "v=DMARC1; psd=y"}, "example.com", ""},
		{"record and psd=y above", "a.mail.example.com", map[string]string{"mail.example.com": none, "com": none + "; psd=y"}, "example.com", ""},

		{"DM-046 com", "a.example.com", map[string]string{"com": none}, "example.com", "com"},
		{"DM-046 com and example.com", "a.example.com", map[string]string{"com": none, "example.com": none}, "example.com", "com"},
		{"DM-046 com, psd=n", "a.example.com", map[string]string{"com": none + "; psd=n"}, "example.com", "com"},
		{"DM-046 co.uk", "a.example.co.uk", map[string]string{"co.uk": none}, "example.co.uk", "co.uk"},
		{"DM-046 uk", "a.example.co.uk", map[string]string{"uk": none}, "example.co.uk", "uk"},
		{"DM-046 co.uk under uk with psd=y", "a.example.co.uk", map[string]string{"co.uk": none, "uk": none + "; psd=y"}, "example.co.uk", "co.uk"},
		{"DM-046 uk with psd=y only", "a.example.co.uk", map[string]string{"uk": none + "; psd=y"}, "example.co.uk", "co.uk"},
		{"DM-046 wildcard suffix", "a.example.any.ck", map[string]string{"ck": none}, "example.any.ck", "ck"},
		{"DM-046 exception to it", "a.www.ck", map[string]string{"ck": none}, "www.ck", "ck"},
		{"DM-046 TLD not in the list", "a.example.zz--no", map[string]string{"zz--no": none}, "example.zz--no", "zz--no"},
		{"DM-046 start is the suffix", "co.uk", map[string]string{"co.uk": none}, "co.uk", ""},
		{"DM-046 start is the suffix, record above", "co.uk", map[string]string{"uk": none}, "co.uk", "uk"},
		{"DM-046 start is a TLD", "com", map[string]string{"com": none}, "com", ""},
		{"DM-046 private suffix is one registrant", "a.user.github.io", map[string]string{"github.io": none}, "github.io", ""},
		{"DM-046 TLD above a private suffix", "a.user.github.io", map[string]string{"io": none}, "github.io", "io"},
		{"DM-046 private suffix says psd=y", "a.user.github.io", map[string]string{"github.io": none + "; psd=y"}, "user.github.io", ""},
		{"DM-046 private suffix under co.uk", "a.user.blogspot.co.uk", map[string]string{"uk": none}, "blogspot.co.uk", "uk"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			for o, want := range map[Options]string{{}: test.want, {StrictTreeWalk: true}: test.strict} {
				if want == "" {
					want = test.want
				}
				w := records(test.records)
				r := w.judge(t, o, test.start, Identifier{}, nil)
				if r.OrganizationalDomain != want {
					t.Errorf("%+v: %q, want %q", o, r.OrganizationalDomain, want)
				}
				noted := slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "public suffix") })
				if departs := !o.StrictTreeWalk && test.strict != ""; noted != departs {
					t.Errorf("%+v: notes %q", o, r.Notes)
				}
			}
		})
	}
}

// What Gather asks for the identifiers.
func TestWalksForIdentifiers(t *testing.T) {
	reject := map[string]string{"example.com": "v=DMARC1; p=reject"}
	tests := []struct {
		name, author string
		records      map[string]string
		ids          []string
		want         string // asked beyond the author's walk
	}{
		{"below the organizational domain", "example.com", reject, []string{"pass a.example.com", "pass b.c.example.com"}, "a.example.com b.c.example.com c.example.com"},
		{"temporary error", "example.com", reject, []string{"temperror a.example.com"}, "a.example.com"},
		{"same domain", "example.com", reject, []string{"pass example.com"}, ""},
		{"twice", "example.com", reject, []string{"pass a.example.com", "pass a.example.com"}, "a.example.com"},
		{"strangers", "example.com", reject, []string{"pass evil.example", "temperror x.evil.com", "pass com", "pass notexample.com"}, ""},
		{"not passed", "example.com", reject, []string{"fail a.example.com", "none b.example.com", "permerror c.example.com", "policy d.example.com", "neutral e.example.com"}, ""},
		{"nobody", "example.com", reject, []string{"pass "}, ""},
		{"no policy", "mail.example.com", nil, []string{"pass a.example.com"}, ""},
		{"both strict", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; adkim=s; aspf=s"}, []string{"pass a.example.com"}, ""},
		{"one strict", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; adkim=s"}, []string{"pass a.example.com"}, "a.example.com"},
		{"parent of the author", "mail.example.com", reject, []string{"pass example.com"}, ""},
		{"above the organizational domain", "mail.example.com", map[string]string{"mail.example.com": "v=DMARC1; p=reject; psd=n"}, []string{"pass example.com", "pass a.example.com"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			alone := records(test.records)
			Gather(t.Context(), alone, test.author, nil)
			w := records(test.records)
			f := Gather(t.Context(), w, test.author, ids(test.ids...))
			w.once(t, f)
			var got []string
			for _, name := range f.Queries[len(alone.asked):] {
				got = append(got, strings.TrimPrefix(name, "_dmarc."))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Many deep signatures must not make us ask without end.
func TestWalksAreBounded(t *testing.T) {
	var list []Identifier
	for i := range 64 {
		list = append(list, id(fmt.Sprintf("pass a%d.b%d.c%d.d%d.e%d.f%d.g%d.h%d.example.com", i, i, i, i, i, i, i, i)))
	}
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject"})
	f := Gather(t.Context(), w, "example.com", list)
	w.once(t, f)
	// Two for the author; of eight for each identifier two are the author's.
	if len(w.asked) != 2+maxIdentifiers*6 {
		t.Errorf("%d questions", len(w.asked))
	}
}

// DM-003, DM-004, DM-005, DM-020: the records of one name. Strings and aliases are
// the resolver's business: what comes here is whole.
func TestRecordsOfOneName(t *testing.T) {
	tests := []struct {
		id, texts string
		want      State
		stray     bool
	}{
		{"DM-004 SPF beside", "v=spf1 -all|v=DMARC1; p=none", Found, false},
		{"DM-004 wildcard text", "v=spf1 -all|google-site-verification=x", Missing, false},
		{"DM-005 two", "v=DMARC1; p=none|v=DMARC1; p=none", Several, false},
		{"DM-005 two, one without a policy", "v=DMARC1|x|v=DMARC1; p=none", Several, false},
		{"DM-005 one of another version", "v=DMARC2; p=none|v=DMARC1; p=none", Found, false},
		{"DM-001 meant well", "x|v=dmarc1; p=none", Missing, true},
		{"nothing", "", Missing, false},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			w := records(map[string]string{"example.com": test.texts})
			step := Gather(t.Context(), w, "example.com", nil).Walk()[0]
			if step.State != test.want || (step.Stray != "") != test.stray {
				t.Errorf("%+v", step)
			}
		})
	}
}

type panicking struct{ *world }

func (panicking) LookupTXT(_ context.Context, name string) ([]string, error) {
	if strings.HasPrefix(name, "_dmarc.bad") {
		panic("resolver")
	}
	return []string{"v=DMARC1; p=none"}, nil
}

// A panic in a helper goroutine must reach the one who can handle it.
func TestPanicReachesCaller(t *testing.T) {
	defer func() {
		if p := recover(); p != "resolver" {
			t.Errorf("recovered %v", p)
		}
	}()
	Gather(t.Context(), panicking{}, "example.com", ids("pass a.example.com", "pass bad1.example.com", "pass bad2.example.com"))
	t.Error("no panic")
}

type strange struct{ *world }

func (strange) LookupTXT(context.Context, string) ([]string, error) {
	return nil, context.DeadlineExceeded
}

func TestErrorOfAnotherKind(t *testing.T) {
	r := Gather(t.Context(), strange{}, "example.com", nil).Evaluate(Identifier{}, nil)
	if r.Word != TempError || r.Reason != "the DNS did not answer for _dmarc.example.com (error)" {
		t.Errorf("%+v", r)
	}
}

func TestLengths(t *testing.T) {
	for n := 1; n < 128; n++ {
		var s lengths
		s.add(n)
		if got, ok := s.only(); got != n || !ok {
			t.Errorf("only %d: %d, %v", n, got, ok)
		}
		if s.upTo(n) != s || s.upTo(n-1) != (lengths{}) {
			t.Errorf("upTo %d", n)
		}
		if got, _ := s.atLeast(n + 1).only(); n < 127 && got != n+1 {
			t.Errorf("atLeast %d: %d", n+1, got)
		}
		if s.atLeast(n) != s {
			t.Errorf("atLeast %d changes it", n)
		}
	}
}

func TestNormal(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.": "example.com", "": "", ".": "", "a..b": "", ".a": "", "a..": "", "a b.c": "", "a\r\n.c": "", "b\u00fccher.example": "", "a_b-1.c": "a_b-1.c", strings.Repeat("a.", 128): "",
	} {
		if got := normal(in); got != want {
			t.Errorf("normal(%q) = %q", in, got)
		}
	}
}

// A Session is a Resolver.
var _ Resolver = (*dns.Session)(nil)

func BenchmarkGather(b *testing.B) {
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject; rua=mailto:a@example.com"})
	list := ids("pass bounce.example.com", "pass example.com")
	b.ReportAllocs()
	for b.Loop() {
		w.asked = w.asked[:0]
		Gather(context.Background(), w, "mail.example.com", list)
	}
}

func BenchmarkGatherDeep(b *testing.B) {
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject; rua=mailto:a@example.com"})
	b.ReportAllocs()
	for b.Loop() {
		w.asked = w.asked[:0]
		Gather(context.Background(), w, long, nil)
	}
}

// Prefetch asks for all names of the walks at once, and what Gather asks is among them.
func TestPrefetchAsksWhatGatherAsks(t *testing.T) {
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject", "b.mail.example.com": "v=DMARC1; p=none; psd=n"})
	Prefetch(context.Background(), w, "mail.example.com", "b.mail.example.com")
	early := slices.Sorted(slices.Values(w.asked))
	if want := []string{"_dmarc.b.mail.example.com", "_dmarc.com", "_dmarc.example.com", "_dmarc.mail.example.com"}; !slices.Equal(early, want) {
		t.Errorf("asked %q, want %q", early, want)
	}
	w.asked = nil
	Gather(context.Background(), w, "mail.example.com", []Identifier{{Domain: "b.mail.example.com", Result: "pass"}})
	for _, name := range w.asked {
		if !slices.Contains(early, name) {
			t.Errorf("Gather asks for %s, which Prefetch did not", name)
		}
	}
	w.asked = nil
	Prefetch(context.Background(), w, "example.com", "other.example.net")
	if slices.Contains(w.asked, "_dmarc.other.example.net") {
		t.Error("a stranger's domain was asked for")
	}
	w.asked = nil
	Prefetch(context.Background(), w, strings.Repeat("a.", 60)+"example.com", strings.Repeat("b.", 60)+"example.com")
	if n := len(w.asked); n > 2*maxQueries {
		t.Errorf("%d questions", n)
	}
}
