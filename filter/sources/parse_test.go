package sources

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func parsed(k Kind, text string) (owners, *collector, error) {
	c := newCollector("")
	err := parserOf(k)([]byte(text), c)
	if err == nil {
		err = c.verdict()
	}
	return c.found, c, err
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		kind Kind
		text string
		want owners
		told string // a part of what is told of its lines
	}{
		"list": {List, "# ours\nexample.com\n\nExample.NET. alice # since 2020\r\n  bücher.example\tbob-1\n",
			owners{"example.com": "", "example.net": "alice", "xn--bcher-kva.example": "bob-1"}, ""},
		"list, no last line end": {List, "example.com\nexample.net", owners{"example.com": "", "example.net": ""}, ""},
		"list, byte order mark":  {List, "\ufeffexample.com\n", owners{"example.com": ""}, ""},
		"list, twice":            {List, "example.com\nexample.com alice\nexample.com bob\nexample.com\n", owners{"example.com": "alice"}, "line 3: example.com is of the customer alice already, not of bob"},
		"list, wrong lines":      {List, "example.com\nnot a domain\nexample..net\n", owners{"example.com": ""}, `line 2: "not a domain" is more than a domain`},
		"list, wrong customer":   {List, "example.com ../x\n", owners{"example.com": ""}, `line 1: example.com: the customer "../x" is no name`},
		"list, for all the world": {List, "com\nco.uk\nlocalhost\nexample.co.uk\n", owners{"example.co.uk": ""},
			`line 1: "com": a public suffix belongs to no customer; line 2: "co.uk": a public suffix`},
		"list, address":      {List, "192.0.2.1\nexample.com\n", owners{"example.com": ""}, "an address"},
		"localdomains":       {CPanel, "example.com\nsub.example.com\n", owners{"example.com": "", "sub.example.com": ""}, ""},
		"userdomains":        {CPanel, "*: nobody\nexample.com: alice\nshop.example.com: alice\nexample.net: bob\n", owners{"example.com": "alice", "shop.example.com": "alice", "example.net": "bob"}, ""},
		"userdomains, empty": {CPanel, "example.com:\n", owners{"example.com": ""}, ""},
		"table": {Postfix, "# virtual_mailbox_domains\nExample.com OK\n\nexample.net\n  virtual\n \t more\n  # no more\nuser@example.org x y\nexample.org two words\n",
			owners{"example.com": "", "example.net": "", "example.org": ""}, ""},
		"table, no value":        {Postfix, "example.com\nexample.net OK\nexample.org", owners{"example.net": ""}, `line 1: "example.com" has no value: Postfix wants a key, a blank and a value; line 3`},
		"table, addresses alone": {Postfix, "user@example.com x\n@example.net y\n", owners{}, ""},
		"nothing":                {List, "", owners{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, c, err := parsed(test.kind, test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if told := strings.Join(c.told, "; "); !strings.Contains(told, test.told) || test.told == "" && told != "" {
				t.Errorf("told %q", told)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	many := &strings.Builder{}
	for i := range 30 {
		fmt.Fprintf(many, "d%d.example\n", i)
	}
	for name, test := range map[string]struct {
		text, want string
	}{
		"a program":           {"\x7fELF\x02\x01\x01\x00\x00", "NUL"},
		"one wrong line":      {"{\"domains\": [\n", "1 of 1 lines name no domain"},
		"a page":              {"<html>\n<head>\n<title>503 Service Unavailable</title>\n</head>\n", "4 of 4 lines"},
		"a tenth":             {many.String() + strings.Repeat("?\n", 4), "4 of 34 lines"},
		"noise":               {"\xff\xfe\x01\x02\n\x80\x81\n\x05\n\xf0\n\x99\n", "lines name no domain"},
		"a line without ends": {strings.Repeat("a", maxLine+1), "longer than 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := parsed(List, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}
	if found, _, err := parsed(List, many.String()+strings.Repeat("?\n", 3)); err != nil || len(found) != 30 {
		t.Errorf("three wrong lines: %v, %d domains", err, len(found))
	}
}

// What is told of a hostile file is short and has nothing of it that a terminal
// would obey.
func TestParseTellsSafely(t *testing.T) {
	_, c, _ := parsed(List, strings.Repeat("\x1b[2J"+strings.Repeat("x", 3000)+" a b c\n", 1000))
	if told := strings.Join(c.told, "; "); len(c.told) != maxTold || len(told) > 1000 || strings.ContainsRune(told, 0x1b) {
		t.Errorf("%d faults in %d bytes: %q", len(c.told), len(told), told)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("# x\nexample.com alice\n"))
	f.Add([]byte("example.com: alice\n*: nobody\n"))
	f.Add([]byte("example.com\n  OK\nuser@x y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, k := range []Kind{List, CPanel, Postfix} {
			c := newCollector("")
			err := parserOf(k)(text, c)
			for d, customer := range c.found {
				if again, bad := Domain(d); bad != nil || again != d {
					t.Errorf("%s: %q is no domain in its final form: %v", k, d, bad)
				}
				if customer != "" && checkCustomer(customer) != nil {
					t.Errorf("%s: customer %q", k, customer)
				}
			}
			if err == nil && c.verdict() == nil && c.bad > toleratedFaults && c.bad > c.good {
				t.Errorf("%s: %d of %d lines are wrong", k, c.bad, c.good)
			}
		}
	})
}
