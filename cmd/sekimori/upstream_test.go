package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"sekimori/config"
	"sekimori/filter/dns"
	"sekimori/filter/proxy"
)

// Of several hosts the first that is there gets the mail.
func TestServeBeforeSeveralHosts(t *testing.T) {
	p := startPostfix(t, "")
	dead := freeAddr(t)
	d := startDaemon(t, config.Default().Upstream.Address, fmt.Sprintf("[[upstream.server]]\naddress = %q\n[[upstream.server]]\naddress = %q\npriority = 10\n", dead, p.Addr))
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	if reply := d.send(t, "a@example.com", "user@example.net", "From: a@example.com\r\n\r\nhello\r\n"); !strings.HasPrefix(reply, "250 2.0.0 Ok: queued as ") {
		t.Errorf("reply %q", reply)
	}
	page := d.get("/metrics") + "\n"
	for _, line := range []string{`sekimori_upstream_up{upstream="` + dead + `"} 0`, `sekimori_upstream_up{upstream="` + p.Addr + `"} 1`} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no %s in\n%s", line, page)
		}
	}
	for _, words := range []string{`"message":"the MTA does not answer","event.category":["process"],"sekimori.upstream":"` + dead + `"`} {
		if !strings.Contains(d.log.String(), words) {
			t.Errorf("no %s in\n%s", words, d.log.String())
		}
	}
	wantLogged(t, d.log.String(), "sekimori.upstream="+p.Addr, "sekimori.outcome=delivered")
}

// Every key of [upstream] reaches the door.
func TestNewUpstream(t *testing.T) {
	c := config.Default().Upstream
	c.Protocol, c.ForwardClient, c.TLS, c.TLSName = "lmtp", "proxy", "required", "mta.example"
	c.MaxIdle, c.MaxMessages, c.MaxFailures = 7, 8, 9
	c.IdleTimeout, c.MaxAge, c.RetryAfter = 10, 11, 12
	c.ConnectTimeout, c.CommandTimeout, c.DataTimeout = 13, 14, 15
	c.Servers = []config.Server{{Address: "a:25", Priority: 16, Weight: 17}}
	u, err := newUpstream(c, "mx.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	if u.Hostname != "mx.example" || !u.LMTP || u.Forward != proxy.ForwardPROXY || u.TLS != proxy.TLSRequired || u.TLSConfig.ServerName != "mta.example" ||
		u.Reuse != (proxy.Reuse{Idle: 7, IdleTime: 10, Age: 11, Messages: 8}) || u.Patience != (proxy.Patience{Failures: 9, Pause: 12}) ||
		u.Times != (proxy.Times{Connect: 13, Command: 14, Final: 15}) || len(u.Hosts) != 1 || u.Hosts[0] != (proxy.Host{Address: "a:25", Priority: 16, Weight: 17}) {
		t.Errorf("%+v", u)
	}
}

// A certificate that cannot be read is told with its key.
func TestCheckUpstream(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for key, change := range map[string]func(*config.Upstream){
		"upstream.tls_ca":          func(u *config.Upstream) { u.TLSCA = missing },
		"upstream.tls_certificate": func(u *config.Upstream) { u.TLSCertificate, u.TLSKey = missing, missing },
	} {
		c := config.Default()
		change(&c.Upstream)
		if all := checkUpstream(c); len(all) != 1 || all[0].Key != key {
			t.Errorf("%s: %+v", key, all)
		}
	}
}

func TestClientNames(t *testing.T) {
	z, err := dns.ParseZone("names.zone", strings.NewReader(serveZone))
	if err != nil {
		t.Fatal(err)
	}
	names := clientNames(z)
	for client, want := range map[string]proxy.ClientName{
		"192.0.2.10": {Verified: "mail.sender.example", Reverse: "mail.sender.example"},
		"192.0.2.11": {Reverse: "liar.sender.example"},
		"192.0.2.12": {},
	} {
		if got := names(t.Context(), netip.MustParseAddr(client)); got != want {
			t.Errorf("%s is called %+v", client, got)
		}
	}
}
