package dmarc

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersion(t *testing.T) {
	tests := []struct {
		id, txt string
		want    bool
	}{
		{"DM-001 plain", "v=DMARC1", true},
		{"DM-001 trailing separator", "v=DMARC1;", true},
		{"DM-001 trailing space", "v=DMARC1 ", true},
		{"DM-001 empty", "", false},
		{"DM-001 not first", "p=reject; v=DMARC1", false},
		{"DM-001 absent", "p=reject", false},
		{"DM-001 absent, separator first", "; v=DMARC1; p=reject", false},
		{"DM-001 lower case", "v=dmarc1; p=reject", false},
		{"DM-001 longer", "v=DMARC1x; p=reject", false},
		{"DM-001 other version", "v=DMARC2; p=reject", false},
		{"DM-001 leading space", " v=DMARC1; p=reject", false},
		{"DM-001 leading tab", "\tv=DMARC1; p=reject", false},
		{"DM-001 no separator", "v=DMARC1 p=reject", false},
		{"DM-001 escaped separator", `v=DMARC1\; p=reject`, false},
		{"DM-001 quoted", `"v=DMARC1; p=reject"`, false},
		{"DM-001 value twice", "v=DMARC1=DMARC1; p=reject", false},
		{"DM-001 no equals sign", "v DMARC1; p=reject", false},
		{"DM-002 spaces", "v = DMARC1 ; p = reject ;", true},
		{"DM-002 tabs", "v\t=\tDMARC1\t;\tp\t=\treject", true},
		{"DM-004 SPF", "v=spf1 -all", false},
		{"DM-008 name in capitals", "V=DMARC1; p=reject", true},
		{"DM-017 NUL in v", "v=DMARC1\x00; p=reject", false},
		{"DM-017 8 bit in v", "v=DMARC1\xff; p=reject", false},
		{"DM-017 line end before v", "\r\nv=DMARC1; p=reject", false},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			if _, ok := Parse(test.txt); ok != test.want {
				t.Errorf("Parse(%q) says %v", test.txt, ok)
			}
		})
	}
}

// line shows what matters of a record, in a form that is short to write.
func line(r Record) string {
	mode := map[bool]string{false: "r", true: "s"}
	s := fmt.Sprintf("p=%s sp=%s np=%s dkim=%s spf=%s psd=%s t=%v fo=%s",
		r.Policy, r.Subdomain, r.NonExistent, mode[r.StrictDKIM], mode[r.StrictSPF], r.PSD, r.Testing, r.FailureCases)
	if r.RUA != nil {
		s += " rua=" + strings.Join(r.RUA, ",")
	}
	if r.RUF != nil {
		s += " ruf=" + strings.Join(r.RUF, ",")
	}
	var notes []string
	for _, n := range r.Notes {
		notes = append(notes, string(n.Kind)+":"+n.Tag)
	}
	return strings.TrimSpace(s + " | " + strings.Join(notes, " "))
}

