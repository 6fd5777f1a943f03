package main

import (
	"strings"
	"testing"
)

const twoTenants = `
[[tenant]]
name = "strict"
recipients = ["strict.example"]
policy.dmarc.reject = "strict"

[[tenant]]
name = "watching"
recipients = ["watching.example"]
policy.mode = "shadow"
`

// A spoof to two tenants at once: the second is asked for separately, and each
// message has the verdict of its tenant.
func TestServeTenants(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	d := startDaemon(t, mta.listen.Addr().String(), twoTenants)
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	s, err := dialSender(d.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()

	const spoof = "From: ceo@bank.example\r\nSubject: spoofed\r\n\r\npay\r\n"
	say := func(line, want string) {
		t.Helper()
		if reply := s.command("%s", line); !strings.HasPrefix(reply, want) {
			t.Fatalf("%s: %q, want %q", line, reply, want)
		}
	}
	say("MAIL FROM:<x@attacker.example>", "250")
	say("RCPT TO:<a@strict.example>", "250")
	say("RCPT TO:<b@watching.example>", "452 4.5.3")
	if reply := s.data(stuffed([]byte(spoof))); !strings.HasPrefix(reply, "550 5.7.26") {
		t.Errorf("to the strict one: %q", reply)
	}
	if reply := s.send("x@attacker.example", []string{"b@watching.example"}, []byte(spoof)); !strings.HasPrefix(reply, "250") {
		t.Errorf("to the watching one: %q", reply)
	}
	if mta.received() != 1 || !strings.Contains(string(mta.last().data), "shadow=reject") {
		t.Errorf("%d messages:\n%s", mta.received(), mta.last().data)
	}
	waitFor(t, "two lines", func() bool { return strings.Count(d.log.String(), `"event.dataset":"sekimori.message"`) == 2 })
	wantLogged(t, d.log.String(), "event.action=reject", "event.reason=dmarc_fail_reject", "sekimori.shadow=", "sekimori.tenant=[strict]", "sekimori.relay.client=")
	wantLogged(t, d.log.String(), "event.action=accept", "event.reason=dmarc_fail_reject", "sekimori.shadow=reject", "sekimori.tenant=[watching]")
}

// Mail that a relay of ours hands over: SPF is about its client.
func TestServeBehindRelay(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	d := startDaemon(t, mta.listen.Addr().String(), "trusted_relays = [\"127.0.0.1\"]\n")
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	spoof := "Received: from mx.example.com (unknown [198.51.100.66])\r\n\tby relay.example.net (Postfix) with ESMTP id 1; Sun, 1 Nov 2026 00:00:00 +0000\r\n" + honest
	reply := d.send(t, "a@example.com", "user@example.net", strings.ReplaceAll(spoof, ".\r\x20\n", "end\r\n"))
	if !strings.HasPrefix(reply, "550 5.7.26") || !strings.Contains(reply, "198.51.100.66") {
		t.Errorf("%q", reply)
	}
	wantLogged(t, d.log.String(), "sekimori.relay.client=198.51.100.66", "sekimori.relay.helo=mx.example.com", "source.ip=127.0.0.1")
	reply = d.send(t, "a@example.com", "user@example.net", strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n"))
	if !strings.HasPrefix(reply, "250") || !strings.Contains(d.log.String(), `"sekimori.relay.reason":"behind a relay: `) {
		t.Errorf("%q\n%s", reply, d.log.String())
	}
}
