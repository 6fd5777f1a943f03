package config

import (
	"strings"
	"testing"
)

func TestProtected(t *testing.T) {
	c, err := Parse("x", []byte(`
[protected]
domains = ["example.com"]
[[protected.source]]
name = "cpanel"
kind = "cpanel"
paths = ["/etc/userdomains"]
[[protected.source]]
name = "panel"
kind = "sql"
url = "postgres://u:hunter2@db.example.net/panel"
query = "SELECT domain FROM domains"
interval = "5s"
`))
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Protected.Sources; len(s) != 2 || s[0].Interval != s[1].Interval*6 || s[1].Kind != "sql" || SourceKey(1, "url") != "protected.source[1].url" {
		t.Errorf("%+v", c.Protected)
	}
	for _, line := range Diff(Default(), c) {
		if strings.Contains(line, "hunter2") {
			t.Errorf("the password is told: %s", line)
		}
	}
}

func TestProtectedRefuses(t *testing.T) {
	const head = "[[protected.source]]\nname = \"a\"\n"
	for text, want := range map[string]string{
		head:                               "protected.source.paths: is missing",
		head + "paths = [\"userdomains\"]": `"userdomains" is not a full path`,
		head + "kind = \"postfix\"\npaths = [\"hash:vdomains\"]":                              `"hash:vdomains" is not a full path`,
		head + "paths = [\"/x\"]\nquery = \"SELECT 1\"":                                       `protected.source.query: does nothing unless kind = "sql"`,
		head + "paths = [\"/x\"]\n" + head + "paths = [\"/y\"]":                               "is the name of protected.source already",
		head + "kind = \"sql\"\nquery = \"SELECT 1\"":                                         "needs url or url_file",
		head + "kind = \"sql\"\nurl = \"sqlite:/x\"":                                          "needs a query",
		head + "kind = \"sql\"\nurl = \"sqlite:/x\"\nurl_file = \"/y\"\nquery = \"SELECT 1\"": "does nothing beside url",
		head + "kind = \"mysql\"\npaths = [\"/x\"]":                                           `"mysql" is not one of`,
		"[[protected.source]]\nname = \"lists.customers\"\npaths = [\"/x\"]":                  `cannot begin with "lists."`,
		"[[protected.source]]\npaths = [\"/x\"]":                                              "protected.source.name: is missing",
	} {
		if _, err := Parse("x", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
