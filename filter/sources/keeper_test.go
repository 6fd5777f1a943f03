package sources

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
)

// stand is a keeper with a directory of sources.
type stand struct {
	t    *testing.T
	dir  string
	live *filter.Live
	log  *lockedLog
	o    Options
	k    *Keeper
}

type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newStand(t *testing.T, all ...Source) *stand {
	t.Helper()
	s := &stand{t: t, dir: t.TempDir(), live: &filter.Live{}, log: &lockedLog{}}
	s.o = Options{
		Copies: filepath.Join(s.dir, "copies"), RemovalDelay: time.Second, Live: s.live,
		Log: slog.New(slog.NewJSONHandler(s.log, nil)), Now: time.Now, Postmap: postmap,
	}
	for _, one := range all {
		one.Interval, one.Timeout = time.Minute, 10*time.Second
		for i := range one.Paths {
			one.Paths[i] = strings.ReplaceAll(one.Paths[i], "DIR", s.dir)
		}
		s.o.Sources = append(s.o.Sources, one)
	}
	return s
}

func (s *stand) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *stand) open() error {
	s.t.Helper()
	k, err := Open(context.Background(), s.o, s.k)
	if err != nil {
		return err
	}
	s.k.Stop()
	s.k = k
	k.Start()
	s.t.Cleanup(k.Stop)
	return nil
}

func (s *stand) start() {
	s.t.Helper()
	if err := s.open(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stand) has(domain string) bool {
	_, _, ok := s.live.Domains().Owner(domain)
	return ok
}

func (s *stand) waitFor(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("in vain: %s\n%s", what, s.log)
		}
	}
}

// soon holds that something comes true soon enough for an operator: within 2 s,
// and 3 more for the race detector on a busy machine.
func (s *stand) soon(what string, ok func() bool) {
	s.t.Helper()
	start := time.Now()
	s.waitFor(what, ok)
	if took := time.Since(start); took > 5*time.Second {
		s.t.Errorf("%s took %v", what, took)
	}
}

func (s *stand) problem(name string) string {
	for _, one := range s.k.Snapshot() {
		if one.Name == name {
			return one.Problem
		}
	}
	return "there is no such source"
}

func lines(from, to int) string {
	b := &strings.Builder{}
	for i := from; i < to; i++ {
		fmt.Fprintf(b, "d%d.example\n", i)
	}
	return b.String()
}

