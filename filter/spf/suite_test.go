package spf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sekimori/filter/dns"
)

// exceptions are the cases of the published suites that do not apply, with why.
var exceptions = map[string]string{
	"pyspf-tests.yml default-modifier":       "expects the lax mode of another implementation, where default= still works; RFC 7208 section 6 ignores it",
	"pyspf-tests.yml default-modifier-harsh": "expects a result that RFC 7208 does not have",
}

type scenario struct {
	Description string
	Tests       map[string]suiteCase
	ZoneData    map[string][]map[string]any `yaml:"zonedata"`

	qualify bool
}

// One suite has many domains of a single label, for which RFC 7208 section 4.3
// allows no check: there, a second label is put behind it.
var single = regexp.MustCompile(`^((?:a|mx|include|exists|ptr):|redirect=|\w+@)?[a-z][a-z0-9-]*$`)

func (s scenario) full(text string) string {
	if !s.qualify {
		return text
	}
	terms := strings.Split(text, " ")
	for i, term := range terms {
		if m := single.FindStringSubmatch(term); m != nil && (m[1] != "" || len(terms) == 1) {
			terms[i] += ".example"
		}
	}
	return strings.Join(terms, " ")
}

type suiteCase struct {
	Helo, Host, MailFrom string
	Result               any
	Explanation          string
}

// The suites that come with the library, as they are.
func TestSuites(t *testing.T) {
	for name, cases := range map[string]int{
		"rfc7208-tests.yml":    203,
		"rfc4408-tests.yml":    191,
		"pyspf-tests.yml":      16,
		"blitirispf-tests.yml": 83,
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for _, s := range readSuite(t, name) {
				s.qualify = name == "blitirispf-tests.yml"
				for id, c := range s.Tests {
					n++
					t.Run(id, func(t *testing.T) { c.run(t, s, exceptions[name+" "+id]) })
				}
			}
			if n != cases {
				t.Errorf("%d cases, want %d", n, cases)
			}
		})
	}
}

func readSuite(t *testing.T, name string) (out []scenario) {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "blitiri.com.ar/go/spf").Output()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var s scenario
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
}

func (c suiteCase) run(t *testing.T, s scenario, exception string) {
	z := s.zone(t)
	got := Check(context.Background(), z, netip.MustParseAddr(c.Host), c.Helo, s.full(c.MailFrom)).MailFrom
	ok := slices.Contains(texts(c.Result), string(got.Word))
	if exception != "" {
		if ok {
			t.Errorf("passes, but is listed as an exception: %s", exception)
		}
		return
	}
	if !ok {
		t.Errorf("%s (mechanism %q, reason %q), want %v", got.Word, got.Mechanism, got.Reason, c.Result)
	}
	// Letters of addresses are not equal in the suites and in RFC 7208 section
	// 7.4; they mean the same.
	if want := strings.TrimPrefix(c.Explanation, "DEFAULT"); c.Explanation != "" && !strings.EqualFold(want, got.Explanation) {
		t.Errorf("explanation %q, want %q", got.Explanation, want)
	}
}

// zone: records of type SPF stand for those of type TXT where a name has none.
// TIMEOUT and the like are the answer for what a name has no records of.
func (s scenario) zone(t *testing.T) *zone {
	t.Helper()
	z := newZone()
	for name, records := range s.ZoneData {
		z.names[z.key(s.full(name), "").Name] = true
		hasTXT := slices.ContainsFunc(records, func(r map[string]any) bool { return r["TXT"] != nil })
		for _, r := range records {
			for key, value := range r {
				s.record(t, z, name, key, value, hasTXT)
			}
		}
	}
	return z
}

func (s scenario) record(t *testing.T, z *zone, name, key string, value any, hasTXT bool) {
	t.Helper()
	name = s.full(name)
	values := texts(value)
	for i := range values {
		values[i] = s.full(values[i])
	}
	switch key {
	case "TIMEOUT":
		z.fail(name, "*", dns.Timeout)
	case "SERVFAIL", "CNAMELOOP":
		z.fail(name, "*", dns.ServFail)
	case "SPF":
		if !hasTXT {
			z.add(name, dns.TXT, strings.Join(values, ""))
		}
	case "TXT":
		if value != "NONE" {
			z.add(name, dns.TXT, strings.Join(values, ""))
		}
	case "MX":
		z.add(name, dns.MX, values[1])
	case "A", "AAAA", "PTR", "CNAME":
		z.add(name, dns.Type(key), values...)
	default:
		t.Fatalf("%s: unknown type %s", name, key)
	}
}

// texts reads a scalar or a list of scalars.
func texts(value any) (out []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			s, _ := e.(string)
			out = append(out, s)
		}
	}
	return out
}
