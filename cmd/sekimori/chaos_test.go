package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var queuedAs = regexp.MustCompile(`^250 2\.0\.0 Ok: queued as ([0-9A-Za-z]+)$`)

// book is the ledger before a real Postfix: queue ids told, by message.
type book struct {
	told map[string][]string // by nonce
	ends map[string]int      // how often the end of a message was sent and no 250 heard
}

func (b *book) letter(n int) (nonce string, wire []byte) {
	nonce = fmt.Sprintf("N%04dZ", n)
	text := "From: a@example.com\r\nSubject: " + nonce + "\r\n\r\n" + strings.Repeat(nonce+" line\r\n", 2000) + "end " + nonce + "\r\n"
	return nonce, stuffed([]byte(text))
}

func (b *book) note(nonce, reply string) bool {
	if m := queuedAs.FindStringSubmatch(reply); m != nil {
		b.told[nonce] = append(b.told[nonce], m[1])
		return true
	}
	b.ends[nonce]++
	return false
}

// Postfix is killed, stopped and started anew while clients are at every step of
// a transaction. They go on until they are told 250: then each message is in the
// mailbox under the queue id that was told, whole, once; a second copy only where
// the reply to the first was lost.
func TestPostfixDies(t *testing.T) {
	p := startPostfix(t, "smtpd_end_of_data_restrictions = check_sender_access inline:{ { slow@example.com = sleep 1 } }\nservice_throttle_time = 1s")
	d := startDaemon(t, p.Addr, "")
	b := &book{told: map[string][]string{}, ends: map[string]int{}}
	n := 0
	for name, strike := range map[string]func(){
		"killed":  func() { p.kill(t, "smtpd") },
		"stopped": func() { p.command(t, "stop"); p.command(t, "start") },
	} {
		var rest []func()
		for _, step := range transactionSteps[:6] {
			n++
			nonce, wire := b.letter(n)
			s := d.connect(t)
			s.upTo(0, step, "slow@example.com", wire)
			rest = append(rest, func() {
				reply := s.upTo(1+slices.Index(transactionSteps, step), "reply", "slow@example.com", wire)
				if reply[0] == '5' {
					t.Errorf("%s at %s: %q", name, step, reply)
				}
				b.note(nonce, reply)
				s.conn.Close()
				b.insist(t, d, nonce, wire)
			})
		}
		time.Sleep(300 * time.Millisecond) // Postfix holds the answer to the last one back for a second
		strike()
		for _, goOn := range rest {
			goOn()
		}
	}
	b.settle(t, p)
}

var transactionSteps = []string{"EHLO", "MAIL", "RCPT", "DATA", "body", "end", "reply"}

// connect waits for the MTA if need be.
func (d *daemon) connect(t *testing.T) *sender {
	t.Helper()
	s, err := dialSender(d.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// upTo goes from one step of a transaction to another and gives the last reply.
func (s *sender) upTo(at int, to, from string, wire []byte) (reply string) {
	half := len(wire) / 2
	for _, step := range transactionSteps[at : 1+slices.Index(transactionSteps, to)] {
		switch step {
		case "MAIL":
			reply = s.command("MAIL FROM:<%s>", from)
		case "RCPT":
			reply = s.command("RCPT TO:<user@example.net>")
		case "DATA":
			reply = s.command("DATA")
		case "body":
			_, _ = s.conn.Write(wire[:half])
		case "end":
			_, _ = s.conn.Write(wire[half:])
		case "reply":
			return s.read()
		}
		if reply != "" && reply[0] > '3' {
			return reply
		}
	}
	return reply
}

// insist sends the message until it is told 250.
func (b *book) insist(t *testing.T, d *daemon, nonce string, wire []byte) {
	t.Helper()
	if len(b.told[nonce]) > 0 {
		return
	}
	waitFor(t, nonce+" is taken", func() bool {
		s := d.connect(t)
		defer s.close()
		return b.note(nonce, s.upTo(0, "reply", "a@example.com", wire))
	})
}

func (b *book) settle(t *testing.T, p *postfix) {
	t.Helper()
	copies := func() map[string]int {
		found := map[string]int{}
		for _, m := range p.Mails(t, "user") {
			nonce := regexp.MustCompile(`N[0-9]{4}Z`).FindString(m)
			if !strings.HasSuffix(m, "end "+nonce+"\n") || strings.Count(m, nonce) != 2002 {
				t.Errorf("%s was cut or altered", nonce)
			}
			found[nonce]++
		}
		return found
	}
	waitFor(t, "all is in the mailbox", func() bool { return len(copies()) == len(b.told) })
	time.Sleep(200 * time.Millisecond) // for one too many
	for nonce, n := range copies() {
		if len(b.told[nonce]) != 1 || n < 1 || n > 1+b.ends[nonce] {
			t.Errorf("%s: told %q, %d copies, %d times no 250", nonce, b.told[nonce], n, b.ends[nonce])
		}
		if n > 1 {
			t.Logf("%s has a second copy, after %d times without a 250", nonce, b.ends[nonce])
		}
	}
	log := p.Log()
	for nonce, ids := range b.told {
		if !strings.Contains(log, ids[0]+": to=<user@example.net>") {
			t.Errorf("%s: queue id %s is not Postfix's", nonce, ids[0])
		}
	}
}

// kill ends the processes of one of Postfix's programs at once.
func (p *postfix) kill(t *testing.T, program string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "queue", "pid", "master.pid"))
	if err != nil {
		t.Fatal(err)
	}
	master := strings.TrimSpace(string(text))
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		f := strings.Fields(string(stat)) // pid (name) state parent ...
		if len(f) < 4 || f[1] != "("+program+")" || f[3] != master {
			continue
		}
		if pid, err := strconv.Atoi(f[0]); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
