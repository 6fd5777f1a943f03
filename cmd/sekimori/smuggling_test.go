package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"

	"sekimori/testdata"
)

const innerMail = "MAIL FROM:<admin@example.com>\r\nRCPT TO:<other@example.net>\r\nDATA\r\nFrom: admin@example.com\r\nSubject: smuggled\r\n\r\nsmuggled\r\n"

// Every shape of smuggling toward a Postfix that takes bare newlines as it did
// before 2023: what clients were told is what it holds, and nothing of the
// smuggler's own reaches its mailbox as a message.
func TestSmugglingTowardPostfix(t *testing.T) {
	shapes, err := testdata.LoadShapes(os.DirFS(caseFiles), "smuggling/shapes.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := startPostfix(t, "smtpd_forbid_bare_newline = no\nsmtpd_forbid_unauth_pipelining = no")
	cert, key := localhostPair(t, t.TempDir())
	addr := map[bool]string{false: freeAddr(t), true: freeAddr(t)}
	extra := ""
	for normalize, word := range map[bool]string{false: "reject", true: "normalize"} {
		extra += fmt.Sprintf("[[listener]]\nname = %q\naddress = %q\nbare_newlines = %q\ntls_certificate = %q\ntls_key = %q\nmax_connections_per_client = 1000\n", word, addr[normalize], word, cert, key)
	}
	startDaemon(t, p.Addr, extra)
	told := 0
	for _, s := range shapes {
		for _, how := range []string{"DATA", "DATA in TLS", "BDAT"} {
			for _, normalize := range []bool{false, true} {
				want, _ := s.Want(how == "BDAT", normalize)
				got := smuggle(t, addr[normalize], s, how)
				if !strings.HasPrefix(got, want) {
					t.Errorf("%s by %s, normalize %v: %q, want %s", s.Name, how, normalize, got, want)
				}
				if positive(got) {
					told++
				}
			}
		}
	}
	waitFor(t, "the mail is there", func() bool { return len(p.Mails(t, "user")) >= told })
	time.Sleep(300 * time.Millisecond) // for one too many
	if n := len(p.Mails(t, "user")); n != told {
		t.Errorf("%d messages, clients were told of %d", n, told)
	}
	if n := len(p.Mails(t, "other")); n != 0 || strings.Contains(p.Log(), "from=<admin@example.com>") {
		t.Errorf("%d messages of the smuggler's", n)
	}
	// Without us this Postfix is fooled, so that the test has something to find.
	straight(t, p.Addr, "From: a@example.com\r\n\r\nouter\n.\r\n"+innerMail+".\r\n")
	waitFor(t, "the smuggled message, where nobody stands before Postfix", func() bool { return len(p.Mails(t, "other")) == 1 })
}

// straight sends octets after the 354 and hears all that is said to them.
func straight(t *testing.T, addr, octets string) {
	t.Helper()
	c, err := dialSender(addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	for _, line := range []string{"MAIL FROM:<a@example.com>", "RCPT TO:<user@example.net>", "DATA"} {
		c.command("%s", line)
	}
	fmt.Fprint(c.conn, octets+"QUIT\r\n")
	for got := c.read(); !strings.HasPrefix(got, "connection lost"); got = c.read() {
	}
}

// smuggle plays one shape and gives the reply to it. What follows may not be
// agreed to.
func smuggle(t *testing.T, addr string, s testdata.Shape, how string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := newSender(conn)
	if err := c.greet(netipNone, "mx.example.com"); err != nil {
		t.Fatal(err)
	}
	defer func() { c.conn.Close() }()
	if strings.Contains(how, "TLS") {
		c.command("STARTTLS")
		secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		c.conn, c.text = secured, textproto.NewConn(secured)
		if err := c.hello("mx.example.com"); err != nil {
			t.Fatal(err)
		}
	}
	c.command("MAIL FROM:<a@example.com>")
	c.command("RCPT TO:<user@example.net>")
	text := "From: a@example.com\r\nSubject: " + s.Name + "\r\n\r\n" + strings.Replace(s.Octets, "{inner}", innerMail, 1)
	if how == "BDAT" {
		text = fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text)
	} else {
		c.command("DATA")
		text += ".\r\n"
	}
	if _, err := c.conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	reply := c.read()
	fmt.Fprint(c.conn, "QUIT\r\n")
	for more := c.read(); !strings.HasPrefix(more, "connection lost"); more = c.read() {
		if positive(more) && !strings.HasPrefix(more, "221") {
			t.Errorf("%s by %s: something more was agreed to: %q", s.Name, how, more)
		}
	}
	return reply
}
