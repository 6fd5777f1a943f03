package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/config"
)

// placed has connections between addresses that this machine need not have.
type placed struct {
	net.Listener
	remote, local string
}

func (p placed) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	return placedConn{c, p}, err
}

type placedConn struct {
	net.Conn
	at placed
}

func (c placedConn) RemoteAddr() net.Addr { return tcpAddr(c.at.remote) }
func (c placedConn) LocalAddr() net.Addr  { return tcpAddr(c.at.local) }

func tcpAddr(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

// servePlaced serves the pages for people by TLS to clients at remote, and tells
// the port. The authority's file is ca.pem in dir.
func servePlaced(t *testing.T, dir, remote, local string) (port string) {
	t.Helper()
	pki(t, dir, "soc.example.net")
	cfg := config.Default()
	cfg.Admin.Address, cfg.Admin.Networks = "127.0.0.1:0", []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	cfg.Admin.TLSCertificate, cfg.Admin.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cfg.Admin.Users = []config.User{{Name: "soc", PasswordHash: adminHash(t)}}
	d, err := openDesk(cfg.Admin, &inherited{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(d.people.listener.Addr().String())
	d.people.listener, d.people.guard.Local = placed{d.people.listener, remote, local}, false
	servePeople(t, d, cfg)
	return port
}

// The command of the README against a listener on an outer address, with TLS,
// users and networks in which this host is not.
func TestHealthOnAnOuterAddress(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.10:40000":   "ok",
		"192.0.2.11:40000":   "Get \"https", // hung up on, before TLS
		"198.51.100.7:40000": "name and password",
	} {
		dir := t.TempDir()
		port := servePlaced(t, dir, remote, "192.0.2.10:9925")
		c := newHealth()
		var out strings.Builder
		c.SetOut(&out)
		c.SetErr(&out)
		c.SetArgs([]string{"--url", "https://localhost:" + port, "--ca", filepath.Join(dir, "ca.pem")})
		err := c.ExecuteContext(t.Context())
		if want == "ok" && (err != nil || strings.TrimSpace(out.String()) != "ok") {
			t.Errorf("this host: %v %q", err, &out)
		}
		if want != "ok" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v %q, want %q", remote, err, &out, want)
		}
	}
}

// Strangers who hold more connections than there may be keep nobody out.
func TestStrangersTakeNoPlace(t *testing.T) {
	dir := t.TempDir()
	port := servePlaced(t, dir, "192.0.2.11:40000", "192.0.2.10:9925")
	until := time.Now().Add(20 * time.Second) // four times what a handshake may take
	for range adminConnections + 1 {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(until)
		if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a stranger is listened to: %d octets, %v", n, err)
		}
	}
}

// "OPTIONS *" is about the server and no path, and must not get past the guard.
func TestOptionsOfTheServer(t *testing.T) {
	dir := t.TempDir()
	port := servePlaced(t, dir, "198.51.100.7:40000", "192.0.2.10:9925")
	c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: 192.0.2.10\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(reply), "HTTP/1.1 405 ") && !strings.HasPrefix(string(reply), "HTTP/1.1 401 ") {
		t.Errorf("%.100q %v", reply, err)
	}
}
