package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// A dialogue is a file of lines: `C:` the client says, `S:` we say, `M:` the MTA
// must hear, in this order, `M>` it answers to the line before (its default is
// the usual success), `V:` the verdict on every message (an action, and for
// reject and defer code, enhanced code and text). * stands for anything, \x for
// itself as in Go. `S: end` is the end of the connection. Whatever the MTA hears
// beyond the M lines is an error; EHLO and QUIT go without saying.
type dialogue struct {
	steps   []step
	heard   []string
	answers map[int]string // to heard[i]
	verdict filter.Verdict
}

type step struct {
	line  int
	who   byte
	words string
}

func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("../../testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			play(t, readDialogue(t, file))
		})
	}
}

func readDialogue(t *testing.T, file string) dialogue {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{answers: map[int]string{}, verdict: filter.Verdict{Action: filter.Accept}}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		head, words, _ := strings.Cut(line, " ")
		words, err := strconv.Unquote(`"` + strings.ReplaceAll(words, `"`, `\"`) + `"`)
		if err != nil {
			t.Fatalf("line %d: %v", n+1, err)
		}
		switch head {
		case "C:", "S:":
			d.steps = append(d.steps, step{n + 1, head[0], words})
		case "M:":
			d.heard = append(d.heard, words)
		case "M>":
			d.answers[len(d.heard)-1] += words + "\r\n"
		case "V:":
			d.verdict = readVerdict(t, words)
		default:
			t.Fatalf("line %d: neither C: S: M: M> nor V:", n+1)
		}
	}
	return d
}

func readVerdict(t *testing.T, words string) filter.Verdict {
	t.Helper()
	f := strings.SplitN(words, " ", 4)
	for a := filter.Defer; a <= filter.Reject; a++ {
		if a.String() != f[0] {
			continue
		}
		v := filter.Verdict{Action: a}
		if len(f) == 4 {
			code, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			v.Reply = filter.Reply{Code: code, Enhanced: f[2], Text: f[3]}
		}
		return v
	}
	t.Fatalf("no action %q", f[0])
	return filter.Verdict{}
}

func play(t *testing.T, s dialogue) {
	d := newDoor(t, withTLS(t))
	d.judge(func(*mail.Message) filter.Verdict { return s.verdict })
	d.mta.script(s.answers)
	k := d.dial()
	for _, p := range s.steps {
		if p.who == 'C' {
			k.raw(p.words + "\r\n")
			continue
		}
		line, err := k.r.ReadString('\n')
		if p.words == "end" && err != nil {
			continue
		}
		if line = strings.TrimRight(line, "\r\n"); !glob(p.words, line) {
			t.Fatalf("line %d: we say %q, want %q", p.line, line, p.words)
		}
	}
	var heard []string
	eventuallyQuiet(func() int { heard = d.mta.scripted(); return len(heard) }, len(s.heard))
	for i := range max(len(heard), len(s.heard)) {
		if i >= len(heard) || i >= len(s.heard) || !glob(s.heard[i], heard[i]) {
			t.Fatalf("the MTA heard\n%s\nwant\n%s", numbered(heard), numbered(s.heard))
		}
	}
}

// eventuallyQuiet waits until there are n of something, or long enough.
func eventuallyQuiet(count func() int, n int) {
	for range 100 {
		if count() == n {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func numbered(lines []string) string {
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "%3d %s\n", i+1, l)
	}
	return b.String()
}

// glob tells whether s is as the pattern, in which * is anything.
func glob(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == s
	}
	if !strings.HasPrefix(s, parts[0]) {
		return false
	}
	s = s[len(parts[0]):]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(s, p)
		if i < 0 {
			return false
		}
		s = s[i+len(p):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
