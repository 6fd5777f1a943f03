package sources

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

const aliceList = `# written by the panel
[[allow]]
domain = "newsletter.example"
network = "192.0.2.0/24"
expires = 2027-01-01
author = "alice"
note = "our [[newsletter]] # service"

[[allow]]
unauthenticated = "scanner@office.example"
expires = 2027-01-01T00:00:00Z

[[block]]
address = "spammer@freemail.example"

[[sender]]
dkim = "esp.example"
network = "2001:db8::25"
`

func TestParseListFile(t *testing.T) {
	entries, lines, err := parseListFile([]byte(aliceList), 10)
	if err != nil {
		t.Fatal(err)
	}
	want := "[allow domain=newsletter.example network=192.0.2.0/24 allow unsafe=scanner@office.example block address=spammer@freemail.example sender signer=esp.example network=2001:db8::25/128]"
	if got := fmt.Sprint(entries); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if e := entries[0]; e.Author != "alice" || e.Note != "our [[newsletter]] # service" || e.Expires.Year() != 2027 || !entries[1].Expires.Equal(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)) || !entries[2].Expires.IsZero() {
		t.Errorf("%+v", entries)
	}
	if _, err := newList(entries, lines); err != nil {
		t.Error(err)
	}
	if entries, _, err := parseListFile(nil, 10); err != nil || len(entries) != 0 {
		t.Errorf("nothing: %v, %v", entries, err)
	}
}

func TestParseListFileRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":      {"[[allow]]\ndomain = \"a.example\"\nforever = true\n", `line 3: the key "forever" is unknown`},
		"unknown table":    {"[[permit]]\ndomain = \"a.example\"\n", `line 1: "permit" is unknown: write [[allow]]`},
		"syntax":           {"[[allow]]\ndomain = a.example\n", "line 2: "},
		"wrong type":       {"[[allow]]\ndomain = 7\n", "line 2: "},
		"no network":       {"[[block]]\nnetwork = \"10.0.0.0/33\"\n", `line 2: "10.0.0.0/33" is no network`},
		"nobody":           {"[[allow]]\ndomain = \"a.example\"\n\n[[block]]\nnote = \"x\"\n", "line 4: it names nobody"},
		"two":              {"[[allow]]\ndomain = \"a.example\"\ndkim = \"b.example\"\n", "line 1: it names two"},
		"everybody":        {"[[allow]]\ndomain = \"com\"\n", "line 1: a public suffix"},
		"every address":    {"[[allow]]\nnetwork = \"0.0.0.0/0\"\n", "every address there is"},
		"too many":         {strings.Repeat("[[allow]]\ndomain = \"a.example\"\n", 11), "has more than 10 entries"},
		"too many in line": {"allow = [" + strings.Repeat("{domain=\"a.example\"},", 11) + "]", "line 1: \"allow\" begins no entry"},
		"array":            {"x = [" + strings.Repeat("1,", 100000) + "1]", "commas"},
		"dots":             {strings.Repeat("a.", 100000) + "a = 1", "dots in a line"},
		"depth":            {"allow = " + strings.Repeat("[", 100000), "too many brackets"},
		"depth of tables":  {"allow = " + strings.Repeat("{a=", 100000), "too many brackets"},
		"open string":      {"[[allow]]\nnote = \"", "line 2: "},
		"one table":        {"[allow]\ndomain = \"a.example\"\n", "line 1: \"allow\" begins no entry"},
		"twice":            {"[[allow]]\ndomain = \"a.example\"\ndomain = \"b.example\"\n", "line 3: \"domain\" stands in this entry already"},
		"date in quotes":   {"[[allow]]\nexpires = \"2027-01-01\"\n", "line 2: expires must be a date"},
		"no date":          {"[[allow]]\nexpires = 2027-02-31\n", "line 2: "},
		"many keys":        {"[[allow]]\n" + strings.Repeat("a.b = 1\n", 1<<20), "line 2: "},
		"binary":           {"\x00\x01\x02", "line 1: "},
		"half":             {aliceList[:len(aliceList)-7], "line 18: "},
	} {
		t.Run(name, func(t *testing.T) {
			entries, lines, err := parseListFile([]byte(test.text), 10)
			if err == nil {
				_, err = newList(entries, lines)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 300 {
				t.Errorf("%v", err)
			}
		})
	}
}

