package spf

import (
	"fmt"
	"strings"
	"testing"
)

func TestTermsAsWritten(t *testing.T) {
	terms, err := Terms("v=spf1 +A:Mail.Example.com/24//64 ?include:%{d2}  ip4:192.0.2.1/24 ipv4:192.0.2.1 mx ptr:%{p}.example exists:%{i}._.%{o}" +
		" redirect=%{o} x=y exp=a.example redirect=b.example ~all a:x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range terms {
		name, ok := m.Target("a.b.example", "sender.example")
		got = append(got, fmt.Sprintf("%s %q %s %d %v %s %v", m.Name, m.Qualifier, m.Network, m.Lookups(), ok, name, m.Err))
	}
	want := []string{
		`a '+' invalid Prefix 1 true mail.example.com <nil>`,
		`include '?' invalid Prefix 1 true b.example <nil>`,
		`ip4 '+' 192.0.2.0/24 0 true a.b.example <nil>`,
		` '\x00' invalid Prefix 0 true a.b.example an unknown mechanism`,
		`mx '+' invalid Prefix 1 true a.b.example <nil>`,
		`ptr '+' invalid Prefix 2 false  <nil>`,
		`exists '+' invalid Prefix 1 false  <nil>`,
		`redirect '\x00' invalid Prefix 1 true sender.example <nil>`,
		`x '\x00' invalid Prefix 0 true y <nil>`,
		`exp '\x00' invalid Prefix 0 true a.example <nil>`,
		` '\x00' invalid Prefix 0 true a.b.example a modifier that stands twice`,
		`all '~' invalid Prefix 0 true a.b.example <nil>`,
		` '\x00' invalid Prefix 0 true a.b.example a malformed domain`,
	}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Errorf("term %d:\n got %q\nwant %q", i, got[min(i, len(got)-1)], want[i])
		}
	}
	if terms[0].Bits4 != 24 || terms[0].Bits6 != 64 {
		t.Errorf("bits %d %d", terms[0].Bits4, terms[0].Bits6)
	}
	if _, err := Terms(version + strings.Repeat(" a", maxRecord/2)); err == nil {
		t.Error("a record of any length was read")
	}
}

// The terms and the evaluation read a record alike.
func FuzzTerms(f *testing.F) {
	for _, s := range []string{"", " -all", " a:x mx/24", " redirect=a.example redirect=b.example", " exists:%{", "\t"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		txt := version + " " + s
		terms, err := Terms(txt)
		good := err == nil
		for _, m := range terms {
			good = good && m.Err == nil
			m.Target("a.example", "b.example")
		}
		if _, err := parse(txt); (err == nil) != good {
			t.Errorf("%q: parse says %v, terms say %v", txt, err, good)
		}
	})
}
