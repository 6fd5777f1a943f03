package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sekimori/config"
)

// process is 'sekimori serve' as a process of its own, before an MTA in this one.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  *lockedBuffer
	done chan error
}

// life is what processes that follow each other have in common.
type life struct {
	t           *testing.T
	mta         *demoMTA
	dns         string
	addr, admin string
	file        string
}

func newLife(t *testing.T) *life {
	t.Helper()
	m, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	l := &life{t: t, mta: m, dns: serveDNS(t, serveZone), addr: freeAddr(t), admin: freeAddr(t)}
	l.file = filepath.Join(t.TempDir(), "sekimori.toml")
	l.write("")
	return l
}

// write makes the configuration, with extra in it.
func (l *life) write(extra string) {
	l.t.Helper()
	text := fmt.Sprintf("hostname = \"mx.example.net\"\nlistener.address = %q\nupstream.address = %q\ndns.servers = [%q]\nadmin.address = %q\n",
		l.addr, l.mta.listen.Addr(), l.dns, l.admin)
	if !strings.Contains(extra, "shutdown_timeout") {
		text += "shutdown_timeout = \"20s\"\n"
	}
	if err := os.WriteFile(l.file, []byte(text+extra+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// start runs the program until it is ready.
func (l *life) start(env []string, files ...*os.File) *process {
	l.t.Helper()
	p := l.run(env, files...)
	waitFor(l.t, "the process is ready", func() bool { return strings.Contains(p.log.String(), `"message":"ready"`) })
	return p
}

// run runs the program. Its sockets are those of files, if any: the shell
// learns the process id that they are meant for, and becomes the program.
func (l *life) run(env []string, files ...*os.File) *process {
	l.t.Helper()
	script := `exec "$0" "$@"`
	if len(files) > 0 {
		script = `export LISTEN_PID=$$; exec "$0" "$@"`
		env = append(env, fmt.Sprintf("LISTEN_FDS=%d", len(files)))
	}
	program, err := exec.LookPath("sekimori")
	if err != nil {
		l.t.Fatal(err)
	}
	p := &process{t: l.t, log: &lockedBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command("/bin/sh", "-c", script, program, "serve", "--config", l.file, "--control", l.control())
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.ExtraFiles = files
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	l.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if l.t.Failed() {
			l.t.Logf("log of %d:\n%s", p.cmd.Process.Pid, p.log)
		}
	})
	return p
}

func (l *life) control() string { return filepath.Join(filepath.Dir(l.file), "control.sock") }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait gives the exit status, or "late".
func (p *process) wait(limit time.Duration) string {
	select {
	case err := <-p.done:
		p.done <- err
		return p.cmd.ProcessState.String()
	case <-time.After(limit):
		return "late"
	}
}

// dial greets, at whoever accepts.
func (l *life) dial() *sender {
	l.t.Helper()
	s, err := dialSender(l.addr, netipNone, "mx.example.com")
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(s.close)
	return s
}

const (
	letterHead = "From: a@example.com\r\nTo: user@example.net\r\nSubject: life\r\n\r\nfirst half\r\n"
	letterTail = "second half\r\n.\r\n"
)

// half sends a message up to its middle.
func (s *sender) half(t *testing.T) {
	t.Helper()
	for _, line := range []string{"MAIL FROM:<a@example.com>", "RCPT TO:<user@example.net>", "DATA"} {
		if got := s.command("%s", line); got == "" || got[0] != '2' && got[0] != '3' {
			t.Fatalf("%s: %q", line, got)
		}
	}
	if _, err := s.conn.Write([]byte(letterHead)); err != nil {
		t.Fatal(err)
	}
}

// rest sends what half has left, and gives the reply.
func (s *sender) rest(t *testing.T) string {
	t.Helper()
	if _, err := s.conn.Write([]byte(letterTail)); err != nil {
		t.Fatal(err)
	}
	return s.read()
}

// refused tells that nobody listens any more.
func refused(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err != nil
}

func timed(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), 20*time.Second)
}

func newCommonForTest() *common { return newCommon(config.Default()) }