func FuzzParseListFile(f *testing.F) {
	f.Add([]byte(aliceList))
	f.Add([]byte("allow = [{domain = 'a.example'}]\n"))
	f.Add([]byte("[[block]]\nnote = '''\n[[x'''\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, lines, err := parseListFile(data, 50)
		if err != nil {
			return
		}
		if len(entries) > 50 {
			t.Errorf("%d entries", len(entries))
		}
		if list, err := newList(entries, lines); err == nil && list.Len() != len(entries) {
			t.Errorf("%d of %d entries", list.Len(), len(entries))
		}
	})
}

type listStand struct {
	*stand
	o     ListOptions
	lists *Lists
}

func newListStand(t *testing.T) *listStand {
	t.Helper()
	s := &listStand{stand: newStand(t)}
	s.o = ListOptions{
		Customers: filepath.Join(s.dir, "allow.d"), Shared: filepath.Join(s.dir, "lists"), MaxEntries: 10, MaxTotal: 20,
		Interval: time.Minute, Live: s.live, Log: slog.New(slog.NewJSONHandler(s.log, nil)), Now: time.Now,
	}
	s.write("allow.d/alice.toml", aliceList)
	s.write("allow.d/bob.toml", "[[block]]\ndomain = \"x.example\"\n")
	s.write("lists/everybody.toml", "[[block]]\ndomain = \"spam.example\"\n[[block]]\ndomain = \"more.example\"\n")
	return s
}

func (s *listStand) begin() {
	s.t.Helper()
	s.lists.Stop()
	s.lists = NewLists(s.o, s.lists)
	s.lists.Start()
	s.t.Cleanup(s.lists.Stop)
}

func (s *listStand) len(name string) int { return s.live.List(name).Len() }

func TestLists(t *testing.T) {
	s := newListStand(t)
	s.write("allow.d/everybody.toml", "[[allow]]\ndomain = \"x.example\"\n") // a customer who is called so has a list of his own
	s.begin()
	if s.len("alice") != 4 || s.len("bob") != 1 || s.len("*") != 2 || s.len("everybody") != 1 {
		t.Fatalf("%d, %d, %d, %d entries: %s", s.len("alice"), s.len("bob"), s.len("*"), s.len("everybody"), s.log)
	}
	bob := s.live.List("bob")
	s.append("allow.d/alice.toml", "[[block]]\ndomain = \"new.example\"\n")
	s.soon("alice's list is read again", func() bool { return s.len("alice") == 5 })
	if s.live.List("bob") != bob {
		t.Error("alice's file has touched bob's list")
	}
	for name, harm := range map[string]struct {
		text, want string
	}{
		"wrong": {"[[allow]]\nforever = true\n", `alice.toml","list":"alice","error":"line 2: the key \"forever\" is unknown`},
		"large": {strings.Repeat("#", int(64<<10+10<<10+1)), "is larger than 75776 bytes"},
		"many":  {strings.Repeat("[[block]]\ndomain = \"x.example\"\n", 11), "has more than 10 entries"},
	} {
		s.write("allow.d/alice.toml", harm.text)
		s.waitFor(name, func() bool { return strings.Contains(s.log.String(), harm.want) })
		if s.len("alice") != 5 || s.live.List("bob") != bob {
			t.Errorf("%s: %d entries", name, s.len("alice"))
		}
	}
	if got := s.lists.Snapshot(); len(got) != 2 || got[1].Name != "lists.customers" || !strings.Contains(got[1].Problem, "alice.toml: ") || got[1].Domains != 7 || got[0].Problem != "" || got[0].Domains != 2 {
		t.Errorf("%+v", got)
	}
	s.begin() // a reload
	if s.len("alice") != 5 {
		t.Errorf("after a reload: %d entries", s.len("alice"))
	}
	must(t, os.Remove(filepath.Join(s.dir, "allow.d", "alice.toml")))
	s.soon("a list that is taken away", func() bool { return s.live.List("alice") == nil })
	s.write("allow.d/alice.toml", aliceList)
	s.soon("and comes back", func() bool { return s.len("alice") == 4 })
}

