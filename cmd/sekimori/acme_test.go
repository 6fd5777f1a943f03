package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

// pebble is the ACME authority that Let's Encrypt gives to test against.
const pebble = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1"

func buildPebble(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "install", pebble)
	cmd.Dir = dir // outside of our module: it is none of our dependencies
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	peer.Require(t, err == nil, fmt.Sprintf("%s cannot be built: %v: %s", pebble, err, out))
	return filepath.Join(dir, "pebble")
}

// startPebble gives the directory's URL and the file of its authority. It asks
// for challenges at these ports.
func startPebble(t *testing.T, httpAddr, tlsAddr, dns string) (directory, ca string) {
	t.Helper()
	program := buildPebble(t)
	dir := t.TempDir()
	cert, key := localhostPair(t, dir)
	listen := freeAddr(t)
	port := func(addr string) int {
		a, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		return a.Port
	}
	conf, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": freeAddr(t),
		"certificate": cert, "privateKey": key,
		"httpPort": port(httpAddr), "tlsPort": port(tlsAddr),
		"retryAfter":   map[string]int{"authz": 1, "order": 1},
		"keyAlgorithm": "ecdsa",
		"profiles":     map[string]any{"default": map[string]any{"description": "default", "validityPeriod": 7776000}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, conf, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	cmd := exec.Command(program, "-config", file, "-dnsserver", dns)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	waitFor(t, "the authority listens", func() bool {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "https://" + listen + "/dir", cert
}

// localhostPair is a certificate for 127.0.0.1.
func localhostPair(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:  []string{"mx.example.net"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestACME(t *testing.T) {
	for _, challenge := range []string{"http", "tls"} {
		t.Run(challenge, func(t *testing.T) {
			httpAddr, tlsAddr := freeAddr(t), freeAddr(t)
			zone := serveDNS(t, "mx.example.net. A 127.0.0.1\nsecond.example.net. A 127.0.0.1\n")
			directory, ca := startPebble(t, httpAddr, tlsAddr, zone)
			ours := "http_address = \"" + httpAddr + "\""
			if challenge == "tls" {
				ours = "http_address = \"\"\ntls_address = \"" + tlsAddr + "\""
			}
			cache := filepath.Join(t.TempDir(), "acme")
			d := startDaemon(t, freeAddr(t), fmt.Sprintf("[acme]\ndomains = [\"mx.example.net\", \"second.example.net\"]\ncache = %q\ndirectory = %q\ndirectory_ca = %q\n%s\n", cache, directory, ca, ours))
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(d.log.String())
				}
			})
			waitFor(t, "certificates", func() bool { return strings.Count(d.log.String(), "is in use") == 2 })
			for asked, shown := range map[string]string{"": "mx.example.net", "elsewhere.example": "mx.example.net", "second.example.net": "second.example.net"} {
				if got := certificateName(t, d.addr, asked); got != shown {
					t.Errorf("who asks for %q gets the certificate of %q", asked, got)
				}
			}
			if info, err := os.Stat(cache); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("the cache: %v, %v", info, err)
			}
		})
	}
}

// certificateName is what STARTTLS shows.
func certificateName(t *testing.T, addr, ask string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	text := textproto.NewConn(c)
	for _, line := range []string{"", "EHLO x.example", "STARTTLS"} {
		if line != "" {
			_ = text.PrintfLine("%s", line)
		}
		if _, said, err := text.ReadResponse(2); err != nil {
			t.Fatalf("after %q: %q, %v", line, said, err)
		}
	}
	k := tls.Client(c, &tls.Config{ServerName: ask, InsecureSkipVerify: true})
	if err := k.Handshake(); err != nil {
		t.Fatal(err)
	}
	return k.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// Without an authority there is mail all the same, in clear.
func TestACMEAuthorityDown(t *testing.T) {
	d := startDaemon(t, freeAddr(t), fmt.Sprintf("[acme]\ndomains = [\"mx.example.net\"]\ncache = %q\ndirectory = \"https://%s/dir\"\nhttp_address = %q\n", t.TempDir(), freeAddr(t), freeAddr(t)))
	waitFor(t, "the error", func() bool { return strings.Contains(d.log.String(), "no certificate from the ACME authority") })
	if !strings.Contains(d.get("/metrics"), "\nsekimori_certificate_errors_total 1\n") {
		t.Error("it is not counted")
	}
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "EHLO x.example\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	if said, err := io.ReadAll(c); err != nil || strings.Contains(string(said), "STARTTLS") || !strings.Contains(string(said), "\r\n221 ") {
		t.Errorf("said %q, %v", said, err)
	}
}
