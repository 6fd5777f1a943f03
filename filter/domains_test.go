package filter

import (
	"fmt"
	"maps"
	"testing"
)

func domains(t testing.TB, owner map[string]string) *Domains {
	t.Helper()
	d, err := NewDomains(owner)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDomainsOwner(t *testing.T) {
	d := domains(t, map[string]string{"Customer.Example.": "acme", "shop.customer.example": "shop", "例え.jp": "", "a.co.jp": "acme"})
	for name, want := range map[string]string{
		"customer.example":            "customer.example acme",
		"mail.customer.example":       "customer.example acme",
		"a.b.c.mail.customer.example": "customer.example acme",
		"shop.customer.example":       "shop.customer.example shop",
		"x.shop.customer.example":     "shop.customer.example shop",
		"xn--r8jz45g.jp":              "xn--r8jz45g.jp ",
		"a.co.jp":                     "a.co.jp acme",
		"co.jp":                       "",
		"notcustomer.example":         "",
		"customer.example.evil.test":  "",
		"example":                     "",
		"":                            "",
	} {
		got := ""
		if p, c, ok := d.Owner(name); ok {
			got = p + " " + c
		}
		if got != want {
			t.Errorf("%s is of %q, want %q", name, got, want)
		}
	}
	if d.Len() != 4 || len(maps.Collect(d.All())) != 4 {
		t.Errorf("%d domains", d.Len())
	}
}

// A line gone wrong in a source must not make all the world's mail a spoof.
func TestDomainsRefuse(t *testing.T) {
	for _, name := range []string{"com", "co.jp", "localhost", "", ".", "a b.example", "*.example.net", "[192.0.2.1]", "a..example"} {
		if _, err := NewDomains(map[string]string{name: ""}); err == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if _, err := NewDomains(map[string]string{"a.example": "x", "A.example": "y"}); err == nil {
		t.Error("one domain of two customers was taken")
	}
	if _, err := NewDomains(map[string]string{"a.example": "x", "A.example": "x"}); err != nil {
		t.Error(err)
	}
}

func TestNoDomains(t *testing.T) {
	var d *Domains
	if _, _, ok := d.Owner("a.example"); ok || d.Len() != 0 || len(maps.Collect(d.All())) != 0 {
		t.Error("nil protects something")
	}
	var l *Live
	if l.Domains() != nil || l.List("x") != nil {
		t.Error("a nil Live has something")
	}
}

func TestLive(t *testing.T) {
	var l Live
	l.SetDomains(domains(t, map[string]string{"a.example": ""}))
	if _, _, ok := l.Domains().Owner("a.example"); !ok {
		t.Error("not protected")
	}
	one, err := NewList([]Entry{{Domain: "a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	l.SetList("x", one)
	if l.List("x") != one || l.List("y").Len() != 0 {
		t.Error("the list is not there, or another is")
	}
	l.SetList("x", nil)
	if l.List("x") != nil {
		t.Error("the list is still there")
	}
}

func BenchmarkNewDomains(b *testing.B) {
	owner := map[string]string{}
	for i := range 100_000 {
		owner[fmt.Sprintf("customer-%d.example", i)] = fmt.Sprintf("c%d", i/3)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewDomains(owner); err != nil {
			b.Fatal(err)
		}
	}
}
