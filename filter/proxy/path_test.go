package proxy

import (
	"strings"
	"testing"
)

// A quoted local part cannot end the path and begin a parameter.
func TestPathsAreQuotedAgain(t *testing.T) {
	for said, heard := range map[string]string{
		`<"root@internal> NOTIFY=NEVER"@ok.example>`: `<"root@internal> NOTIFY=NEVER"@ok.example>`,
		`<"a b"@d.example>`:                          `<"a b"@d.example>`,
		`<"\""@d.example>`:                           `<"\""@d.example>`,
		`<"a\\b"@d.example>`:                         `<"a\\b"@d.example>`,
		`<"plain"@d.example>`:                        `<plain@d.example>`,
		`<"a..b"@d.example>`:                         `<a..b@d.example>`,
		`<@x.example,@y.example:u@d.example>`:        `<u@d.example>`, // SM-09: the route is ignored
		`<u@[192.0.2.1]>`:                            `<u@[192.0.2.1]>`,
		`<u@[IPv6:2001:db8::1]>`:                     `<u@[IPv6:2001:db8::1]>`,
		`<o'neil+tag@d.example>`:                     `<o'neil+tag@d.example>`,
	} {
		t.Run(said, func(t *testing.T) {
			d := newDoor(t)
			k := d.dial().ready()
			k.say("MAIL FROM:"+said, "250")
			k.say("RCPT TO:"+said, "250")
			got := d.mta.heard()
			if got[1] != "MAIL FROM:"+heard || got[2] != "RCPT TO:"+heard {
				t.Errorf("the MTA heard %q", got[1:])
			}
		})
	}
}

func TestBadPaths(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.Faults = 1000 })
	k := d.dial().ready()
	long := strings.Repeat("x", 300)
	for path, code := range map[string]string{
		"<a@b<c\"d>":               "501",
		"<a@b c>":                  "501",
		"<(x)a@b.example>":         "501",
		"<a@b..example>":           "501",
		"<a@[1.2.3]>":              "501",
		"<a@[x y]>":                "501",
		"<a@b;c>":                  "501",
		"<\"a\x01\"@d.example>":    "501",
		"<a\x00@d.example>":        "501",
		"<a@d\x7f.example>":        "501",
		"<" + long + "@d.example>": "501",
		"<a@" + long + ".example>": "501",
		"<\xff@d.example>":         "501",
		"<\u3042@d.example>":       "553 5.6.7", // SM-15
		"<a@b\u00fccher.example>":  "553 5.6.7",
	} {
		k.say("MAIL FROM:"+path, code)
		k.say("MAIL FROM:<>", "250") // SM-08
		k.say("RCPT TO:"+path, code)
		k.say("RSET", "250")
	}
	for _, heard := range d.mta.heard() {
		if strings.HasPrefix(heard, "RCPT") || strings.HasPrefix(heard, "MAIL") && heard != "MAIL FROM:<>" {
			t.Errorf("the MTA heard %q", heard)
		}
	}
}
