package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// talk says lines, each after a reply, and gives all replies.
func talk(t *testing.T, c net.Conn, first string, lines ...string) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, first); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	var all strings.Builder
	for i := 0; i <= len(lines); i++ {
		for {
			line, err := r.ReadString('\n')
			all.WriteString(line)
			if err != nil {
				return all.String()
			}
			if len(line) > 3 && line[3] == ' ' {
				break
			}
		}
		if i < len(lines) {
			_, _ = io.WriteString(c, lines[i]+"\r\n")
		}
	}
	return all.String()
}

// One daemon, five doors, each with keys of its own.
func TestListenersOfOneDaemon(t *testing.T) {
	dir := t.TempDir()
	cert, key := localhostPair(t, dir)
	p := startPostfix(t, "")
	addr := map[string]string{"starttls": freeAddr(t), "implicit": freeAddr(t), "balanced": freeAddr(t), "limited": freeAddr(t)}
	socket := filepath.Join(dir, "smtp.sock")
	d := startDaemon(t, p.Addr, fmt.Sprintf(`
[[listener]]
name = "starttls"
address = %q
tls_certificate = %q
tls_key = %q
tls_client_ca = %q
max_recipients = 7
[[listener]]
name = "implicit"
address = %q
tls = "implicit"
tls_certificate = %q
tls_key = %q
tls_min_version = "1.3"
[[listener]]
name = "balanced"
address = %q
proxy_protocol.trusted = ["127.0.0.0/8"]
proxy_protocol.timeout = "300ms"
[[listener]]
name = "limited"
address = %q
connection_rate = "2/h"
greet_delay = "200ms"
max_message_size = "64KiB"
[[listener]]
name = "local"
address = "unix:%s"
socket_mode = "0600"
`, addr["starttls"], cert, key, cert, addr["implicit"], cert, key, addr["balanced"], addr["limited"], socket))
	dial := func(name string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", addr[name])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	message := []string{"EHLO mx.example.com", "MAIL FROM:<a@example.com>", "RCPT TO:<user@example.net>", "DATA",
		"From: a@example.com\r\nTo: user@example.net\r\nSubject: x\r\nDate: Sun, 01 Nov 2026 00:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nx\r\n.", "QUIT"}

	t.Run("STARTTLS with a client certificate", func(t *testing.T) {
		c := dial("starttls")
		said := talk(t, c, "", "EHLO mx.example.com", "STARTTLS")
		if !strings.Contains(said, "STARTTLS") || !strings.Contains(said, "RCPTMAX=7") {
			t.Fatalf("said %q", said)
		}
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		k := tls.Client(c, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}})
		if _, err := io.WriteString(k, message[0]+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if said := talk(t, k, "", message[1:]...); !strings.Contains(said, "\r\n250 2.0.0 Ok: queued as ") {
			t.Fatalf("said %q", said)
		}
		for _, word := range []string{`"sekimori.listener":"starttls"`, `"tls.client.subject":"CN=test authority","tls.client.hash.sha256":"`, `"sekimori.tls.client_verified":true`} {
			if !strings.Contains(d.log.String(), word) {
				t.Errorf("no %s in the log", word)
			}
		}
	})
	t.Run("implicit TLS, 1.3 only", func(t *testing.T) {
		k := tls.Client(dial("implicit"), &tls.Config{InsecureSkipVerify: true})
		if said := talk(t, k, "", message...); !strings.Contains(said, "\r\n250 2.0.0 Ok: queued as ") {
			t.Errorf("said %q", said)
		}
		old := tls.Client(dial("implicit"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err := old.Handshake(); err == nil {
			t.Error("TLS 1.2 is spoken")
		}
	})
	t.Run("PROXY", func(t *testing.T) {
		if said := talk(t, dial("balanced"), "PROXY TCP4 192.0.2.77 192.0.2.1 4711 25\r\n", message...); !strings.Contains(said, "\r\n550 5.7.") && !strings.Contains(said, "SPF") {
			t.Errorf("192.0.2.77 is no host of example.com, but said %q", said)
		}
		if !strings.Contains(d.log.String(), `"source.ip":"192.0.2.77"`) {
			t.Error("the log does not know the client")
		}
		if said := talk(t, dial("balanced"), ""); !strings.HasPrefix(said, "421 4.3.5") {
			t.Errorf("without a header: %q", said)
		}
		if said := talk(t, dial("starttls"), "PROXY TCP4 192.0.2.77 192.0.2.1 4711 25\r\n", "NOOP"); !strings.Contains(said, "554 5.7.1 no PROXY header") {
			t.Errorf("where nobody is trusted: %q", said)
		}
	})
	t.Run("limits", func(t *testing.T) {
		if said := talk(t, dial("limited"), "", "EHLO x.example", "QUIT"); !strings.Contains(said, "SIZE 65537") && !strings.Contains(said, "SIZE 65536") {
			t.Errorf("said %q", said)
		}
		if said := talk(t, dial("limited"), "EHLO x.example\r\n"); !strings.HasPrefix(said, "554 5.5.1 you spoke before the greeting") {
			t.Errorf("said %q", said)
		}
		if said := talk(t, dial("limited"), ""); !strings.HasPrefix(said, "421 4.7.0 too many connections") {
			t.Errorf("said %q", said)
		}
	})
	t.Run("unix socket", func(t *testing.T) {
		if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", info, err)
		}
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// Who has no address passes no SPF, so DMARC would refuse example.com.
		unsigned := strings.Split(strings.ReplaceAll(strings.Join(message, "\x00"), "example.com", "plain.example"), "\x00")
		if said := talk(t, c, "", unsigned...); !strings.Contains(said, "250 2.0.0 Ok: queued as ") {
			t.Errorf("said %q", said)
		}
	})
	t.Run("all is counted", func(t *testing.T) {
		page := d.get("/metrics") + "\n"
		for _, line := range []string{
			`sekimori_connections_total{result="refused_proxy_header"} 1`, `sekimori_connections_total{result="refused_proxy_forged"} 1`,
			`sekimori_connections_total{result="refused_early_talker"} 1`, `sekimori_connections_total{result="refused_rate"} 1`,
			`sekimori_connections_total{result="refused_tls"} 1`,
		} {
			if !strings.Contains(page, "\n"+line+"\n") {
				t.Errorf("no %s", line)
			}
		}
	})
}
