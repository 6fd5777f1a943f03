package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestListeners(t *testing.T) {
	set := func(change func(*Listener)) Listener {
		l := defaultListener()
		change(&l)
		return l
	}
	inside := set(func(l *Listener) { l.Name, l.Address, l.MaxErrors = "inside", "unix:/run/s", 5 })
	for name, c := range map[string]struct {
		text string
		want []Listener
	}{
		"none":   {"", []Listener{defaultListener()}},
		"one":    {"[listener]\nmax_errors = 5", []Listener{set(func(l *Listener) { l.MaxErrors = 5 })}},
		"listed": {"[[listener]]\nmax_errors = 5", []Listener{set(func(l *Listener) { l.MaxErrors = 5 })}},
		"empty":  {"[[listener]]", []Listener{defaultListener()}},
		"two": {"[[listener]]\nmax_errors = 7\n[[listener]]\nname = 'inside'\naddress = 'unix:/run/s'\nmax_errors = 5",
			[]Listener{set(func(l *Listener) { l.MaxErrors = 7 }), inside}},
		"tables below": {"[[listener]]\n[listener.proxy_protocol]\ntimeout = '1s'\n[[listener]]\nname = 'inside'\naddress = 'unix:/run/s'\nmax_errors = 5\nproxy_protocol.unix = true",
			[]Listener{set(func(l *Listener) { l.ProxyProtocol.Timeout = Duration(time.Second) }), func() Listener { l := inside; l.ProxyProtocol.Unix = true; return l }()}},
		"table below alone": {"[listener.proxy_protocol]\ntrusted = ['192.0.2.1']\n[listener]\nmax_errors = 5",
			[]Listener{set(func(l *Listener) {
				l.MaxErrors, l.ProxyProtocol.Trusted = 5, []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
			})}},
		"inline":      {"listener = { max_errors = 5 }", []Listener{set(func(l *Listener) { l.MaxErrors = 5 })}},
		"inline list": {"listener = [{ max_errors = 7 }, { name = 'inside', address = 'unix:/run/s', max_errors = 5 }]", []Listener{set(func(l *Listener) { l.MaxErrors = 7 }), inside}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse("x", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			want := Default()
			want.Listeners = c.want
			if !reflect.DeepEqual(got, want) {
				t.Errorf("other than wanted: %v", Diff(want, got))
			}
		})
	}
}

func TestListenerConflicts(t *testing.T) {
	for text, want := range map[string]string{
		"[[listener]]\n[[listener]]":                                                    "listener[1].address: is taken by listener.address",
		"[[listener]]\nname='a'\n[[listener]]\nname='a'\naddress=':26'":                 "listener[1].name: is that of listener",
		"[[listener]]\naddress='unix:/s'\n[[listener]]\naddress='unix:/s'":              "listener[1].address: is taken by listener.address",
		"[[listener]]\n[[listener]]\naddress=':26'\nmax_errors=0":                       "listener[1].max_errors: 0 is out of range: 1 to 10000",
		"[[listener]]\n[[listener]]\naddress=':9925'":                                   "admin.address: is taken by listener[1].address",
		"[[listener]]\n[[listener]]\naddress=':26'\ntls_key='k'":                        "listener[1].tls_key: needs listener[1].tls_certificate",
		"[listener]\n[[listener]]":                                                      "listener: stands here a second time; the first is on line 1",
		"[[listener]]\n[listener]":                                                      "listener: stands here a second time; the first is on line 1",
		"[listener.proxy_protocol]\n[[listener]]":                                       "listener: stands here a second time; the first is on line 1",
		"listener.max_errors = 5\n[[listener]]":                                         "listener: stands here a second time; the first is on line 1",
		"listener = []":                                                                 "listener: there must be one at least",
		"listener = [1]":                                                                "listener: must be a table, not a number",
		"[[spool]]":                                                                     "spool: is one table, not a list of tables: write [spool]",
		"listener.tls = 'implicit'":                                                     "listener.tls: needs listener.tls_certificate or acme.domains",
		"listener.tls = 'none'\nlistener.tls_certificate = 'c'\nlistener.tls_key = 'k'": "listener.tls_certificate: does nothing with listener.tls = \"none\"",
		"listener.tls_client_ca = 'c'":                                                  "listener.tls_client_ca: does nothing without TLS",
		"listener.proxy_protocol.unix = true":                                           "listener.proxy_protocol.unix: is for unix sockets: name the balancers in proxy_protocol.trusted",
		"listener.address = 'unix:/s'\nlistener.proxy_protocol.trusted = ['192.0.2.1']": "listener.proxy_protocol.trusted: does nothing on a unix socket: set proxy_protocol.unix",
		"listener.address = 'unix:s'":                                                   "listener.address: \"unix:s\" is not a unix socket",
		"listener.socket_mode = '0980'":                                                 "listener.socket_mode: \"0980\" is not permissions in octal",
		"listener.name = 'a b'":                                                         "listener.name: \"a b\" is not a name of letters",
		"acme.domains = ['mx.example.net']\nacme.http_address = ''":                     "acme.http_address: or acme.tls_address is needed",
		"acme.domains = ['mx.example.net']\nlistener.tls = 'none'":                      "acme.domains: is of no use",
		"acme.email = 'x'":                                                              "acme.email: \"x\" is not a mail address",
		strings.Repeat("[[listener]]\naddress = ':0'\n", 101):                           "listener: has more than 100 tables",
		"listener = [" + strings.Repeat("{address = ':0'},", 101) + "]":                 "listener: has more than 100 tables",
		"listener.connection_rate = '60'":                                               "listener.connection_rate: \"60\" is not a rate",
		"[[listener]]\nproxy_protocol.trusted = ['192.0.2.1']\n[listener.proxy_protocol]\ntimeout = '1s'": "listener.proxy_protocol: stands here a second time",
	} {
		_, err := Parse("x", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
}

func TestParseRate(t *testing.T) {
	for s, want := range map[string]struct {
		n   int
		per time.Duration
	}{"0": {0, 0}, "60/m": {60, time.Minute}, "1/s": {1, time.Second}, "5/h": {5, time.Hour}, "100/d": {100, 24 * time.Hour}} {
		if n, per, err := ParseRate(s); err != nil || n != want.n || per != want.per {
			t.Errorf("%q: %d in %v, %v", s, n, per, err)
		}
	}
	for _, s := range []string{"", "60", "/m", "0/m", "-1/m", "+1/m", "1/ms", "1/", "1/x", "1/m/m", "1 /m", "99999999999/m", "x/m"} {
		if _, _, err := ParseRate(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestDiffOfListeners(t *testing.T) {
	a, b := Default(), Default()
	b.Listeners = append(b.Listeners, defaultListener())
	b.Listeners[0].MaxErrors = 5
	b.Listeners[1].Name = "inside"
	got := strings.Join(Diff(a, b), "\n")
	if !strings.HasPrefix(got, "listener.max_errors: 20 -> 5\nlistener[1].name: -> \"inside\"\n") {
		t.Error(got)
	}
	if got := strings.Join(Diff(b, a), "\n"); !strings.Contains(got, "listener[1].name: \"inside\" ->") {
		t.Error(got)
	}
}