func TestParse(t *testing.T) {
	const rest = " sp= np= dkim=r spf=r psd=u t=false fo=0"
	tests := []struct{ id, tags, want string }{
		{"DM-002", " p = reject ;", "p=reject" + rest + " |"},
		{"DM-002 everything", "p=reject; sp=quarantine; np=none; adkim=s; aspf=s; psd=n; t=y; fo=1; rua=mailto:a@example.com; ruf=mailto:f@example.com",
			"p=reject sp=quarantine np=none dkim=s spf=s psd=n t=true fo=1 rua=mailto:a@example.com ruf=mailto:f@example.com |"},
		{"DM-002 any order", "adkim=s; p=reject", "p=reject sp= np= dkim=s spf=r psd=u t=false fo=0 |"},
		{"DM-002 empty parts", ";; p=reject ; ;", "p=reject" + rest + " |"},
		{"DM-006 pct=0", "p=reject; pct=0", "p=reject" + rest + " | obsolete:pct"},
		{"DM-006 rf and ri", "rf=afrf; p=reject; ri=3600", "p=reject" + rest + " | obsolete:rf obsolete:ri"},
		{"DM-006 bad obsolete values", "p=reject; pct=abc; ri=; rf=!", "p=reject" + rest + " | obsolete:pct obsolete:ri obsolete:rf"},
		{"DM-006 unknown", "p=reject; foo=bar; x=", "p=reject" + rest + " | unknown:foo unknown:x"},
		{"DM-006 not a tag", "p=reject; junk; 1x=2; =; sp", "p=reject" + rest + " | invalid: invalid: invalid: invalid:"},
		{"DM-007 bad values", "p=reject; adkim=x; aspf=strict; t=1; psd=yes; fo=9; ruf=mailto:f@example.com",
			"p=reject" + rest + " ruf=mailto:f@example.com | invalid:adkim invalid:aspf invalid:t invalid:psd invalid:fo"},
		{"DM-007 empty values", "p=reject; adkim=; t=", "p=reject" + rest + " | invalid:adkim invalid:t"},
		{"DM-008 values in capitals", "p=Reject; sp=QUARANTINE; np=None; adkim=S; aspf=R; psd=N; t=Y",
			"p=reject sp=quarantine np=none dkim=s spf=r psd=n t=true fo=0 |"},
		{"DM-008 names in capitals", "P=reject; ADKIM=s", "p=reject sp= np= dkim=s spf=r psd=u t=false fo=0 |"},
		{"DM-008 names in other scripts", "p=reject; ad\u212Aim=s", "p=reject" + rest + " | invalid:"},
		{"DM-009 first wins", "p=reject; p=none; adkim=s; adkim=r", "p=reject sp= np= dkim=s spf=r psd=u t=false fo=0 | duplicate:p duplicate:adkim"},
		{"DM-009 first valid wins", "p=junk; p=quarantine; p=none; sp=x; sp=none", "p=quarantine sp=none np= dkim=r spf=r psd=u t=false fo=0 | invalid:p duplicate:p invalid:sp"},
		{"DM-009 invalid after valid", "p=reject; p=junk; sp=none; sp=", "p=reject sp=none np= dkim=r spf=r psd=u t=false fo=0 | duplicate:p duplicate:sp"},
		{"DM-009 second v", "p=reject; v=DMARC1; v=DMARC2", "p=reject" + rest + " | duplicate:v duplicate:v"},
		{"DM-010 no p", "rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p"},
		{"DM-010 bad p", "p=block; rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p"},
		{"DM-010 one URI of two", "p=block; rua=ftp://x,mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p unsupported:rua"},
		{"DM-010 sp without p", "sp=reject; rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p"},
		{"DM-011 no p, no rua", "adkim=s", "p= sp= np= dkim=s spf=r psd=u t=false fo=0 | invalid:p"},
		{"DM-011 bad p, no rua", "p=block", "p=" + rest + " | invalid:p"},
		{"DM-011 bad p, bad rua", "p=block; rua=mailto:", "p=" + rest + " | invalid:p invalid:rua invalid:rua"},
		{"DM-011 p without a value", "p; sp=reject", "p=" + rest + " | invalid: invalid:p"},
		{"DM-012 bad sp, rua", "p=reject; sp=block; rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:sp"},
		{"DM-012 bad np, rua", "p=reject; np=; sp=reject; rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:np"},
		{"DM-012 bad sp, no rua", "p=reject; sp=block", "p=" + rest + " | invalid:sp"},
		{"DM-012 bad np, no rua", "p=reject; np=block", "p=" + rest + " | invalid:np"},
		{"DM-013", "p=none; rua=mailto:a@example.com!10m, mailto:b@example.com!5", "p=none" + rest + " rua=mailto:a@example.com,mailto:b@example.com | obsolete:rua obsolete:rua"},
		{"DM-013 not a size", "p=none; rua=mailto:a@example.com!m,mailto:b!5@example.com,mailto:c@example.com", "p=none" + rest + " rua=mailto:c@example.com | invalid:rua invalid:rua"},
		{"DM-014", "p=none; rua=https://example.com/r,mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | unsupported:rua"},
		{"DM-014 only https", "p=none; rua=https://example.com/r", "p=none" + rest + " | unsupported:rua invalid:rua"},
		{"DM-014 capitals, query, percent", "p=none; rua=MAILTO:a%2Cb@example.com?subject=x", "p=none" + rest + " rua=MAILTO:a%2Cb@example.com?subject=x |"},
		{"DM-014 not URIs", "p=none; rua=a@example.com,mailto:example.com,mailto:a b@example.com,mailto:a%zz@example.com,mailto:@example.com", "p=none" + rest + " | invalid:rua invalid:rua invalid:rua invalid:rua invalid:rua invalid:rua"},
		{"DM-015", "p=none; fo=1", "p=none" + rest + " |"},
		{"DM-015 list", "p=none; fo=1:d : S; ruf=mailto:f@example.com", "p=none sp= np= dkim=r spf=r psd=u t=false fo=1:d:s ruf=mailto:f@example.com |"},
		{"DM-007 fo 0 and 1", "p=none; fo=0:1; ruf=mailto:f@example.com", "p=none" + rest + " ruf=mailto:f@example.com | invalid:fo"},
		{"DM-007 fo twice", "p=none; fo=d:d; ruf=mailto:f@example.com", "p=none" + rest + " ruf=mailto:f@example.com | invalid:fo"},
		{"DM-016", "rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p"},
		{"DM-016 nothing at all", "", "p=" + rest + " | invalid:p"},
		{"DM-017 8 bit", "p=reject; adkim=s\xff; aspf=s", "p=reject sp= np= dkim=r spf=s psd=u t=false fo=0 | invalid:adkim"},
		{"DM-017 NUL in p", "p=reject\x00; rua=mailto:a@example.com", "p=none" + rest + " rua=mailto:a@example.com | invalid:p"},
		{"DM-017 line end", "p=reject; sp=none\r\n", "p=" + rest + " | invalid:sp"},
		{"DM-036 psd", "p=reject; psd=Y", "p=reject sp= np= dkim=r spf=r psd=y t=false fo=0 |"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			r, ok := Parse("v=DMARC1;" + test.tags)
			if !ok {
				t.Fatal("not a DMARC record")
			}
			if diff := cmp.Diff(test.want, line(r)); diff != "" {
				t.Errorf("%s\n%s", test.tags, diff)
			}
		})
	}
}

