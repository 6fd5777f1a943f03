package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestBenchRefusesTargets(t *testing.T) {
	for _, c := range []struct {
		flags benchFlags
		want  string
	}{
		{benchFlags{target: "192.0.2.1:25"}, "--target 192.0.2.1:25 is 192.0.2.1, another host: give --yes-load-this-host"},
		{benchFlags{target: "[2001:db8::1]:25"}, "another host"},
		{benchFlags{target: "192.0.2.1:25", stranger: true}, ""},
		{benchFlags{target: "127.9.9.9:25"}, ""},
		{benchFlags{target: "[::1]:25"}, ""},
		{benchFlags{target: ":25"}, `--target ":25" is not HOST:PORT`},
		{benchFlags{target: "0.0.0.0:25"}, "is not HOST:PORT"},
		{benchFlags{target: "127.0.0.1:0"}, "is not HOST:PORT"},
		{benchFlags{target: "127.0.0.1"}, "missing port"},
		{benchFlags{target: "[::ffff:192.0.2.1]:25"}, "another host"},
		{benchFlags{from: "no address"}, "--from"},
		{benchFlags{rcpts: []string{"a@example.net", "b c"}}, "--rcpt"},
		{benchFlags{messages: -1}, "--messages -1"},
		{benchFlags{duration: -1}, "--duration"},
		{benchFlags{size: 65 << 20}, "--size 68157440 is out of range"},
		{benchFlags{size: 1, corpus: "."}, "exclude each other"},
	} {
		c.flags.concurrency, c.flags.perConnection = 1, 1
		err := c.flags.validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.flags, err, c.want)
		}
	}
	for _, f := range []benchFlags{{concurrency: 0, perConnection: 1}, {concurrency: 10_001, perConnection: 1}, {concurrency: 1, perConnection: 0}} {
		if f.validate() == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// The load that a name leads to is sent to the address that was looked at.
func TestBenchTargetIsResolvedOnce(t *testing.T) {
	f := benchFlags{target: "localhost:25", concurrency: 1, perConnection: 1}
	if err := f.validate(); err != nil {
		t.Fatal(err)
	}
	if f.target != "127.0.0.1:25" && f.target != "[::1]:25" {
		t.Errorf("target %q", f.target)
	}
}

// scripted is an SMTP server that says what reply wants for the nth word of all
// connections together; "" hangs up. "." is the end of a message.
func scripted(t *testing.T, reply func(verb string, n int) string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	n := map[string]int{}
	say := func(c net.Conn, verb string) bool {
		n[verb]++
		words := reply(verb, n[verb])
		_, err := io.WriteString(c, words)
		return err == nil && words != ""
	}
	go func() {
		for { // one after the other
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			for ok := say(c, "connect"); ok; {
				line, err := r.ReadString('\n')
				verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
				ok = err == nil && say(c, verb) && (verb != "DATA" || swallow(r) && say(c, "."))
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func TestBenchCountsReplies(t *testing.T) {
	var resets atomic.Int64
	addr := scripted(t, func(verb string, n int) string {
		switch {
		case verb == "RSET":
			resets.Add(1)
		case verb == "connect" && n == 2:
			return "421 4.3.2 too many\x1b[2J connections\r\n"
		case verb == "connect":
			return "220 here\r\n"
		case verb == "DATA":
			return "354 go on\r\n"
		case verb == "MAIL" && n == 2:
			return "451 4.4.1 later\r\n"
		case verb == "RCPT" && n == 2:
			return "550 5.1.1 unknown\r\n"
		case verb == "." && n == 2:
			return "552-5.3.4 too\r\n552 5.3.4 large\r\n"
		case verb == "." && n == 3:
			return ""
		}
		return "250 ok\r\n"
	})
	f := benchFlags{target: addr, messages: 7, concurrency: 1, perConnection: 5, rcpts: []string{"a@example.net", "b@example.net"}, size: 2000}
	mail, err := f.mail()
	if err != nil {
		t.Fatal(err)
	}
	// The first connection brings 550, 451, 250, 552 and is lost; the second is
	// refused; the third brings 250.
	r := f.remote(t.Context(), mail, io.Discard)
	got := map[string]int{}
	for _, c := range r.Replies {
		got[c.Code] = c.Messages
		if strings.ContainsRune(c.Example, '\x1b') {
			t.Errorf("a terminal would obey %q", c.Example)
		}
	}
	want := map[string]int{"250": 2, "421": 1, "451": 1, "550": 1, "552": 1, "lost": 1}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("replies %v, want %v", got, want)
	}
	if r.Messages != 7 || r.Accepted != 2 || r.Bytes != 2*int64(len(mail.letters[0].wire)) || r.Connections != 2 {
		t.Errorf("%+v", r)
	}
	if n := resets.Load(); n != 3 {
		t.Errorf("%d times RSET after three refusals", n)
	}
	if err := r.verdict(); err != nil {
		t.Errorf("verdict %v", err)
	}
}

func TestBenchNothingAccepted(t *testing.T) {
	f := benchFlags{target: freeAddr(t), messages: 2, concurrency: 1, perConnection: 1, size: 100}
	mail, err := f.mail()
	if err != nil {
		t.Fatal(err)
	}
	r := f.remote(t.Context(), mail, io.Discard)
	if len(r.Replies) != 1 || r.Replies[0].Code != "none" || r.Replies[0].Messages != 2 {
		t.Errorf("replies %+v", r.Replies)
	}
	if err := r.verdict(); err == nil || err.Error() != "no message was accepted" {
		t.Errorf("verdict %v", err)
	}
}

// A server that falls silent does not hold the load beyond its end.
func TestBenchEndsBeforeSilence(t *testing.T) {
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	for _, at := range []string{"connect", "EHLO", "MAIL", "."} {
		addr := scripted(t, func(verb string, _ int) string {
			if verb == at {
				<-block
			}
			return map[string]string{"connect": "220 x\r\n", "DATA": "354 x\r\n"}[verb] + strings.Repeat("250 x\r\n", strings.Count("EHLOMAILRCPT.", verb))
		})
		l := &load{addr: addr, letters: []letter{newLetter("a@example.com", []string{"b@example.net"}, []byte("a: b\r\n\r\n"))},
			concurrency: 2, perConnection: 1, grace: 20 * time.Millisecond, tally: newTally()}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if took := l.run(ctx); took > 5*time.Second {
			t.Errorf("%s: ended after %s", at, took)
		}
		cancel()
		if l.tally.accepted != 0 {
			t.Errorf("%s: accepted %d", at, l.tally.accepted)
		}
	}
}

// An interrupt ends a load in good order: what was sent is told and is there.
func TestBenchInterrupted(t *testing.T) {
	s, err := startSink()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	f := benchFlags{target: s.listen.Addr().String(), duration: time.Hour, concurrency: 3, perConnection: 10}
	mail, err := f.mail()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for s.messages.Load() < 50 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r := f.remote(ctx, mail, io.Discard)
	if r.Accepted < 50 || int64(r.Accepted) != s.messages.Load() || len(r.Replies) != 1 {
		t.Errorf("the sink holds %d, the report is %+v", s.messages.Load(), r)
	}
}

func TestBenchVerdict(t *testing.T) {
	at := usage{RSS: 20 << 20, Goroutines: 7, Files: 10}
	for _, c := range []struct {
		name string
		r    benchReport
		want string
	}{
		{"all well", benchReport{Accepted: 3, Sink: &sinkReport{3}, Process: newProcessReport(at, at, at, 0, 3)}, ""},
		{"a message is lost", benchReport{Accepted: 3, Sink: &sinkReport{2}}, "the MTA holds 2 messages, but 3 were accepted"},
		{"a message is there twice", benchReport{Accepted: 3, Sink: &sinkReport{4}}, "the MTA holds 4"},
		{"a reply was lost", benchReport{Accepted: 3, Sink: &sinkReport{4}, Replies: []replyCount{{Code: "lost", Messages: 1}}}, ""},
		{"a goroutine stays", benchReport{Accepted: 3, Process: &processReport{Begin: at, End: usage{at.RSS, 8, 10}}}, "goroutines did not come back: 8 at the end, 7 at the beginning"},
		{"a file stays", benchReport{Accepted: 3, Process: &processReport{Begin: at, End: usage{at.RSS, 7, 11}}}, "file descriptors did not come back"},
		{"memory within its slack", benchReport{Accepted: 3, Process: &processReport{Begin: at, End: usage{28 << 20, 7, 10}}}, ""},
		{"memory stays", benchReport{Accepted: 3, Process: &processReport{Begin: at, End: usage{29 << 20, 7, 10}}}, "memory did not come back: 29.0 MiB at the end, 20.0 MiB at the beginning, slack up to 28.0 MiB"},
	} {
		err := c.r.verdict()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// What stays is seen, what leaves in time is not.
func TestSettled(t *testing.T) {
	begin := settled(usage{})
	if begin.Goroutines == 0 {
		t.Fatal(begin)
	}
	go time.Sleep(time.Second) // longer than it takes to stand still
	if all := settled(begin).beyond(begin); len(all) > 0 {
		t.Error(all)
	}
	if begin.Files == 0 {
		return // no /proc here
	}
	f, err := os.Open(filepath.Join(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if now := currentUsage(); now.Files != begin.Files+1 {
		t.Errorf("%d files after %d", now.Files, begin.Files)
	}
	if begin.RSS < 1<<20 || cpuTime() <= 0 {
		t.Errorf("memory %d, CPU %s", begin.RSS, cpuTime())
	}
}

func TestBenchPrintsBoth(t *testing.T) {
	r := benchReport{Messages: 2, Accepted: 1, Replies: []replyCount{{"250", 1, "250 ok"}, {"lost", 1, "connection lost: EOF"}}, TLS: true,
		Phases: []phaseReport{{"MAIL", 2, .001, .002, .003, .0041}}, Verdicts: map[string]int{"accept: dmarc_pass": 1},
		Process: newProcessReport(usage{1 << 20, 7, 8}, usage{1 << 21, 9, 10}, usage{1 << 20, 7, 8}, 3*time.Second, 2)}
	for asJSON, words := range map[bool][]string{
		false: {"MAIL   2      1.00 ms  2.00 ms  3.00 ms  4.10 ms", "lost   1         connection lost: EOF", "accept: dmarc_pass  1", "memory      1.0 MiB  2.0 MiB  1.0 MiB  9.0 MiB", "1500.00 s for 1,000 messages", ", TLS\n"},
		true:  {`"p99_seconds": 0.003`, `"accept: dmarc_pass": 1`, `"cpu_seconds_per_1000_messages": 1500`},
	} {
		var b bytes.Buffer
		if err := r.print(&b, asJSON); err != nil {
			t.Fatal(err)
		}
		for _, w := range words {
			if !strings.Contains(b.String(), w) {
				t.Errorf("no %q in\n%s", w, b.String())
			}
		}
	}
}
