package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// startForwarding runs a daemon whose clients are whoever they say they are.
func startForwarding(t *testing.T, p *postfix, extra string) *daemon {
	t.Helper()
	d := startDaemon(t, p.Addr, "listener.proxy_protocol.trusted = [\"127.0.0.1\"]\n"+extra)
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	return d
}

// from sends a message as the client with this address.
func (d *daemon) from(t *testing.T, client, rcpt string) string {
	t.Helper()
	s, err := dialSender(d.addr, netip.MustParseAddr(client), "helo.sender.example")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.send("", []string{rcpt}, []byte("From: a@sender.example\r\nSubject: from "+client+"\r\n\r\nhello\r\n"))
}

// refusesOne is a rule of Postfix's own about its clients.
const refusesOne = "smtpd_client_restrictions = check_client_access inline:{{192.0.2.66=REJECT you are the one}}\n"

// Each way by which a real Postfix learns of the client: what it writes to its
// log and into the message, and that its own rules are about the client.
func TestForwardToPostfix(t *testing.T) {
	for _, c := range []struct {
		way, postfix string
		log          string // of the client 192.0.2.10
		log6         string // of the client 2001:db8::10
		received     string
		refused      string // 192.0.2.66
	}{
		{
			"xclient", "smtpd_authorized_xclient_hosts = 127.0.0.1\n" + refusesOne,
			"client=mail.sender.example[192.0.2.10]", "client=unknown[2001:db8::10]",
			"Received: from helo.sender.example (mail.sender.example [192.0.2.10])\n",
			"554 5.7.1 <unknown[192.0.2.66]>: Client host rejected: you are the one",
		},
		{
			"xforward", "smtpd_authorized_xforward_hosts = 127.0.0.1\n",
			"orig_client=mail.sender.example[192.0.2.10]", "orig_client=unknown[2001:db8::10]",
			"Received: from helo.sender.example ([192.0.2.10])\n",
			"",
		},
		{
			"proxy", "smtpd_upstream_proxy_protocol = haproxy\n" + refusesOne,
			"client=unknown[192.0.2.10]", "client=unknown[2001:db8::10]",
			"(unknown [192.0.2.10])\n",
			"554 5.7.1 <unknown[192.0.2.66]>: Client host rejected: you are the one",
		},
		{
			"received", "header_checks = regexp:{{/^Received: from .*\\[192\\.0\\.2\\.66\\]/ REJECT you are the one}}\n",
			"client=unknown[127.0.0.1]", "client=unknown[127.0.0.1]",
			"Received: from helo.sender.example ([192.0.2.10])\n",
			"550 5.7.1 you are the one",
		},
	} {
		t.Run(c.way, func(t *testing.T) {
			p := startPostfix(t, "inet_protocols = all\n"+c.postfix)
			d := startForwarding(t, p, fmt.Sprintf("upstream.forward_client = %q\n", c.way))
			for i, client := range []string{"192.0.2.10", "2001:db8::10"} {
				if reply := d.from(t, client, "user@example.net"); !strings.HasPrefix(reply, "250 2.0.0 Ok: queued as ") {
					t.Fatalf("reply %q\n%s", reply, p.Log())
				}
				got := p.WaitMail(t, "user", i+1)
				if i == 0 && !strings.Contains(got, c.received) {
					t.Errorf("no %q in\n%s", c.received, got)
				}
			}
			for _, words := range []string{c.log, c.log6} {
				if !strings.Contains(p.Log(), words) {
					t.Errorf("no %q in\n%s", words, p.Log())
				}
			}
			if reply := d.from(t, "192.0.2.66", "user@example.net"); !strings.HasPrefix(reply, c.refused) {
				t.Errorf("reply %q, want %q", reply, c.refused)
			}
		})
	}
}

// Connections to Postfix are used again, and each message is its own client's.
// Postfix takes a second XCLIENT only where the first client may send it too.
func TestForwardOnUsedConnections(t *testing.T) {
	for _, c := range []struct {
		way, postfix, log string
		most              int // connections
	}{
		{"xclient", "smtpd_authorized_xclient_hosts = 127.0.0.1 192.0.2.0/24\n", ": client=unknown[%s]", 3},
		{"xclient", "smtpd_authorized_xclient_hosts = 127.0.0.1\n", ": client=unknown[%s]", 9},
		{"xforward", "smtpd_authorized_xforward_hosts = 127.0.0.1\n", "orig_client=unknown[%s]", 3},
	} {
		p := startPostfix(t, c.postfix)
		d := startForwarding(t, p, fmt.Sprintf("upstream.forward_client = %q\nupstream.probe_interval = \"1h\"\n", c.way))
		for i := range 6 {
			if reply := d.from(t, fmt.Sprintf("192.0.2.%d", 20+i%3), "user@example.net"); !strings.HasPrefix(reply, "250 ") {
				t.Fatalf("%s: reply %q\n%s", c.way, reply, p.Log())
			}
		}
		p.WaitMail(t, "user", 6)
		for i := range 3 {
			words := fmt.Sprintf(c.log, fmt.Sprintf("192.0.2.%d", 20+i))
			if n := strings.Count(p.Log(), words); n != 2 {
				t.Errorf("%s: %d of %q, want 2:\n%s", c.way, n, words, p.Log())
			}
		}
		if n := strings.Count(p.Log(), ": connect from "); n > c.most {
			t.Errorf("%s: %d connections for 6 clients and a probe, want %d:\n%s", c.way, n, c.most, p.Log())
		}
	}
}

// An MTA that does not listen to whose the mail is gets none.
func TestForwardNotOffered(t *testing.T) {
	p := startPostfix(t, "")
	d := startDaemon(t, p.Addr, "upstream.forward_client = \"xclient\"\n")
	waitFor(t, "not ready", func() bool { return strings.Contains(d.get("/readyz"), "XCLIENT: not offered") })
	if reply := d.send(t, "a@example.com", "user@example.net", honest); !strings.HasPrefix(reply, "451 4.4.1") {
		t.Errorf("reply %q", reply)
	}
}