func TestSpelling(t *testing.T) {
	r, _ := Parse("V=DMARC1; p=reject")
	if got := line(r); !strings.HasSuffix(got, "| spelling:v") {
		t.Errorf("DM-008: %s", got)
	}
}

// A record comes from a stranger's DNS and goes into logs and headers.
func TestTextIsPrintable(t *testing.T) {
	r, _ := Parse("v=DMARC1; p=reject; x=\r\nX-Evil: \x00\xff" + strings.Repeat("y", 5000))
	if len(r.Text) != maxText || !isValue(r.Text) {
		t.Errorf("%q", r.Text)
	}
	if !strings.HasPrefix(r.Text, "v=DMARC1; p=reject; x=??X-Evil: ??yyy") {
		t.Errorf("%q", r.Text[:40])
	}
}

func TestBounds(t *testing.T) {
	hostile := []string{
		"v=DMARC1; p=reject" + strings.Repeat(";x=1", 10000),
		"v=DMARC1; p=reject; rua=" + strings.Repeat(",", 60000),
		"v=DMARC1; p=reject; rua=" + strings.Repeat("mailto:a@example.com,", 3000),
		"v=DMARC1; p=reject; " + strings.Repeat("x", 60000) + "=1",
		"v=DMARC1" + strings.Repeat(" ", 60000) + "; p=reject",
		"v=DMARC1; p=reject; fo=" + strings.Repeat("d:", 30000),
	}
	for _, txt := range hostile {
		r, ok := Parse(txt)
		if !ok || r.Policy != PolicyReject {
			t.Errorf("%.40q: policy %q", txt, r.Policy)
		}
		if len(r.Notes) > maxNotes || len(r.RUA) > maxURIs || len(r.Text) > maxText {
			t.Errorf("%.40q: %d notes, %d URIs, %d bytes", txt, len(r.Notes), len(r.RUA), len(r.Text))
		}
		for _, n := range r.Notes {
			if len(n.Tag) > maxTag || len(n.Text) > 200 {
				t.Errorf("%.40q: long note %.40q", txt, n.Text)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; aspf=r; psd=n; t=y; fo=1:d:s; rua=mailto:a@example.com!10m,https://x; ruf=mailto:f@example.com; pct=0",
		"v = DMARC1 ; P = Reject ;;", "v=DMARC1; p=x; rua=mailto:a%2C@b", "V\t=\tDMARC1", "v=spf1 -all", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, txt string) {
		r, ok := Parse(txt)
		if !ok {
			if strings.HasPrefix(txt, "v=DMARC1;") {
				t.Fatalf("%q is a DMARC record", txt)
			}
			return
		}
		if !isValue(r.Text) || len(r.Text) > maxText || len(r.Notes) > maxNotes || len(r.RUA) > maxURIs || len(r.RUF) > maxURIs {
			t.Fatalf("%q: %+v", txt, r)
		}
		for _, n := range r.Notes {
			if !isValue(n.Text) {
				t.Fatalf("%q: note %q", txt, n.Text)
			}
		}
		for _, u := range append(r.RUA, r.RUF...) {
			if !isURI(u) {
				t.Fatalf("%q: URI %q", txt, u)
			}
		}
		if r.Policy == "" && (r.Subdomain != "" || r.NonExistent != "" || len(r.RUA) > 0) {
			t.Fatalf("%q: half a policy: %+v", txt, r)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Parse("v=DMARC1; p=reject; sp=quarantine; adkim=s; aspf=s; rua=mailto:dmarc@example.com; ruf=mailto:dmarc@example.com; fo=1")
	}
}

func BenchmarkParseHostile(b *testing.B) {
	for n := 1000; n <= 16000; n *= 4 {
		txt := "v=DMARC1; p=reject" + strings.Repeat(";x=1", n)
		b.Run(fmt.Sprint(len(txt)), func(b *testing.B) {
			b.SetBytes(int64(len(txt)))
			for b.Loop() {
				Parse(txt)
			}
		})
	}
}
