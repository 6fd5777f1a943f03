package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"sekimori/filter/dns"
)

// The mail of these tests comes from 127.0.0.1.
const serveZone = `
example.com.         TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.example.com.  TXT "v=DMARC1; p=reject"
_dmarc.bank.example. TXT "v=DMARC1; p=reject"
attacker.example.    TXT "v=spf1 -all"
10.2.0.192.in-addr.arpa.  PTR mail.sender.example.
mail.sender.example.      A   192.0.2.10
11.2.0.192.in-addr.arpa.  PTR liar.sender.example.
`

// daemon is a running 'sekimori serve' with a configuration file and a real DNS
// server of its own.
type daemon struct {
	addr, admin string
	file        string // its configuration
	service     *service
	log         *lockedBuffer
	stop        func() error // as SIGTERM, and what serve ended with
}

type lockedBuffer struct {
	flush func() // what is on its way; may be nil
	mu    sync.Mutex
	b     bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	if l.flush != nil {
		l.flush()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startDaemon waits until it listens; extra is added to its configuration.
func startDaemon(t *testing.T, upstream, extra string) *daemon {
	t.Helper()
	return startDaemonOn(t, serveZone, upstream, extra)
}

// startDaemonOn has a zone of its own.
func startDaemonOn(t *testing.T, zone, upstream, extra string) *daemon {
	t.Helper()
	d := &daemon{addr: freeAddr(t), admin: freeAddr(t), log: &lockedBuffer{}}
	file := filepath.Join(t.TempDir(), "sekimori.toml")
	door := fmt.Sprintf("listener.address = %q", d.addr)
	if strings.Contains(extra, "[[listener]]") {
		door = ""
	}
	text := fmt.Sprintf(`hostname = "mx.example.net"
%s
upstream.address = %q
dns.servers = [%q]
admin.address = %q
shutdown_timeout = "5s"
%s`, door, upstream, serveDNS(t, zone), d.admin, extra)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.file, d.service = file, &service{file: file, book: newLogbook(d.log, d.log)}
	d.service.log = d.service.book.logger()
	d.log.flush = d.service.book.flush
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.service.serve(ctx) }()
	d.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	waitFor(t, "the daemon listens", func() bool { return d.get("/healthz") == "200 ok" })
	return d
}

// serveDNS answers from a zone on a real socket.
func serveDNS(t *testing.T, text string) string {
	t.Helper()
	z, err := dns.ParseZone("serve.zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	udp, tcp := bothSockets(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := z.Serve(ctx, udp, tcp); err != nil {
			t.Errorf("DNS: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return udp.LocalAddr().String()
}

// bothSockets have one port, which may be taken for one of the two.
func bothSockets(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		udp.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// get gives "code body" of a page on the admin listener.
func (d *daemon) get(path string) string {
	resp, err := http.Get("http://" + d.admin + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(b)))
}

// send plays one transaction on a connection of its own.
func (d *daemon) send(t *testing.T, from, rcpt, data string) string {
	t.Helper()
	s, err := dialSender(d.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.send(from, []string{rcpt}, []byte(data))
}

const honest = "From: \"A\" <a@example.com>\r\n" +
	"Authentication-Results: mx.example.net; dmarc=pass header.from=bank.example\r\n" +
	"X-Sekimori-Verdict: accept; forged\r\n" +
	"To: user@example.net\r\n" +
	"Subject: =?utf-8?B?6Zai5a6I?=\r\n" +
	" folded  twice \r\n" +
	"X-Odd:no space\r\n" +
	"Date: Sun, 01 Nov 2026 00:00:00 +0000\r\n" +
	"Message-ID: <1@example.com>\r\n" +
	"\r\n" +
	".dot at the start\r\n..two dots\r\n\r\n trailing blanks  \t \r\n\x80\xff bytes\r\n.\r\x20\n"

func TestServeBeforePostfix(t *testing.T) {
	p := startPostfix(t, "")
	d := startDaemon(t, p.Addr, "")
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })

	t.Run("an honest message arrives as it was sent", func(t *testing.T) {
		sent := strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n")
		reply := d.send(t, "a@example.com", "user@example.net", sent)
		queued := regexp.MustCompile(`^250 2\.0\.0 Ok: queued as ([0-9A-Za-z]+)$`).FindStringSubmatch(reply)
		if queued == nil {
			t.Fatalf("reply %q", reply)
		}
		got := received(p.WaitMail(t, "user", 1), "Authentication-Results: mx.example.net;")
		if !strings.Contains(p.Log(), queued[1]+": to=<user@example.net>") {
			t.Errorf("queue id %s is not Postfix's:\n%s", queued[1], p.Log())
		}
		added, rest, _ := strings.Cut(got, "From: \"A\"")
		wanted := strings.ReplaceAll(sent, "Authentication-Results: mx.example.net; dmarc=pass header.from=bank.example\r\n", "")
		wanted = strings.ReplaceAll(wanted, "X-Sekimori-Verdict: accept; forged\r\n", "")
		if "From: \"A\""+rest != wanted {
			t.Errorf("changed on the way:\n%q\nwant\n%q", "From: \"A\""+rest, wanted)
		}
		for _, field := range []string{"dmarc=pass", "header.from=example.com", "X-Sekimori-Verdict: accept;\r\n reason=dmarc_pass", "Received: from mx.example.com ([127.0.0.1])"} {
			if !strings.Contains(added, field) {
				t.Errorf("no %q in\n%s", field, added)
			}
		}
	})

	t.Run("an unknown user is Postfix's to refuse", func(t *testing.T) {
		reply := d.send(t, "a@example.com", "nobody@example.net", honest)
		if !strings.HasPrefix(reply, "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown") {
			t.Errorf("reply %q", reply)
		}
	})

	t.Run("relaying is Postfix's to refuse", func(t *testing.T) {
		reply := d.send(t, "a@example.com", "x@elsewhere.example", honest)
		if !strings.HasPrefix(reply, "554 5.7.1") {
			t.Errorf("reply %q", reply)
		}
	})

	t.Run("a spoof never reaches it", func(t *testing.T) {
		reply := d.send(t, "x@attacker.example", "user@example.net", "From: ceo@bank.example\r\nSubject: spoofed\r\n\r\npay\r\n")
		for _, word := range []string{"550 5.7.26", "DMARC", "bank.example", "SPF fail for attacker.example"} {
			if !strings.Contains(reply, word) {
				t.Errorf("no %q in %q", word, reply)
			}
		}
		if n := strings.Count(p.Log(), "(queue active)"); n != 1 {
			t.Errorf("Postfix took %d messages, want the honest one only:\n%s", n, p.Log())
		}
	})

	t.Run("both are counted and logged", func(t *testing.T) {
		page := d.get("/metrics") + "\n"
		for _, line := range []string{
			`sekimori_messages_total{action="accept",reason="dmarc_pass"} 1`,
			`sekimori_messages_total{action="reject",reason="dmarc_fail_reject"} 1`,
			`sekimori_outcomes_total{outcome="delivered"} 1`,
			`sekimori_upstream_up{upstream="` + p.Addr + `"} 1`,
		} {
			if !strings.Contains(page, line+"\n") {
				t.Errorf("no %s in\n%s", line, page)
			}
		}
		if n := strings.Count(d.log.String(), `"event.dataset":"sekimori.message"`); n != 2 {
			t.Errorf("%d lines for 2 messages:\n%s", n, d.log.String())
		}
	})

	t.Run("Postfix goes and comes", func(t *testing.T) {
		p.command(t, "stop")
		if reply := d.send(t, "a@example.com", "user@example.net", honest); !strings.HasPrefix(reply, "451 4.4.1") {
			t.Errorf("reply %q", reply)
		}
		waitFor(t, "not ready", func() bool { return strings.HasPrefix(d.get("/readyz"), "503 the MTA does not answer") })
		p.command(t, "start")
		waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
		reply := d.send(t, "a@example.com", "other@example.net", strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n"))
		if !strings.HasPrefix(reply, "250 ") {
			t.Errorf("reply %q", reply)
		}
	})
}

// A daemon whose MTA was never there says so and takes nothing.
func TestServeWithoutMTA(t *testing.T) {
	d := startDaemon(t, freeAddr(t), "")
	waitFor(t, "not ready", func() bool { return strings.HasPrefix(d.get("/readyz"), "503 the MTA does not answer") })
	if reply := d.send(t, "a@example.com", "user@example.net", honest); !strings.HasPrefix(reply, "451 4.4.1") {
		t.Errorf("reply %q", reply)
	}
	if err := d.stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if page := d.get("/healthz"); strings.HasPrefix(page, "200") {
		t.Errorf("it still serves: %s", page)
	}
}