// Whatever becomes of a source, no domain of it loses its protection.
func TestBrokenSourceKeepsItsDomains(t *testing.T) {
	for name, harm := range map[string]struct {
		do   func(s *stand, path string)
		want string // in the log and the status
	}{
		"emptied":   {func(s *stand, _ string) { s.write("list", "") }, "has only 0 of its 40 domains left"},
		"halved":    {func(s *stand, _ string) { s.write("list", lines(0, 19)) }, "has only 19 of its 40 domains left"},
		"another":   {func(s *stand, _ string) { s.write("list", lines(100, 180)) }, "has only 0 of its 40 domains left"},
		"binary":    {func(s *stand, _ string) { s.write("list", "\x1f\x8b\x08\x00\x00"+lines(0, 50)) }, "NUL bytes"},
		"noise":     {func(s *stand, _ string) { s.write("list", "\xff\xfe\x80\n\x81\x1b[2J\n\x99\n") }, "lines name no domain"},
		"removed":   {func(s *stand, path string) { must(s.t, os.Remove(path)) }, "no such file"},
		"directory": {func(s *stand, path string) { must(s.t, os.Remove(path)); must(s.t, os.Mkdir(path, 0o755)) }, "is no file"},
		"loop":      {func(s *stand, path string) { must(s.t, os.Remove(path)); must(s.t, os.Symlink(path, path)) }, "too many levels"},
		"too large": {func(s *stand, path string) { must(s.t, os.Truncate(path, maxFile+1)) }, "is larger than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t, Source{Name: "panel", Kind: List, Paths: []string{"DIR/list"}})
			path := s.write("list", lines(0, 40))
			s.start()
			if s.live.Domains().Len() != 40 || s.problem("panel") != "" {
				t.Fatalf("%d domains, %s", s.live.Domains().Len(), s.problem("panel"))
			}
			harm.do(s, path)
			s.waitFor("it is told", func() bool { return strings.Contains(s.problem("panel"), harm.want) })
			time.Sleep(2 * s.o.RemovalDelay)
			for i := range 40 {
				if d := fmt.Sprintf("d%d.example", i); !s.has(d) {
					t.Errorf("%s has lost its protection", d)
				}
			}
			if !strings.Contains(s.log.String(), `"level":"ERROR","msg":"a source of protected domains is broken`) || strings.Count(s.log.String(), `"level":"ERROR"`) > 2 {
				t.Errorf("log:\n%s", s.log)
			}
			if name == "directory" || name == "loop" {
				must(t, os.Remove(path))
			}
			s.write("list", lines(0, 41))
			s.soon("the source is right again", func() bool { return s.has("d40.example") && s.problem("panel") == "" })
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A list that is written slowly is never taken for a shorter one; what is new
// holds before what is missing goes.
func TestSlowWriter(t *testing.T) {
	s := newStand(t, Source{Name: "panel", Kind: CPanel, Paths: []string{"DIR/userdomains"}})
	s.write("userdomains", strings.ReplaceAll(lines(0, 40), "\n", ": alice\n"))
	s.start()
	f, err := os.OpenFile(filepath.Join(s.dir, "userdomains"), os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	for i := range 40 {
		for _, piece := range []string{fmt.Sprintf("d%d.exam", i), "ple", ": ali", "ce\n"} {
			_, err := f.WriteString(piece)
			must(t, err)
			time.Sleep(15 * time.Millisecond)
		}
		for i := range 40 {
			if _, customer, ok := s.live.Domains().Owner(fmt.Sprintf("d%d.example", i)); !ok || !strings.HasPrefix("alice", customer) { // a writer that rests has written what there is
				t.Fatalf("d%d.example: %v, customer %q", i, ok, customer)
			}
		}
	}
	_, err = f.WriteString("new.example: bob\n")
	must(t, err)
	must(t, f.Close())
	s.soon("it is whole", func() bool { return s.has("new.example") })
	if s.has("d1.exam") || s.live.Domains().Len() != 41 {
		t.Errorf("%d domains", s.live.Domains().Len())
	}
	s.waitFor("it is right", func() bool { return s.problem("panel") == "" })
}

func TestAddAndRemove(t *testing.T) {
	s := newStand(t, Source{Name: "panel", Kind: List, Paths: []string{"DIR/list"}})
	s.write("list", lines(0, 4))
	s.start()
	for _, how := range []struct {
		name   string
		domain string
		do     func()
	}{
		{"appended", "appended.example", func() { s.append("list", "appended.example\n") }},
		{"appended without a line end", "bare.example", func() { s.append("list", "bare.example") }},
		{"renamed over", "renamed.example", func() {
			must(t, os.Rename(s.write("list.new", lines(0, 4)+"appended.example\nbare.example\nrenamed.example\n"), filepath.Join(s.dir, "list")))
		}},
		{"a link elsewhere", "linked.example", func() {
			s.write("elsewhere/list", lines(0, 4)+"appended.example\nbare.example\nrenamed.example\nlinked.example\n")
			must(t, os.Symlink("elsewhere/list", filepath.Join(s.dir, "link")))
			must(t, os.Rename(filepath.Join(s.dir, "link"), filepath.Join(s.dir, "list")))
		}},
		{"behind the link", "behind.example", func() { time.Sleep(200 * time.Millisecond); s.append("elsewhere/list", "behind.example\n") }},
	} {
		how.do()
		s.soon(how.name, func() bool { return s.has(how.domain) })
	}
	s.write("elsewhere/list", lines(1, 4)+"appended.example\nbare.example\nrenamed.example\nlinked.example\n")
	s.waitFor("it is leaving", func() bool { return s.k.Snapshot()[0].Leaving == 2 })
	if !s.has("d0.example") || s.problem("panel") != "" {
		t.Errorf("gone at once, or %s", s.problem("panel"))
	}
	s.waitFor("it is gone", func() bool { return !s.has("d0.example") && !s.has("behind.example") })
	if s.k.Snapshot()[0].Leaving != 0 {
		t.Errorf("%+v", s.k.Snapshot())
	}
}

func (s *stand) append(name, text string) {
	s.t.Helper()
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_APPEND|os.O_WRONLY, 0)
	must(s.t, err)
	_, err = f.WriteString(text)
	must(s.t, err)
	must(s.t, f.Close())
}

// An operator who has taken most customers away says so; nobody else can.
func TestAccept(t *testing.T) {
	s := newStand(t, Source{Name: "panel", Kind: List, Paths: []string{"DIR/list"}})
	s.write("list", lines(0, 40))
	s.start()
	ctx := context.Background()
	s.write("list", lines(0, 3))
	s.waitFor("it is told", func() bool { return strings.Contains(s.problem("panel"), "sekimori reload --accept panel") })
	if err := s.k.Accept(ctx, "other"); err == nil || !strings.Contains(err.Error(), `there is no source "other"`) {
		t.Error(err)
	}
	s.start() // a reload alone changes nothing
	if n := s.live.Domains().Len(); n != 40 || s.problem("panel") == "" {
		t.Errorf("%d domains after a reload", n)
	}
	must(t, s.k.Accept(ctx, "panel"))
	if n := s.live.Domains().Len(); n != 3 || s.problem("panel") != "" {
		t.Errorf("%d domains, %s", n, s.problem("panel"))
	}
	s.write("list", "\x00")
	s.waitFor("it is broken", func() bool { return s.problem("panel") != "" })
	if err := s.k.Accept(ctx, "panel"); err == nil || !strings.Contains(err.Error(), "is not let go") || s.live.Domains().Len() != 3 {
		t.Errorf("%v, %d domains", err, s.live.Domains().Len())
	}
}

// A start with a broken source needs to know what it had.
func TestStartBroken(t *testing.T) {
	s := newStand(t, Source{Name: "panel", Kind: List, Paths: []string{"DIR/list"}}, Source{Name: "more", Kind: List, Paths: []string{"DIR/more"}})
	s.write("more", "more.example\n")
	if err := s.open(); err == nil || !strings.Contains(err.Error(), "source panel is broken, and nothing is known of what it had") || strings.Contains(err.Error(), "source more") {
		t.Fatal(err)
	}
	s.write("list", lines(0, 40))
	s.start()
	s.k.Stop()
	restart := func() {
		s.k, s.live, s.log = nil, &filter.Live{}, &lockedLog{}
		s.o.Live, s.o.Log = s.live, slog.New(slog.NewJSONHandler(s.log, nil))
	}

	restart()
	s.write("list", "")
	s.start()
	if s.live.Domains().Len() != 41 || !strings.Contains(s.problem("panel"), "has only 0 of its 40") {
		t.Errorf("%d domains, %s", s.live.Domains().Len(), s.problem("panel"))
	}
	s.k.Stop()

	restart()
	must(t, os.Remove(filepath.Join(s.dir, "list")))
	s.start()
	if s.live.Domains().Len() != 41 || !strings.Contains(s.problem("panel"), "no such file") {
		t.Errorf("%d domains, %s", s.live.Domains().Len(), s.problem("panel"))
	}
	s.k.Stop()

	restart()
	s.write("other", "other.example\n")
	s.o.Sources[0].Paths = []string{filepath.Join(s.dir, "other")}
	s.start() // another file: the copy says nothing about it
	if got := maps.Collect(s.live.Domains().All()); len(got) != 2 {
		t.Errorf("%v", got)
	}
	s.k.Stop()

	restart()
	copied := filepath.Join(s.dir, "copies", "panel.list")
	text, err := os.ReadFile(copied)
	must(t, err)
	must(t, os.WriteFile(copied, text[:len(text)-3], 0o600))
	must(t, os.Remove(filepath.Join(s.dir, "other")))
	if err := s.open(); err == nil || !strings.Contains(err.Error(), "the copy is damaged") {
		t.Error(err)
	}
}

// The first source that names a customer has it; inline domains name none.
func TestCustomersOfSeveralSources(t *testing.T) {
	s := newStand(t, Source{Name: "a", Kind: CPanel, Paths: []string{"DIR/a"}}, Source{Name: "b", Kind: List, Paths: []string{"DIR/b-*"}},
		Source{Name: "c", Kind: Directory, Paths: []string{"DIR/c"}})
	s.o.Inline = []string{"Inline.example", "one.example"}
	s.write("a", "one.example: alice\ntwo.example:\n")
	s.write("b-1", "one.example bob\ntwo.example bob\n")
	s.write("b-2", "three.example\n")
	s.write("c/carol", "# hers\nfour.example\nthree.example\n")
	s.write("c/dan.txt", "five.example dan-other\n")
	s.write("c/.hidden", "hidden.example\n")
	s.write("c/dan.txt~", "backup.example\n")
	must(t, os.Symlink("../a", filepath.Join(s.dir, "c", "eve")))
	s.start()
	want := map[string]string{"inline.example": "", "one.example": "alice", "two.example": "bob", "three.example": "carol", "four.example": "carol", "five.example": "dan"}
	if got := maps.Collect(s.live.Domains().All()); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if !strings.Contains(s.log.String(), "source b: one.example is of the customer alice already, not of bob") {
		t.Errorf("log\n%s", s.log)
	}
	if !strings.Contains(s.problem("c"), "eve") {
		t.Errorf("a link out of the directory: %q", s.problem("c"))
	}
	must(t, os.Remove(filepath.Join(s.dir, "c", "eve")))
	s.write("c/carol", "\x00")
	s.write("c/frank", "six.example\n")
	s.soon("a broken file holds up nobody else", func() bool { return s.has("six.example") })
	s.waitFor("it is told", func() bool { return strings.Contains(s.problem("c"), "carol: has NUL bytes") })
	time.Sleep(2 * s.o.RemovalDelay)
	if !s.has("four.example") {
		t.Error("four.example has lost its protection")
	}
}

func TestInlineRefuses(t *testing.T) {
	for _, d := range []string{"com", "co.jp", "192.0.2.1", "a b", ""} {
		s := newStand(t)
		s.o.Inline = []string{d}
		if err := s.open(); err == nil {
			t.Errorf("%q was taken", d)
		}
	}
}
