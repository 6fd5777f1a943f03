package config

import (
	"slices"
	"strings"
	"testing"
)

func TestUpstreamHosts(t *testing.T) {
	c, err := Parse("test.toml", []byte(`
[upstream]
protocol = "lmtp"
[[upstream.server]]
address = "a.example:24"
[[upstream.server]]
address = "unix:/run/lmtp"
priority = 10
weight = 3
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Server{{Address: "a.example:24", Weight: 1}, {Address: "unix:/run/lmtp", Priority: 10, Weight: 3}}
	if got := c.Upstream.Hosts(); !slices.Equal(got, want) {
		t.Errorf("hosts %+v", got)
	}
	if got := Default().Upstream.Hosts(); !slices.Equal(got, []Server{{Address: "127.0.0.1:10025", Weight: 1}}) {
		t.Errorf("default hosts %+v", got)
	}
	if got := c.Upstream.At("b.example:25").Hosts(); !slices.Equal(got, []Server{{Address: "b.example:25", Weight: 1}}) {
		t.Errorf("hosts %+v", got)
	}
}

func TestUpstreamConflicts(t *testing.T) {
	for text, want := range map[string]string{
		`upstream.tls_certificate = "c"`:                                                       `upstream.tls_certificate: does nothing with upstream.tls = "none"`,
		"upstream.tls = 'required'\nupstream.tls_certificate = 'c'":                            "upstream.tls_certificate: needs upstream.tls_key",
		"upstream.tls = 'required'\nupstream.tls_key = 'c'":                                    "upstream.tls_key: needs upstream.tls_certificate",
		"upstream.tls = 'required'\nupstream.tls_ca = 'c'":                                     "upstream.tls_ca: does nothing unless",
		"upstream.tls_name = 'mta'":                                                            "upstream.tls_name: does nothing with",
		"upstream.address = 'unix:/run/mta'\nupstream.tls = 'verified'":                        "upstream.tls: \"verified\" needs upstream.tls_name",
		"upstream.address = 'b:25'\n[[upstream.server]]\naddress = 'a:25'":                     "upstream.address: does nothing beside tables [[upstream.server]]",
		"[[upstream.server]]\naddress = 'a:25'\n[[upstream.server]]\naddress = 'a:25'":         "upstream.server[1].address: stands here a second time",
		"[[upstream.server]]\naddress = 'a:25'\n[[upstream.server]]\naddress = '127.0.0.1:25'": "upstream.server[1].address: is listener.address, so that mail would go in circles",
		"listener.address = 'unix:/run/x'\nupstream.address = 'unix:/run/x'":                   "upstream.address: is listener.address, so that mail would go in circles",
		"upstream.address = 'unix:run'":                                                        `upstream.address: "unix:run" is not a unix socket`,
		"[[upstream.server]]\nweight = 1":                                                      "upstream.server.address: ",
	} {
		_, err := Parse("test.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v\nwant %s", text, err, want)
		}
	}
}
