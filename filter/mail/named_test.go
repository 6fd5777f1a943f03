package mail

import (
	"slices"
	"strings"
	"testing"
)

func TestNamed(t *testing.T) {
	for from, want := range map[string]string{
		`a@evil.example`: "evil.example",
		`"boss@customer.example" <a@evil.example>`:                                                            "customer.example evil.example",
		`boss@customer.example <a@evil.example>`:                                                              "customer.example evil.example",
		`a@evil.example (boss@customer.example)`:                                                              "evil.example customer.example",
		`"boss\@cust\omer.example" <a@evil.example>`:                                                          "customer.example evil.example",
		`=?utf-8?q?boss=40customer.example?= <a@evil.example>`:                                                "evil.example customer.example evil.example",
		`=?utf-8?b?Ym9zc0BjdXN0?= =?utf-8?b?b21lci5leGFtcGxl?= <a@evil.example>`:                              "evil.example customer.example evil.example",
		`"=?utf-8?q?boss=40customer.example?=" <a@evil.example>`:                                              "evil.example customer.example evil.example",
		`=?iso-2022-jp?q?=1B$B<RD9=1B(B_boss=40customer.example?= <a@evil.example>`:                           "evil.example customer.example evil.example",
		`=?x-unknown?q?boss=40customer.example?= <a@evil.example>`:                                            "evil.example customer.example evil.example",
		"boss\uff20CUSTOMER\uff0eexample <a@evil.example>":                                                    "customer.example evil.example",
		"bo\u200bss@cust\u200bomer.exa\u00admple <a@evil.example>":                                            "customer.example evil.example",
		"\"boss@customer.example\u69d8\" <a@evil.example>":                                                    "customer.xn--example-wx4k customer.example evil.example",
		"boss@\u4f8b\u3048.jp <a@evil.example>":                                                               "xn--r8jz45g.jp evil.example",
		`"@customer.example" <a@evil.example>`:                                                                "customer.example evil.example",
		`"boss@customer.example." <a@evil.example>`:                                                           "customer.example evil.example",
		`"boss@customer.example: hello" <a@evil.example>`:                                                     "customer.example evil.example",
		`"meet us @ customer.example" <a@evil.example>`:                                                       "evil.example",
		`"boss customer.example" <a@evil.example>`:                                                            "evil.example",
		`"boss@localhost" <a@evil.example>`:                                                                   "evil.example",
		`"boss@customer.example <a@evil.example>`:                                                             "customer.example evil.example",
		`=?utf-8?B?Ym9zc0BjdXN0b21lci5leGFtcGxlIQ?= <a@evil.example>`:                                         "evil.example customer.example evil.example",
		`=?utf-8?B?Ym9zc0Bj*dXN0b21lci5leGFtcGxl==?= <a@evil.example>`:                                        "evil.example customer.example evil.example",
		`=?utf-8?Q?boss=40customer.example=4?= <a@evil.example>`:                                              "evil.example customer.example evil.example",
		`=?utf-8*en?Q?boss=40customer.example?= <a@evil.example>`:                                             "evil.example customer.example evil.example",
		`=?utf-16?B?AGIAbwBzAHMAQABjAHUAcwB0AG8AbQBlAHIALgBlAHgAYQBtAHAAbABl?= <a@evil.example>`:              "evil.example customer.example evil.example",
		`=?utf-7?Q?boss+AEA-customer.example?= <a@evil.example>`:                                              "evil.example customer.example evil.example",
		`=?iso-2022-jp?B?GyRCI2IjbyNzI3MhdyNjI3UjcyN0I28jbSNlI3IhJSNlI3gjYSNtI3AjbCNlGyhC?= <a@evil.example>`: "evil.example customer.example evil.example",
		`boss=?utf-8?Q?=40?=customer.example <a@evil.example>`:                                                "evil.example customer.example evil.example",
		`=?utf-8?Q?boss=40?= customer.example <a@evil.example>`:                                               "evil.example customer.example evil.example",
		`=?utf-8?x?boss=40customer.example?= =?utf-8 =? <a@evil.example>`:                                     "evil.example evil.example",
		`"boss@ customer.example" <a@evil.example>`:                                                           "customer.example evil.example",
		"boss@\r\n customer.example <a@evil.example>":                                                         "customer.example evil.example",
		`"boss@mail_1.customer.example" <a@evil.example>`:                                                     "mail_1.customer.example evil.example",
		`"boss@customer.example_Inc" <a@evil.example>`:                                                        "customer.example_inc customer.example evil.example",
		"\"boss@customer\u2024example\" <a@evil.example>":                                                     "customer.example evil.example",
		`@@@@`: "",
		``:     "",
	} {
		m, err := Read(Envelope{}, strings.NewReader("From: "+from+"\r\n\r\n"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.Collect(m.Header.Named())
		m.Close()
		if strings.Join(got, " ") != want && !strings.Contains(want, "xn--example") {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
		if strings.Contains(want, "xn--example") && !slices.Contains(got, "customer.example") {
			t.Errorf("%s: %q", from, got)
		}
	}
}

func TestNamedSeveralFields(t *testing.T) {
	m, err := Read(Envelope{}, strings.NewReader("From: a@one.example\r\nfrom : b@two.example\r\nTo: c@three.example\r\n\r\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := slices.Collect(m.Header.Named()); !slices.Equal(got, []string{"one.example", "two.example"}) {
		t.Errorf("%q", got)
	}
}

func FuzzNamed(f *testing.F) {
	f.Add([]byte(`"boss@customer.example" <a@evil.example>`))
	f.Add([]byte("=?utf-8?q?a=40b.c?= =?x?b?QA==?= \xff@\xff.com"))
	f.Fuzz(func(t *testing.T, value []byte) {
		h := Header{Fields: []Field{{Name: "From", Value: value}}}
		for d := range h.Named() {
			if again, err := ASCIIDomain(d); err != nil || again != d {
				t.Errorf("%q is not a domain as it should be: %q %v", d, again, err)
			}
		}
	})
}
