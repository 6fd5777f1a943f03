package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const (
	limitFileSize  = 1 // RLIMIT_FSIZE
	limitOpenFiles = 7 // RLIMIT_NOFILE
)

// limit changes what a running process may have.
func (p *process) limit(what int, most uint64) {
	p.t.Helper()
	var l syscall.Rlimit // as ours, which it has inherited
	if err := syscall.Getrlimit(what, &l); err != nil {
		p.t.Fatal(err)
	}
	l.Cur = min(most, l.Max)
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(p.cmd.Process.Pid), uintptr(what), uintptr(unsafe.Pointer(&l)), 0, 0, 0)
	if e != 0 {
		p.t.Fatal("prlimit: ", e)
	}
}

// descriptors counts the open files of a process.
func (p *process) descriptors() int {
	p.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(open)
}

// large makes a message that needs the disk.
func large() []byte {
	return []byte("From: a@example.com\r\nSubject: large\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef\r\n", 20_000))
}

var small = []byte("From: a@example.com\r\nSubject: small\r\n\r\nx\r\n")

// count is the ledger of a process: what clients were told, by the first digits.
type count struct {
	mu   sync.Mutex
	told map[string]int
}

func (c *count) add(reply string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told == nil {
		c.told = map[string]int{}
	}
	c.told[reply[:min(3, len(reply))]]++
	return reply
}

// balance: each 250 is a message at the MTA, and there are no others.
func (c *count) balance(t *testing.T, m *demoMTA) {
	t.Helper()
	if n := m.received(); n != c.told["250"] {
		t.Errorf("the MTA has %d messages, clients were told %v", n, c.told)
	}
}

// A process without a file descriptor left refuses for a while what it cannot
// do, takes nothing on that it does not pass on, and is as before afterwards.
func TestOutOfDescriptors(t *testing.T) {
	l := newLife(t)
	l.write("listener.max_connections_per_client = 500")
	p := l.start(nil)
	var told count
	fresh, warm := l.dial(), l.dial()
	if got := told.add(warm.send("a@example.com", []string{"user@example.net"}, small)); !positive(got) {
		t.Fatal(got)
	}
	waitFor(t, "the process is idle", func() bool { return l.get("sekimori_connections") == 2 })
	before := p.descriptors()
	p.limit(limitOpenFiles, uint64(before+10))
	var idle []net.Conn
	defer func() {
		for _, c := range idle {
			c.Close()
		}
	}()
	for range 60 {
		c, err := net.Dial("tcp", l.addr)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	waitFor(t, "it has noticed", func() bool { return strings.Contains(p.log.String(), "cannot accept a connection") })
	for name, s := range map[string]*sender{"fresh": fresh, "warm": warm} {
		if got := told.add(s.send("a@example.com", []string{"user@example.net"}, large())); got[0] != '4' {
			t.Errorf("%s, large: %q", name, got)
		}
		if got := told.add(s.send("a@example.com", []string{"user@example.net"}, small)); got[0] == '5' {
			t.Errorf("%s, small: %q", name, got)
		}
	}
	for _, c := range idle {
		c.Close()
	}
	waitFor(t, "mail flows again", func() bool {
		s, err := dialSender(l.addr, netipNone, "mx.example.com")
		if err != nil {
			return false
		}
		defer s.close()
		return positive(told.add(s.send("a@example.com", []string{"user@example.net"}, large())))
	})
	fresh.close()
	warm.close()
	waitFor(t, "nothing is left open", func() bool { return p.descriptors() <= before })
	told.balance(t, l.mta)
}

// A file system that takes no more: the client keeps its mail, and what needs no
// file goes through.
func TestNoRoomForFiles(t *testing.T) {
	l := newLife(t)
	p := l.start(nil)
	p.limit(limitFileSize, 100<<10)
	var told count
	s := l.dial()
	for range 3 {
		if got := told.add(s.send("a@example.com", []string{"user@example.net"}, large())); !strings.HasPrefix(got, "452 4.3.1 ") {
			t.Errorf("large: %q", got)
		}
		if got := told.add(s.send("a@example.com", []string{"user@example.net"}, small)); !positive(got) {
			t.Errorf("small: %q", got)
		}
	}
	p.limit(limitFileSize, ^uint64(0))
	if got := told.add(s.send("a@example.com", []string{"user@example.net"}, large())); !positive(got) {
		t.Errorf("large, with room: %q", got)
	}
	told.balance(t, l.mta)
}

// get gives a number of the metrics page, -1 where there is none.
func (l *life) get(name string) float64 {
	page := (&daemon{admin: l.admin}).get("/metrics")
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(page)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return -1
	}
	return v
}

// Ten thousand clients that have said EHLO and then nothing cost little, and
// keep nobody out. Fewer where the system allows this process fewer.
func TestIdleConnections(t *testing.T) {
	n := 10_000
	var allowed syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &allowed); err != nil {
		t.Fatal(err)
	}
	if room := int(min(allowed.Cur, 1<<30)) - 500; room < n {
		n = room
	}
	l := newLife(t)
	l.write("listener.max_connections = 20000\nlistener.max_connections_per_client = 20000")
	l.start(nil)
	heap := func() float64 { return l.get("go_memstats_heap_inuse_bytes") + l.get("go_memstats_stack_inuse_bytes") }
	before := heap()
	began := time.Now()
	idle := idlers(t, l.addr, n)
	if got := l.get("sekimori_connections"); got != float64(n) {
		t.Errorf("%v connections, want %d", got, n)
	}
	each := (heap() - before) / float64(n)
	t.Logf("%d connections within %s, %.0f octets of memory each", n, time.Since(began).Round(time.Millisecond), each)
	if each > 64<<10 {
		t.Errorf("%.0f octets each", each)
	}
	began = time.Now()
	if got := l.dial().send("a@example.com", []string{"user@example.net"}, small); !positive(got) {
		t.Errorf("one more: %q", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("one message took %s", took)
	}
	for _, c := range idle {
		c.Close()
	}
	waitFor(t, "they are gone", func() bool { return l.get("sekimori_connections") <= 1 })
}

// idlers connects n times and says EHLO.
func idlers(t *testing.T, addr string, n int) []net.Conn {
	t.Helper()
	idle := make([]net.Conn, n)
	var all sync.WaitGroup
	for w := range 50 {
		all.Go(func() {
			for i := w; i < n; i += 50 {
				c, err := net.DialTimeout("tcp", addr, 10*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				idle[i] = c
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				r := bufio.NewReaderSize(c, 512)
				if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "220") {
					t.Errorf("%q, %v", line, err)
					return
				}
				_, _ = io.WriteString(c, "EHLO idle.example\r\n")
				for line := "250-"; strings.HasPrefix(line, "250-"); {
					line, _ = r.ReadString('\n')
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return idle
}
