package filter

import (
	"bytes"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

func newPrivacy(t *testing.T, mode Personal, key byte) *Privacy {
	t.Helper()
	p, err := NewPrivacy(mode, bytes.Repeat([]byte{key}, MinPrivacyKey))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func personal() Record {
	return Record{
		Outcome: UpstreamRefused, Judged: true,
		Reply: Reply{Code: 550, Text: "5.1.1 <Taro.Yamada@example.net>: no mailbox Taro.Yamada here, ask 'post'@example.net"},
		Err:   "MTA: taro.yamada@example.net: gone",
		Envelope: mail.Envelope{Client: netip.MustParseAddr("192.0.2.1"), Helo: "hanako.example.org", MailFrom: "Hanako+tag@Example.ORG",
			Rcpts: []string{"taro.yamada@example.net", `"o'brien \"x\""@example.net`}},
		Verdict: Verdict{Reason: DMARCPass, Explanation: "hanako@example.org writes for example.org", Edit: Edit{Drop: []int{3}, Prepend: []string{"Received: for hanako"}},
			Results: Results{
				Author: mail.Author{Domain: "example.org", Domains: []string{"example.org"}, Addresses: []string{"hanako@example.org"}},
				Shown:  Shown{MessageID: "77@hanako.example.org", Subject: "Hanako to yamada.taro"},
				SPF:    spf.Results{MailFrom: spf.Result{Domain: "example.org", Explanation: "see hanako"}},
				DKIM:   []dkim.Result{{Domain: "example.org", Identifier: "hanako@example.org"}, {Identifier: "@example.org"}},
				DMARC:  dmarc.Result{Record: "v=DMARC1; rua=mailto:reports@example.org"},
				DNS:    []dns.Exchange{{Question: dns.Question{Name: "hanako._spf.example.org"}, Answer: dns.Answer{Outcome: dns.Found, Cached: true, TXT: []string{"hanako"}}}},
			}},
	}
}

func TestMaskNone(t *testing.T) {
	before := personal()
	r := newPrivacy(t, None, 1).Mask(before)
	res := r.Verdict.Results
	for what, got := range map[string][2]string{
		"MAIL FROM":   {r.Envelope.MailFrom, "*@Example.ORG"},
		"recipients":  {strings.Join(r.Envelope.Rcpts, " "), "*@example.net *@example.net"},
		"HELO":        {r.Envelope.Helo, "*.example.org"},
		"reply":       {r.Reply.Text, "5.1.1 <*@example.net>: no mailbox * here, ask '*@example.net"},
		"error":       {r.Err, "MTA: *@example.net: gone"},
		"explanation": {r.Verdict.Explanation, "*@example.org writes for example.org"},
		"author":      {res.Author.Addresses[0], "*@example.org"},
		"message id":  {res.Shown.MessageID, ""},
		"subject":     {res.Shown.Subject, "* to *"},
		"i=":          {res.DKIM[0].Identifier + " " + res.DKIM[1].Identifier, "*@example.org @example.org"},
		"rua":         {res.DMARC.Record, "v=DMARC1; rua=mailto:*@example.org"},
		"question":    {res.DNS[0].Question.Name + strings.Join(res.DNS[0].Answer.TXT, ""), ""},
		"SPF says":    {res.SPF.MailFrom.Explanation, ""},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %q, want %q", what, got[0], got[1])
		}
	}
	if res.DNS[0].Answer.Outcome != dns.Found || !res.DNS[0].Answer.Cached || len(r.Verdict.Edit.Drop) != 1 || r.Verdict.Edit.Prepend != nil {
		t.Errorf("%+v", r.Verdict)
	}
	if !reflect.DeepEqual(before, personal()) {
		t.Error("it has changed the Record that it was given")
	}
}

// The same address has the same hash, in every field and text; another key, or
// another domain, gives another.
func TestMaskHashed(t *testing.T) {
	p := newPrivacy(t, Hashed, 1)
	r := p.Mask(personal())
	hash, _, _ := mail.SplitAddress(r.Envelope.Rcpts[0])
	if len(hash) != 21 || !strings.HasPrefix(hash, p.id+".") {
		t.Fatalf("%q", r.Envelope.Rcpts)
	}
	if want := "5.1.1 <" + hash + "@example.net>: no mailbox " + hash + " here, ask '" + maskOf(p, "post'", "example.net") + "@example.net"; r.Reply.Text != want {
		t.Errorf("%q, want %q", r.Reply.Text, want)
	}
	if again := newPrivacy(t, Hashed, 1).Mask(personal()); !reflect.DeepEqual(again, r) {
		t.Error("it differs from time to time")
	}
	other := newPrivacy(t, Hashed, 2).Mask(personal())
	if other.Envelope.Rcpts[0] == r.Envelope.Rcpts[0] || other.Envelope.Rcpts[0][:4] == hash[:4] {
		t.Errorf("another key gives %q", other.Envelope.Rcpts[0])
	}
	if maskOf(p, "TARO", "Example.net") != maskOf(p, "taro", "example.NET") || maskOf(p, "taro", "a.example") == maskOf(p, "taro", "b.example") {
		t.Error("case counts, or the domain does not")
	}
}

func TestMaskFull(t *testing.T) {
	var none *Privacy
	for _, p := range []*Privacy{none, newPrivacy(t, Full, 1), {}} {
		if !reflect.DeepEqual(p.Mask(personal()), personal()) {
			t.Errorf("%+v changes something", p)
		}
	}
	if _, err := NewPrivacy(Hashed, make([]byte, MinPrivacyKey-1)); err == nil {
		t.Error("a short key is taken")
	}
}

// A refusal that quotes the domain's own explanation may spell the sender in any
// way: nothing of its text is kept.
func TestMaskExplanationOfSPF(t *testing.T) {
	r := personal()
	r.Outcome, r.Reply.Text, r.Verdict.Reply.Text = Rejected, "example.org: o-k-a-n-a-h", "example.org: o-k-a-n-a-h"
	r = newPrivacy(t, Hashed, 1).Mask(r)
	if r.Reply.Text+r.Verdict.Reply.Text != "" || r.Reply.Code != 550 {
		t.Errorf("%+v", r.Reply)
	}
}

// Whatever holds a text, today and later: no local part of an address is found in
// it, however it is written. Domains alone are left as they are.
func TestMaskLeavesNoLocalPart(t *testing.T) {
	domains := map[string]bool{"Domain": true, "Domains": true, "PolicyDomain": true, "AuthorDomain": true, "OrganizationalDomain": true, "Protected": true,
		"Selector": true, "Queried": true, "Queries": true, "B": true, "Algorithm": true, "Signed": true, "Canonicalization": true,
		"ID": true, "Listener": true, "Upstream": true, "Server": true, "Purpose": true, "Cipher": true, "Version": true, "Fingerprint": true, "Enhanced": true,
		"Tenants": true, "Signer": true, "List": true, "Customer": true}
	const sender, rcpt, author = "kakushi.gotoZ1", "himitsu+tagQ2", `"nai shoW3"`
	all := []string{"kakushi.gotoz1", "gotoz1.kakushi", "himitsu", "nai show3"}
	for _, text := range []string{
		"%s", "<%s@example.net>", "a %s.", "%s@", "@%s", "=%s=", "\x00%s\xff", "é%sé", "user=%s%%40example.net", `\"%s\"`, "%s %s@x %s@example.net", "'%s'", "x@%s", "%s.%s", "-%s-",
	} {
		for _, mode := range []Personal{Hashed, None} {
			r := personal()
			for _, local := range []string{sender, strings.ToUpper(rcpt), author, "himitsu", "nai shoW3", "gotoZ1.kakushi"} {
				fillTexts(reflect.ValueOf(&r).Elem(), "", strings.ReplaceAll(text, "%s", local), domains)
				r.Envelope.MailFrom, r.Envelope.Rcpts, r.Verdict.Results.Author.Addresses = sender+"@example.org", []string{rcpt + "@example.net"}, []string{author + "@example.com"}
				masked := newPrivacy(t, mode, 1).Mask(r)
				visitTexts(reflect.ValueOf(masked), "", domains, func(field, s string) {
					for _, bad := range all {
						if strings.Contains(strings.ToLower(s), bad) {
							t.Errorf("%s %q: %s has %q", mode, local, field, s)
						}
					}
				})
			}
		}
	}
}

func fillTexts(v reflect.Value, name, text string, but map[string]bool) {
	switch {
	case but[name] || !v.CanSet():
	case v.Kind() == reflect.Struct && v.NumField() > 0:
		for i := range v.NumField() {
			fillTexts(v.Field(i), v.Type().Field(i).Name, text, but)
		}
	case v.Kind() == reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fillTexts(v.Index(i), name, text, but)
		}
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillTexts(v.Elem(), name, text, but)
	case v.Type() == reflect.TypeFor[string]():
		v.SetString(text)
	}
}

func visitTexts(v reflect.Value, name string, but map[string]bool, f func(name, s string)) {
	switch {
	case but[name]:
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			visitTexts(v.Field(i), v.Type().Field(i).Name, but, f)
		}
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			visitTexts(v.Elem(), name, but, f)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			visitTexts(v.Index(i), name, but, f)
		}
	case v.Kind() == reflect.String:
		f(name, v.String())
	}
}

func maskOf(p *Privacy, local, domain string) string {
	return (&masker{Privacy: p}).mask(local, domain)
}