// What a customer may write hurts nobody else.
func TestListsHostile(t *testing.T) {
	s := newListStand(t)
	outside := s.write("outside.toml", "[[allow]]\ndomain = \"x.example\"\n")
	must(t, os.Symlink(outside, filepath.Join(s.dir, "allow.d", "link.toml")))
	must(t, os.Symlink("bob.toml", filepath.Join(s.dir, "allow.d", "inner.toml")))
	must(t, os.Symlink("loop.toml", filepath.Join(s.dir, "allow.d", "loop.toml")))
	must(t, os.Mkdir(filepath.Join(s.dir, "allow.d", "directory.toml"), 0o755))
	makePipe(t, filepath.Join(s.dir, "allow.d", "pipe.toml"))
	s.write("allow.d/*.toml", "[[allow]]\ndomain = \"x.example\"\n")
	s.write("allow.d/a b.toml", "[[allow]]\ndomain = \"x.example\"\n")
	s.write("allow.d/partners.toml", strings.Repeat("[[allow]]\ndomain = \"x.example\"\n", 3))
	s.write("lists/partners.toml", "[[allow]]\ndomain = \"partner.example\"\n")
	s.write("allow.d/greedy.toml", strings.Repeat("[[block]]\ndomain = \"x.example\"\n", 10))
	s.begin()
	for name, want := range map[string]int{"alice": 4, "bob": 1, "*": 2, "partners": 1, "link": 0, "loop": 0, "directory": 0, "pipe": 0, "a b": 0} {
		if got := s.len(name); got != want {
			t.Errorf("%s has %d entries, want %d", name, got, want)
		}
	}
	if !strings.Contains(s.log.String(), "with which all lists have more than 20 (lists.max_total)") {
		t.Errorf("log\n%s", s.log)
	}
	must(t, os.Rename(filepath.Join(s.dir, "allow.d"), filepath.Join(s.dir, "away")))
	s.write("allow.d", "a file in its place")
	s.waitFor("it is told", func() bool { return strings.Contains(s.lists.Snapshot()[1].Problem, "not a directory") })
	if s.len("alice") != 4 || s.len("bob") != 1 {
		t.Error("the lists are gone with their directory")
	}
}

// A million entries in files of many customers: what they cost.
func BenchmarkListsMillion(b *testing.B) {
	dir := b.TempDir()
	const customers, entries = 1000, 1000
	for c := range customers {
		text := &strings.Builder{}
		for e := range entries {
			fmt.Fprintf(text, "[[block]]\naddress = \"user%d@sender%d-%d.example\"\nauthor = \"panel\"\nnote = \"asked for by phone\"\n\n", e%7, c, e)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("c%d.toml", c)), []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		before, began := heap(), cpu()
		live := &filter.Live{}
		l := NewLists(ListOptions{Customers: dir, MaxEntries: entries, MaxTotal: customers * entries, Interval: time.Hour, Live: live, Log: slog.New(slog.DiscardHandler), Now: time.Now}, nil)
		l.Start()
		l.Stop()
		if n := l.Snapshot()[0]; n.Domains != customers*entries {
			b.Fatalf("%+v", n)
		}
		b.ReportMetric(float64((cpu() - began).Milliseconds()), "cpu-ms")
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		runtime.KeepAlive(l)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// 100,000 domains of a panel: how long they take to be in force, and what they cost.
func BenchmarkSourceHundredThousand(b *testing.B) {
	dir := b.TempDir()
	text := &strings.Builder{}
	for i := range 100000 {
		fmt.Fprintf(text, "customer-domain-%d.example: user%d\n", i, i/10)
	}
	path := filepath.Join(dir, "userdomains")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		before, began := heap(), cpu()
		live := &filter.Live{}
		k, err := Open(b.Context(), Options{Sources: []Source{{Name: "panel", Kind: CPanel, Paths: []string{path}, Interval: time.Hour}}, Live: live, Log: slog.New(slog.DiscardHandler), Now: time.Now}, nil)
		if err != nil {
			b.Fatal(err)
		}
		k.Start()
		k.Stop()
		if live.Domains().Len() != 100000 {
			b.Fatal(live.Domains().Len())
		}
		b.ReportMetric(float64((cpu() - began).Milliseconds()), "cpu-ms")
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		runtime.KeepAlive(k)
	}
}

// What bounds a hostile file is in the way of none that is honest.
func TestParseListFileOfDates(t *testing.T) {
	text := strings.Repeat("[[allow]]\nnetwork = \"192.0.2.0/24\" # a, b. c\nexpires = 2027-01-01T00:00:00.5Z # d\n", 100)
	if entries, _, err := parseListFile([]byte(text), 100); err != nil || len(entries) != 100 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}
