package dmarc

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// verdict shows a Result in a form that is short to write.
func verdict(r Result) string {
	s := string(r.Word)
	if r.PolicyDomain != "" {
		s += " " + r.PolicyDomain + " " + string(r.Policy)
	}
	if r.Effective != r.Policy {
		s += "/" + string(r.Effective)
	}
	if r.SPFAligned {
		s += " spf"
	}
	for i, a := range r.DKIMAligned {
		if a {
			s += " dkim" + string(rune('0'+i))
		}
	}
	return s
}

func TestPolicyDiscovery(t *testing.T) {
	const family = "v=DMARC1; p=reject; sp=quarantine; np=none"
	tests := []struct {
		id, author string
		records    map[string]string
		exists     bool
		want       string
		probes     int
	}{
		{"DM-030", "example.com", map[string]string{"example.com": family}, false, "fail example.com reject", 0},
		{"DM-030 below a record", "sub.example.com", map[string]string{"sub.example.com": "v=DMARC1; p=quarantine; sp=none", "example.com": family}, true, "fail sub.example.com quarantine", 0},
		{"DM-031 exists", "sub.example.com", map[string]string{"example.com": family}, true, "fail example.com quarantine", 1},
		{"DM-031 NXDOMAIN", "sub.example.com", map[string]string{"example.com": family}, false, "fail example.com none", 1},
		{"DM-032 np and sp absent", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=reject"}, false, "fail example.com reject", 0},
		{"DM-032 np absent", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=reject; sp=quarantine"}, false, "fail example.com quarantine", 0},
		{"DM-032 sp absent, exists", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=quarantine; np=reject"}, true, "fail example.com quarantine", 1},
		{"DM-032 sp absent, NXDOMAIN", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=quarantine; np=reject"}, false, "fail example.com reject", 1},
		{"np equal to sp needs no question", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=none; sp=reject; np=reject"}, false, "fail example.com reject", 0},
		{"DM-037 suffix without organization", "a.mail.example.com", map[string]string{"com": "v=DMARC1; p=none; sp=quarantine; psd=y"}, true, "fail com quarantine", 0},
		{"DM-039 not the nearest", "a.mail.example.com", map[string]string{"mail.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=reject"}, true, "fail example.com reject", 0},
		{"DM-038 psd=n is the nearest", "a.mail.example.com", map[string]string{"mail.example.com": "v=DMARC1; p=none; psd=n", "example.com": "v=DMARC1; p=reject"}, true, "fail mail.example.com none", 0},
		{"DM-042", "a.example.com", map[string]string{"example.com": "v=DMARC1; p=none", "com": "v=DMARC1; p=reject; psd=y"}, true, "fail example.com none", 0},
		{"DM-042 suffix keeps its own", "bank.example", map[string]string{"bank.example": "v=DMARC1; p=reject; sp=none; psd=y"}, true, "fail bank.example reject", 0},
		{"DM-046 organization before registry", "a.example.com", map[string]string{"example.com": "v=DMARC1; p=none", "com": "v=DMARC1; p=reject"}, true, "fail example.com none", 0},
		{"DM-046 registry without organization", "a.example.com", map[string]string{"com": "v=DMARC1; p=reject"}, true, "fail com reject", 0},
		{"DM-046 the nearer registry", "a.example.co.uk", map[string]string{"co.uk": "v=DMARC1; p=quarantine", "uk": "v=DMARC1; p=reject"}, true, "fail co.uk quarantine", 0},
		{"DM-047", "mail.example.com", nil, true, "none", 0},
		{"DM-005", "example.com", map[string]string{"example.com": family + "|" + family}, true, "none", 0},
		{"DM-005 walk goes on", "sub.example.com", map[string]string{"sub.example.com": family + "|" + family, "example.com": "v=DMARC1; p=reject"}, true, "fail example.com reject", 0},
		{"DM-006 pct=0", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; pct=0"}, true, "fail example.com reject", 0},
		{"DM-010", "example.com", map[string]string{"example.com": "v=DMARC1; p=block; rua=mailto:a@example.com"}, true, "fail example.com none", 0},
		{"DM-011", "example.com", map[string]string{"example.com": "v=DMARC1; p=block"}, true, "none example.com ", 0},
		{"DM-011 the walk does not go past it", "sub.example.com", map[string]string{"sub.example.com": "v=DMARC1; p=block", "example.com": "v=DMARC1; p=reject"}, true, "none sub.example.com ", 0},
		{"DM-012", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=reject; sp=x; rua=mailto:a@example.com"}, true, "fail example.com none", 0},
		{"DM-060 reject", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; t=y"}, true, "fail example.com reject/quarantine", 0},
		{"DM-060 quarantine", "example.com", map[string]string{"example.com": "v=DMARC1; p=quarantine; t=y"}, true, "fail example.com quarantine/none", 0},
		{"DM-060 none", "example.com", map[string]string{"example.com": "v=DMARC1; p=none; t=y"}, true, "fail example.com none", 0},
		{"DM-060 sp", "sub.example.com", map[string]string{"example.com": "v=DMARC1; p=none; sp=reject; t=y"}, true, "fail example.com reject/quarantine", 0},
		{"DM-061 no author", "", map[string]string{"example.com": family}, true, "none", 0},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			w := records(test.records)
			w.hosts[test.author] = test.exists
			r := w.judge(t, Options{}, test.author, id("fail evil.example"), nil)
			if diff := cmp.Diff(test.want, verdict(r)); diff != "" {
				t.Error(diff, r.Reason)
			}
			if len(w.probed) != test.probes {
				t.Errorf("probed %q", w.probed)
			}
			if r.Testing != strings.Contains(r.Record, "t=y") || r.AuthorDomain != test.author {
				t.Errorf("%+v", r)
			}
		})
	}
}

// DM-033: an empty non-terminal, or a name with texts only, exists.
func TestNameWithoutAddressExists(t *testing.T) {
	for o, want := range map[dns.Outcome]string{
		dns.NoData:   "fail example.com quarantine",
		dns.NXDomain: "fail example.com none",
		dns.ServFail: "temperror example.com quarantine",
		dns.Timeout:  "temperror example.com quarantine",
	} {
		w := records(map[string]string{"example.com": "v=DMARC1; p=reject; sp=quarantine; np=none"})
		w.fails["sub.example.com"] = o
		r := w.judge(t, Options{}, "sub.example.com", Identifier{}, nil)
		if got := verdict(r); got != want {
			t.Errorf("DM-033 %s: %q, want %q", o, got, want)
		}
	}
}

func TestAlignment(t *testing.T) {
	relaxed := map[string]string{"example.com": "v=DMARC1; p=reject"}
	strict := map[string]string{"example.com": "v=DMARC1; p=reject; adkim=s; aspf=s"}
	bank := map[string]string{"giant.bank.example": "v=DMARC1; p=reject", "mega.bank.example": "v=DMARC1; p=reject", "bank.example": "v=DMARC1; p=reject; psd=y"}
	tests := []struct {
		id, author string
		records    map[string]string
		spf        string
		dkim       []string
		want       string
	}{
		{"DM-043 B.4.1", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject", "signing.example.com": "v=DMARC1; p=none"},
			"pass example.com", []string{"pass signing.example.com"}, "pass example.com reject spf dkim0"},
		{"DM-044 B.4.2", "a.b.c.d.e.f.g.h.i.j.k.example.com", relaxed,
			"pass example.com", []string{"pass signing.example.com"}, "pass example.com reject spf dkim0"},
		{"DM-045 B.4.3", "giant.bank.example", bank,
			"pass mail.giant.bank.example", []string{"pass mail.mega.bank.example"}, "pass giant.bank.example reject spf"},
		{"DM-045 only the other bank", "giant.bank.example", bank,
			"fail giant.bank.example", []string{"pass mail.mega.bank.example", "pass bank.example"}, "fail giant.bank.example reject"},

		{"DM-050 relaxed, below", "example.com", relaxed, "pass a.b.example.com", nil, "pass example.com reject spf"},
		{"DM-050 relaxed, above", "mail.example.com", relaxed, "pass example.com", nil, "pass example.com reject spf"},
		{"DM-050 relaxed, beside", "a.example.com", relaxed, "", []string{"pass b.example.com"}, "pass example.com reject dkim0"},
		{"DM-050 relaxed, other organization", "example.com", relaxed, "pass example.org", []string{"pass notexample.com", "pass example.com.evil.example"}, "fail example.com reject"},
		{"DM-050 relaxed, top-level domain", "example.com", relaxed, "pass com", nil, "fail example.com reject"},
		{"DM-050 relaxed, own organization by psd=n", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject", "dept.example.com": "v=DMARC1; p=none; psd=n"},
			"pass dept.example.com", []string{"pass a.dept.example.com"}, "fail example.com reject"},
		{"DM-050 relaxed, tenants by psd=y", "a.host.example.com", map[string]string{"host.example.com": "v=DMARC1; p=reject; psd=y"},
			"pass b.host.example.com", []string{"pass host.example.com", "pass x.a.host.example.com"}, "pass host.example.com reject dkim1"},
		{"DM-050 strict, equal", "example.com", strict, "pass example.com", []string{"pass example.com"}, "pass example.com reject spf dkim0"},
		{"DM-050 strict, below", "example.com", strict, "pass a.example.com", []string{"pass b.example.com"}, "fail example.com reject"},
		{"DM-050 strict only for DKIM", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; adkim=s"},
			"pass a.example.com", []string{"pass a.example.com"}, "pass example.com reject spf"},
		{"DM-050 strict only for SPF", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject; aspf=s"},
			"pass a.example.com", []string{"pass a.example.com"}, "pass example.com reject dkim0"},
		{"DM-050 strict inherited", "a.example.com", strict, "pass example.com", []string{"pass a.example.com"}, "pass example.com reject dkim0"},
		{"DM-050 case and dot", "example.com", relaxed, "pass EXAMPLE.COM.", nil, "pass example.com reject spf"},

		{"DM-051 SPF only", "example.com", relaxed, "pass example.com", []string{"fail example.com"}, "pass example.com reject spf dkim0"},
		{"DM-051 DKIM only", "example.com", relaxed, "fail example.com", []string{"pass example.com"}, "pass example.com reject dkim0"},
		{"DM-052", "example.com", relaxed, "pass evil.example", []string{"pass evil.example"}, "fail example.com reject"},
		{"DM-052 nothing at all", "example.com", relaxed, "", nil, "fail example.com reject"},
		{"DM-053", "example.com", relaxed, "none", []string{"fail example.com", "pass example.com"}, "pass example.com reject dkim0 dkim1"},
		{"DM-053 pass of another domain", "example.com", relaxed, "none", []string{"fail example.com", "pass evil.example"}, "fail example.com reject dkim0"},
		{"DM-054 softfail", "example.com", relaxed, "softfail example.com", nil, "fail example.com reject"},
		{"DM-054 none", "example.com", relaxed, "none example.com", nil, "fail example.com reject"},
		{"DM-054 permerror", "example.com", relaxed, "permerror example.com", nil, "fail example.com reject"},
		{"DM-063 neutral", "example.com", relaxed, "neutral example.com", nil, "fail example.com reject"},
		{"DM-054 policy", "example.com", relaxed, "", []string{"policy example.com"}, "fail example.com reject dkim0"},
		{"DM-055 HELO of the null sender", "example.com", relaxed, "pass mail.example.com", nil, "pass example.com reject spf"},

		{"DM-057", "example.com", relaxed, "temperror example.com", []string{"fail example.com"}, "temperror example.com reject dkim0"},
		{"DM-057 below", "example.com", relaxed, "temperror a.example.com", nil, "temperror example.com reject"},
		{"DM-057 and a pass", "example.com", relaxed, "temperror example.com", []string{"pass example.com"}, "pass example.com reject dkim0"},
		{"DM-057 of a stranger", "example.com", relaxed, "temperror evil.example", nil, "fail example.com reject"},
		{"DM-057 strict, not equal", "example.com", strict, "temperror a.example.com", nil, "fail example.com reject"},
		{"DM-058", "example.com", relaxed, "pass evil.example", []string{"temperror example.com"}, "temperror example.com reject dkim0"},
		{"DM-058 of a stranger", "example.com", relaxed, "fail example.com", []string{"temperror evil.example", "temperror com"}, "fail example.com reject"},
		{"DM-058 own organization by psd=n", "example.com", map[string]string{"example.com": "v=DMARC1; p=reject", "dept.example.com": "v=DMARC1; p=none; psd=n"},
			"", []string{"temperror dept.example.com"}, "fail example.com reject"},
		{"DM-062", "bücher.example", map[string]string{"xn--bcher-kva.example": "v=DMARC1; p=reject"}, "pass xn--bcher-kva.example", []string{"pass mail.BÜCHER.example"}, "pass xn--bcher-kva.example reject spf dkim0"},

		{"DM-046 two registrants of a careless registry", "victim.com", map[string]string{"com": "v=DMARC1; p=reject"}, "pass evil.com", []string{"pass com"}, "fail com reject"},
		{"DM-046 psd=n of a registry", "victim.com", map[string]string{"com": "v=DMARC1; p=reject; psd=n"}, "pass evil.com", nil, "fail com reject"},
		{"DM-046 the victim has a record", "victim.co.uk", map[string]string{"victim.co.uk": "v=DMARC1; p=reject", "co.uk": "v=DMARC1; p=none"}, "pass evil.co.uk", nil, "fail victim.co.uk reject"},
		{"DM-046 uk above co.uk", "victim.co.uk", map[string]string{"uk": "v=DMARC1; p=reject"}, "pass evil.co.uk", nil, "fail uk reject"},
		{"DM-046 one registrant", "a.victim.com", map[string]string{"com": "v=DMARC1; p=reject"}, "pass victim.com", nil, "pass com reject spf"},

		{"DM-047", "example.com", nil, "pass example.com", nil, "none spf"},
		{"DM-081", "example.com", map[string]string{"example.com": "v=DMARC1; sp=reject"}, "pass example.com", nil, "none example.com  spf"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			author, err := mail.ASCIIDomain(test.author)
			if err != nil {
				t.Fatal(err)
			}
			r := records(test.records).judge(t, Options{}, author, id(test.spf), ids(test.dkim...))
			if diff := cmp.Diff(test.want, verdict(r)); diff != "" {
				t.Error(diff, r.Reason)
			}
			if (r.Reason == "") != (r.Word == Pass) || len(r.DKIMAligned) != len(test.dkim) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// To the letter, a registry's careless record aligns its registrants.
func TestStrictTreeWalk(t *testing.T) {
	w := records(map[string]string{"com": "v=DMARC1; p=reject"})
	r := w.judge(t, Options{StrictTreeWalk: true}, "victim.com", id("pass evil.com"), nil)
	if got := verdict(r); got != "pass com reject spf" {
		t.Error(got)
	}
}

// DM-018, DM-059: what DNS trouble leaves open, and what it does not.
func TestTrouble(t *testing.T) {
	const reject = "v=DMARC1; p=reject"
	tests := []struct {
		id, author string
		records    map[string]string
		spf        string
		want       string
	}{
		{"DM-018 SERVFAIL at the author", "example.com", map[string]string{"example.com": "SERVFAIL"}, "pass example.com", "temperror spf"},
		{"DM-018 timeout at the author", "example.com", map[string]string{"example.com": "TIMEOUT"}, "fail example.com", "temperror"},
		{"DM-018 above the author", "a.example.com", map[string]string{"example.com": "TIMEOUT"}, "fail example.com", "temperror"},
		{"DM-018 between author and record", "a.b.example.com", map[string]string{"b.example.com": "TIMEOUT", "example.com": reject}, "fail x", "temperror"},
		{"DM-018 at the registry, no record", "example.com", map[string]string{"com": "TIMEOUT"}, "fail x", "temperror"},
		{"DM-018 at the registry, own record", "example.com", map[string]string{"example.com": reject, "com": "TIMEOUT"}, "pass evil.com", "fail example.com reject"},
		{"DM-018 at the registry, inherited record", "a.example.com", map[string]string{"example.com": reject, "com": "TIMEOUT"}, "pass b.example.com", "pass example.com reject spf"},
		{"own record, trouble above, equal names", "a.example.com", map[string]string{"a.example.com": reject, "example.com": "SERVFAIL"}, "pass a.example.com", "pass a.example.com reject spf"},
		{"own record, trouble above, other name", "a.example.com", map[string]string{"a.example.com": reject, "example.com": "SERVFAIL"}, "pass example.com", "temperror a.example.com reject"},
		{"own record, trouble above, stranger", "a.example.com", map[string]string{"a.example.com": reject, "example.com": "SERVFAIL"}, "pass evil.com", "fail a.example.com reject"},
		{"own record, trouble above, nobody passed", "a.example.com", map[string]string{"a.example.com": reject, "example.com": "SERVFAIL"}, "fail a.example.com", "fail a.example.com reject"},
		{"identifier's walk fails", "example.com", map[string]string{"example.com": reject, "a.example.com": "SERVFAIL"}, "pass a.example.com", "temperror example.com reject"},
		{"identifier's walk fails, but it did not pass", "example.com", map[string]string{"example.com": reject, "a.example.com": "SERVFAIL"}, "fail a.example.com", "fail example.com reject"},
		{"a stranger's DNS has no say", "example.com", map[string]string{"example.com": reject, "evil.com": "SERVFAIL", "mail.evil.com": "TIMEOUT"}, "pass mail.evil.com", "fail example.com reject"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			r := records(test.records).judge(t, Options{}, test.author, id(test.spf), nil)
			if diff := cmp.Diff(test.want, verdict(r)); diff != "" {
				t.Error(diff, r.Reason)
			}
		})
	}
	for _, o := range []dns.Outcome{dns.ServFail, dns.Refused, dns.Timeout, dns.Malformed, dns.OverLimit} {
		w := records(nil)
		w.fails["_dmarc.example.com"] = o
		if r := w.judge(t, Options{}, "example.com", Identifier{}, nil); r.Word != TempError {
			t.Errorf("DM-059 %s: %s", o, r.Word)
		}
	}
}

func TestReasons(t *testing.T) {
	reject := map[string]string{"example.com": "v=DMARC1; p=reject"}
	tests := []struct {
		author  string
		records map[string]string
		spf     string
		dkim    []string
		want    string
	}{
		{"example.com", reject, "pass example.com", nil, ""},
		{"example.com", reject, "fail example.com", nil, "neither SPF nor DKIM passed for a domain aligned with example.com"},
		{"example.com", reject, "pass list.example", []string{"pass a.example"}, "SPF passed for list.example, DKIM passed for a.example, but no such domain is aligned with example.com"},
		{"example.com", reject, "pass list.example", []string{"pass a.example", "pass b.example", "pass c.example", "pass d.example"},
			"SPF passed for list.example, DKIM passed for a.example, DKIM passed for b.example and 2 more, but no such domain is aligned with example.com"},
		{"example.com", reject, "temperror example.com", nil, "SPF for example.com ended in a temporary error"},
		{"example.com", map[string]string{"example.com": "TIMEOUT"}, "", nil, "the DNS did not answer for _dmarc.example.com (timeout)"},
		{"example.com", nil, "", nil, "no DMARC record at example.com or above"},
		{"example.com", map[string]string{"example.com": "v=DMARC1; p=none|v=DMARC1; p=none"}, "", nil, "no DMARC record at example.com or above (_dmarc.example.com has several, so none of them counts)"},
		{"a.example.com", map[string]string{"example.com": "v=dmarc1; p=none"}, "", nil, "no DMARC record at a.example.com or above (a text at _dmarc.example.com looks like one but does not begin with v=DMARC1)"},
		{"example.com", map[string]string{"example.com": "v=DMARC1; p=blok"}, "", nil, "bad record at _dmarc.example.com: p=, sp= or np= is not valid or p= is missing, and there is no valid rua="},
		{"", nil, "", nil, "there is no single author domain"},
		{"a.example.com", map[string]string{"a.example.com": "v=DMARC1; p=none", "example.com": "TIMEOUT"}, "pass example.com", nil, "the DNS left open whether example.com and the author's domain are of one organization"},
	}
	for _, test := range tests {
		r := records(test.records).judge(t, Options{}, test.author, id(test.spf), ids(test.dkim...))
		if diff := cmp.Diff(test.want, r.Reason); diff != "" {
			t.Error(diff)
		}
	}
}

func TestNotes(t *testing.T) {
	w := records(map[string]string{
		"a.b.example.com": "v=DMARC1; p=none|v=DMARC1; p=none",
		"b.example.com":   "v=DMARC1; p=none; psd=n; pct=10",
	})
	r := w.judge(t, Options{}, "a.b.example.com", Identifier{}, nil)
	want := []string{
		"_dmarc.a.b.example.com has several DMARC records, so none of them counts",
		"_dmarc.b.example.com: pct= was removed by RFC 9989 and is ignored",
	}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Error(diff)
	}
}

// Facts that nobody gathered settle nothing.
func TestZeroFacts(t *testing.T) {
	if r := (Facts{}).Evaluate(id("pass example.com"), nil); r.Word != None {
		t.Errorf("%+v", r)
	}
	if r := (Facts{Author: "example.com"}).Evaluate(id("pass example.com"), nil); r.Word != TempError {
		t.Errorf("%+v", r)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	w := records(map[string]string{"example.com": "v=DMARC1; p=reject; rua=mailto:a@example.com"})
	spf, dkim := id("pass bounce.example.com"), ids("pass example.com", "pass esp.example.net")
	f := Gather(b.Context(), w, "mail.example.com", append(dkim, spf))
	b.ReportAllocs()
	for b.Loop() {
		f.Evaluate(spf, dkim)
	}
}
