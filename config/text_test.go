package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	long := strings.Repeat("a", 63)
	cases := map[string]struct{ good, bad []string }{
		"fqdn": {
			[]string{"mx.example", "MX1.Example.com", "xn--hrn-sna.example", "4u.example", long + ".example", strings.Repeat("a.", 123) + "example"},
			[]string{"mx", "mx.example.", ".example", "mx..example", "-mx.example", "mx-.example", "m_x.example", "hörn.example", "192.0.2.1", "[192.0.2.1]", "2001:db8::1", "mx.example ", "mx.example\r\n", "a" + long + ".example", strings.Repeat("a.", 124) + "example"},
		},
		"token": { // AR-17
			[]string{"mx.example", "example", "mx_1!#$%&'*+-.^`{|}~"},
			[]string{"", "mx example", "mx;example", "mx.example 1", `"mx"`, "mx(x)", "a=b", "a/b", "a\tb", "a\r\nb", "\x7f", "ö", strings.Repeat("a", 254)},
		},
		"host":   {[]string{"mta", "mta.example", "127.0.0.1", "::1"}, []string{"", "a b", "mta:25", "[::1]", "256.0.0.1"}},
		"listen": {[]string{":25", "0.0.0.0:25", "[::]:0", "[fe80::1%eth0]:25", "localhost:65535"}, []string{"", "25", ":", ":smtp", ":65536", ":-1", "::1:25", "a b:25", "localhost"}},
		"dial":   {[]string{"mta:25", "127.0.0.1:10025", "[::1]:25", "unix:/run/mta"}, []string{"", ":25", "mta:0", "mta:", "mta", "m ta:25", "unix:", "unix:mta"}},
		"server": {[]string{"127.0.0.1", "::1", "127.0.0.1:53", "[::1]:53"}, []string{"", "resolver", "resolver:53", "127.0.0.1:0", "[::1]", ":53", "udp://127.0.0.1"}},
		"path":   {[]string{"/etc/x.pem", "x", "/etc/日本.pem", "a b"}, []string{"", "/etc/\x00", "a\nb", strings.Repeat("a", 4097)}},
		"url": {
			[]string{"https://example.com", "https://example.com:8443/a?b=%20#c", "https://example.com/" + strings.Repeat("a", 180)},
			[]string{"", "http://example.com", "https:///x", "https://", "example.com", "//example.com", "https://a@example.com", "https://example.com/a b", "https://example.com/ö", "https://example.com/\r\n250 ok", "https://example.com/{id}", "https://example.com/%zz", "https://example.com/" + strings.Repeat("a", 181)},
		},
		"reply": {
			[]string{"no", "a\nb\nc", "{client} {domain} {domains} {sender} {policy} {spf} {dkim} {fault} {trouble} {id} {help}", strings.Repeat("a", 400)},
			[]string{"", "\n", "a\n", "a\nb\nc\nd", "a\r\nb", "ö", "a\tb", "{", "}", "{}", "{nobody}", "{client", "client}", "{{client}}", strings.Repeat("a", 401)},
		},
	}
	for form, c := range cases {
		for _, s := range c.good {
			if err := checkText(form, s); err != nil {
				t.Errorf("%s: %q is %v", form, s, err)
			}
		}
		for _, s := range c.bad {
			if checkText(form, s) == nil {
				t.Errorf("%s: %q is accepted", form, s)
			}
		}
	}
}

// Every form that a field names is one that checkText knows.
func TestForms(t *testing.T) {
	c := Default()
	for _, l := range leaves(reflect.ValueOf(c), "") {
		form := l.tag.Get("check")
		if form != "" && checkText(form, "\x00") == nil {
			t.Errorf("%s: no form %q", l.key, form)
		}
	}
}

func TestMeet(t *testing.T) {
	for _, c := range []struct {
		listen, other string
		want          bool
	}{
		{":25", "127.0.0.1:25", true},
		{"0.0.0.0:25", "localhost:25", true},
		{"[::]:25", "[::1]:25", true},
		{":25", ":25", true},
		{"127.0.0.1:25", ":25", true},
		{"192.0.2.1:25", "192.0.2.1:25", true},
		{"MX.example:25", "mx.example:25", true},
		{":25", "127.0.0.1:26", false},
		{":25", "192.0.2.1:25", false}, // perhaps another host
		{"192.0.2.1:25", "127.0.0.1:25", false},
		{"127.0.0.1:25", "192.0.2.1:25", false},
		{":0", ":0", false},
		{":25", "", false},
		{"nonsense", "nonsense", false},
	} {
		if got := meet(c.listen, c.other); got != c.want {
			t.Errorf("%s and %s: %v", c.listen, c.other, got)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"address", "max_recipients", "max_errors", "tls", "tls_key"}
	for word, want := range map[string]string{
		"adress": "address", "addres": "address", "adderss": "address", "max-recipients": "max_recipients", "maxrecipients": "max_recipients",
		"tsl": "tls", "tls_kye": "tls_key", "x": "", "": "", "level": "", "max_connections": "",
		strings.Repeat("address", 1000): "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%s: %q", word, got)
		}
	}
}
