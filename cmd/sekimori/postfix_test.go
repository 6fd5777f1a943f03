package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

// postfix is a real Postfix with its own configuration, queue and port, which
// delivers for example.net into Maildirs.
type postfix struct {
	Addr string // of its smtpd
	dir  string
}

// startPostfix runs it until the test ends. extra is added to main.cf.
func startPostfix(t *testing.T, extra string) *postfix {
	t.Helper()
	_, err := exec.LookPath("postfix")
	peer.Require(t, err == nil, "Postfix is not installed (Debian: apt-get install postfix)")
	peer.Require(t, os.Geteuid() == 0, "Postfix starts only as root")
	dir, err := os.MkdirTemp("", "sekimori-postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{Addr: freeAddr(t), dir: dir}
	p.write(t, extra)
	p.command(t, "start")
	t.Cleanup(func() { p.command(t, "stop") })
	waitFor(t, "Postfix listens on "+p.Addr, func() bool {
		c, err := net.Dial("tcp", p.Addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return p
}

func (p *postfix) write(t *testing.T, extra string) {
	t.Helper()
	u, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, d := range []string{"etc", "queue", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(p.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"data", "mail"} {
		if err := os.Chown(filepath.Join(p.dir, d), uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	main := fmt.Sprintf(`compatibility_level = 3.6
myhostname = mta.example.net
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file_prefixes = %[1]s
maillog_file = %[1]s/maillog
virtual_mailbox_domains = example.net
virtual_mailbox_base = %[1]s/mail
virtual_mailbox_maps = inline:{ user@example.net=user/, other@example.net=other/ }
virtual_uid_maps = static:%[2]d
virtual_gid_maps = static:%[3]d
virtual_minimum_uid = 1
smtpd_peername_lookup = no
smtpd_relay_restrictions = reject_unauth_destination
local_header_rewrite_clients =
message_size_limit = 52428800
virtual_mailbox_limit = 0
%[4]s
`, p.dir, uid, gid, extra)
	p.file(t, "main.cf", main)
	p.file(t, "master.cf", p.Addr+` inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
`)
}

func (p *postfix) file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "etc", name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (p *postfix) command(t *testing.T, word string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "postfix", "-c", filepath.Join(p.dir, "etc"), word).CombinedOutput()
	if err != nil {
		t.Errorf("postfix %s: %v\n%s%s", word, err, out, p.Log())
	}
}

// Log is all that Postfix wrote.
func (p *postfix) Log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "maillog"))
	return string(b)
}

// Mails gives the messages in a user's mailbox, as Postfix stored them.
func (p *postfix) Mails(t *testing.T, user string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(p.dir, "mail", user, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	var mails []string
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		mails = append(mails, string(b))
	}
	return mails
}

// WaitMail waits for the nth message of a user.
func (p *postfix) WaitMail(t *testing.T, user string, n int) string {
	t.Helper()
	waitFor(t, fmt.Sprintf("message %d of %s", n, user), func() bool { return len(p.Mails(t, user)) >= n })
	return p.Mails(t, user)[n-1]
}

func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		// Below what the kernel gives out by itself on Linux, from 32768 on: no
		// connection of another test takes the port before its server does.
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited 20 s in vain: %s", what)
}

// received cuts off what Postfix put above the message and gives it the line
// ends of mail again.
func received(stored, top string) string {
	if i := strings.Index(stored, top); i >= 0 {
		stored = stored[i:]
	}
	return strings.ReplaceAll(stored, "\n", "\r\n")
}
