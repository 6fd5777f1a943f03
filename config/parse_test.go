package config

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

// Each faulty file has its whole error beside it.
func TestFaultyFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), data, KnownReplies([]string{"spf_fail", "dmarc_none"}))
			if err == nil {
				t.Fatal("no error")
			}
			if !reflect.DeepEqual(c, Config{}) {
				t.Errorf("an error with a Config: %v", Diff(Config{}, c))
			}
			want := strings.TrimSuffix(file, ".toml") + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, readErr := os.ReadFile(want)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if diff := cmp.Diff(string(text), err.Error()+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParse(t *testing.T) {
	set := func(change func(*Config)) Config {
		c := Default()
		change(&c)
		return c
	}
	cases := []struct {
		name, text string
		want       Config
	}{
		{"empty", "", Default()},
		{"comment without line end", "# nothing", Default()},
		{"byte order mark alone", byteOrderMark, Default()},
		{"byte order mark", byteOrderMark + `hostname = "mx.example.com"`, set(func(c *Config) { c.Hostname = "mx.example.com" })},
		{"CRLF", "[log]\r\nlevel = \"debug\"\r\n", set(func(c *Config) { c.Log.Level = "debug" })},
		{"inline", `spool = { memory = "1MiB", directory = '/var/spool' }`, set(func(c *Config) { c.Spool.Memory, c.Spool.Directory = 1<<20, "/var/spool" })},
		{"dotted", "policy.dmarc.reject = 'strict'\npolicy.mode = 'shadow'", set(func(c *Config) { c.Policy.DMARC.Reject, c.Policy.Mode = "strict", "shadow" })},
		{"table below first", "[policy.spf]\nfail = 'tag'\n[policy]\nmode = 'shadow'", set(func(c *Config) { c.Policy.SPF.Fail, c.Policy.Mode = "tag", "shadow" })},
		{"quoted key", `"log"."level" = "warn"`, set(func(c *Config) { c.Log.Level = "warn" })},
		{"numbers", "listener.max_recipients = 0x20\nlistener.max_message_size = 1_000_000\nspool.memory = '65536'", set(func(c *Config) {
			c.Listeners[0].MaxRecipients, c.Listeners[0].MaxMessageSize, c.Spool.Memory = 32, 1e6, 64<<10
		})},
		{"networks", `trusted_networks = ["192.0.2.0/24", "2001:db8::25"]`, set(func(c *Config) {
			c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::25/128")}
		})},
		{"list over lines", "dns.servers = [\n  '::1', # ours\n  '192.0.2.53:5353',\n]", set(func(c *Config) { c.DNS.Servers = []string{"::1", "192.0.2.53:5353"} })},
		{"off", "admin.address = ''\nlistener.min_data_rate = 0\nshutdown_timeout = '0s'\ndns.cache_memory = '0'", set(func(c *Config) {
			c.Admin.Address, c.Listeners[0].MinDataRate, c.ShutdownTimeout, c.DNS.CacheMemory = "", 0, 0, 0
		})},
		{"replies", "[policy.replies]\nspf_fail = \"{client} is\\nnot {sender}: {help}\"", set(func(c *Config) {
			c.Policy.Replies = map[string]string{"spf_fail": "{client} is\nnot {sender}: {help}"}
		})},
		{"any port twice", "listener.address = '127.0.0.1:0'\nadmin.address = '127.0.0.1:0'", set(func(c *Config) { c.Listeners[0].Address, c.Admin.Address = "127.0.0.1:0", "127.0.0.1:0" })},
		{"underscored reason", "policy.replies.dmarc_fail_reject = 'no'", set(func(c *Config) { c.Policy.Replies = map[string]string{"dmarc_fail_reject": "no"} })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse("test.toml", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got other than wanted: %v", Diff(c.want, got))
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("directory: %v", err)
	}
	secret := filepath.Join(dir, "secret.toml")
	if err := os.WriteFile(secret, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(secret); os.Geteuid() != 0 && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("unreadable: %v", err)
	}
	empty := filepath.Join(dir, "empty.toml")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(empty); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("empty: %v", err)
	}
	large := filepath.Join(dir, "large.toml")
	for _, n := range []int{MaxFile, MaxFile + 1, 3 * MaxFile} {
		if err := os.WriteFile(large, []byte(strings.Repeat("#", n)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(large)
		if want := n > MaxFile; (err != nil) != want {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestProblemPlaces(t *testing.T) {
	_, err := Parse("x", []byte("\n  listener.max_recipients\t= 0x0 # none\n"))
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) != 1 {
		t.Fatal(err)
	}
	want := Problem{
		Line: 2, Column: 29, Key: "listener.max_recipients",
		Message: "0 is out of range: 1 to 10000",
		Excerpt: "    2 |   listener.max_recipients = 0x0 # none\n      |                             ^~~",
	}
	if diff := cmp.Diff(want, e.Problems[0]); diff != "" {
		t.Error(diff)
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Listeners[0].MaxRecipients = -1
	c.Listeners[0].TLSKey = "key.pem"
	c.TrustedNetworks = []netip.Prefix{{}}
	want := "trusted_networks[0]: not a network\n" +
		"listener.max_recipients: -1 is out of range: 1 to 10000\n" +
		"listener.tls_key: needs listener.tls_certificate"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// A check of the program's own is told with the others and with its place.
func TestCheck(t *testing.T) {
	unreadable := func(c Config) []Problem {
		return []Problem{{Key: "listener.tls_key", Message: c.Listeners[0].TLSKey + ": no such file"}, {Key: "hostname", Message: "none"}}
	}
	_, err := Parse("x", []byte("listener.tls_certificate = 'c'\nlistener.tls_key = 'k'\nlog.level = ''\n"), unreadable)
	want := "x:2:20: listener.tls_key: k: no such file\n    2 | listener.tls_key = 'k'\n      |                    ^~~\n" +
		"x:3:13: log.level: \"\" is not one of \"debug\", \"info\", \"warn\", \"error\"\n    3 | log.level = ''\n      |             ^~\n" +
		"x: hostname: none"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestRubbishIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"unknown keys": strings.Repeat("a = 1\n", MaxFile/6),
		"syntax":       strings.Repeat("]\n", MaxFile/2),
		"one line":     "spool = {" + strings.Repeat("a=1,", MaxFile/5) + "}",
		"long key":     strings.Repeat("a", MaxFile/2) + " = 1",
		"deep":         "a = " + strings.Repeat("[", MaxFile/2),
		"dotted":       strings.Repeat("a.", MaxFile/3) + "a = 1",
		"list":         "dns.servers = [" + strings.Repeat("1,", MaxFile/3) + "]",
		"half lists":   strings.Repeat("a=[\n", MaxFile/5),
	} {
		start := time.Now()
		_, err := Parse(name, []byte(text))
		var e *Error
		if !errors.As(err, &e) || len(e.Problems) > maxProblems {
			t.Errorf("%s: %d problems", name, len(e.Problems))
			continue
		}
		if n := len(e.Error()); n > 100*1000 {
			t.Errorf("%s: the error has %d bytes", name, n)
		}
		t.Log(name, time.Since(start))
		// Linear work takes half a second, more with the race detector on a busy
		// machine; quadratic work takes hours.
		if d := time.Since(start); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		}
	}
}

func TestDiff(t *testing.T) {
	c := Default()
	c.Listeners[0].MaxRecipients = 200
	c.Policy.Replies = map[string]string{"b": "2", "a": "1"}
	c.DNS.Servers = []string{"::1"}
	want := []string{
		"listener.max_recipients: 100 -> 200",
		`dns.servers: [] -> ["::1"]`,
		`policy.replies: {} -> {a = "1", b = "2"}`,
	}
	if diff := cmp.Diff(want, Diff(Default(), c)); diff != "" {
		t.Error(diff)
	}
	if d := Diff(c, c); d != nil {
		t.Error(d)
	}
}

// What is no TOML for the library is none for us, and nothing panics.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, sampleFile) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.toml", data)
		if err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("accepted, but not valid: %v", err)
			}
			var any map[string]any
			if err := toml.Unmarshal([]byte(strings.TrimPrefix(string(data), byteOrderMark)), &any); err != nil {
				t.Errorf("accepted what is no TOML: %v", err)
			}
			return
		}
		var e *Error
		if !errors.As(err, &e) || len(e.Problems) == 0 {
			t.Fatalf("not an Error with problems: %#v", err)
		}
		if lines := strings.Count(string(data), "\n") + 1; e.Problems[len(e.Problems)-1].Line > lines {
			t.Errorf("a line beyond the file: %v", err)
		}
		for i, r := range err.Error() {
			if r != '\n' && r < ' ' || r == 0x7f {
				t.Fatalf("control character %q at %d", r, i)
			}
		}
	})
}
