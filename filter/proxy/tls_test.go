package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

// writeCertificate makes a self-signed certificate for name in dir.
func writeCertificate(t testing.TB, dir, name string, serial int64) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return cert, key, pool
}

func withTLS(t *testing.T) func(*Server) {
	cert, key, _ := writeCertificate(t, t.TempDir(), "mx.example", 1)
	return func(s *Server) { s.TLS = (&Certificate{CertFile: cert, KeyFile: key}).Config() }
}

// secure upgrades the client's connection.
func (k *client) secure() *client {
	k.t.Helper()
	k.say("STARTTLS", "220")
	c := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		k.t.Fatal(err)
	}
	k.c, k.r = c, bufio.NewReader(c)
	return k
}

func TestSTARTTLS(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial().ready().secure()
	// RFC 3207 section 4.2: nothing is known any more.
	k.say("MAIL FROM:<a@b.example>", "502")
	if got := k.say("EHLO secret.example", "250"); strings.Contains(got, "STARTTLS") {
		t.Errorf("STARTTLS is offered again: %q", got)
	}
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
	r := d.record(1)
	if r.Envelope.TLS.Version != "TLS1.3" || r.Envelope.TLS.Cipher == "" || r.Envelope.Helo != "secret.example" {
		t.Errorf("record %+v", r)
	}
	if head := d.mta.got()[0].data; !strings.Contains(head, " with ESMTPS id ") || !strings.Contains(head, "\r\n\t(TLS1.3 TLS_") {
		t.Errorf("trace %.200q", head)
	}
	if !d.happened("tls TLS1.3") {
		t.Error("no event")
	}
	k.say("QUIT", "221")
	k.over()
}

// SM-13: what comes in clear behind STARTTLS is thrown away.
func TestSTARTTLSInjection(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial().ready()
	k.raw("STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<b@rcpt.example>\r\n")
	k.want("220", "STARTTLS")
	c := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		return // as good: the handshake fails on what was injected
	}
	k.c, k.r = c, bufio.NewReader(c)
	k.say("EHLO good.example", "250")
	k.say("RCPT TO:<b@rcpt.example>", "502")
	if got := k.send(letterText); got != accepted {
		t.Errorf("reply %q", got)
	}
	for _, heard := range d.mta.heard() {
		if strings.Contains(heard, "evil") {
			t.Errorf("the MTA heard %q", heard)
		}
	}
}

// After a failed handshake not a word is said or heard in clear.
func TestFailedHandshakeEndsTheConnection(t *testing.T) {
	for name, bytes := range map[string]string{
		"clear text": "EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
		"bad hello":  "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00EHLO x\r\nNOOP\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, withTLS(t))
			k := d.dial().ready()
			k.say("STARTTLS", "220")
			k.raw(bytes)
			k.c.SetReadDeadline(time.Now().Add(3 * time.Second))
			got, err := io.ReadAll(k.r)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("the connection is still open")
			}
			if strings.ContainsAny(string(got), "\r\n") && strings.Contains(string(got), "50 ") {
				t.Errorf("said %q", got)
			}
		})
	}
}

// The invariants of messages that break off hold within TLS too.
func TestBreaksWithinTLS(t *testing.T) {
	for name, leave := range map[string]func(*tls.Conn, net.Conn){
		"in order": func(c *tls.Conn, _ net.Conn) { c.Close() },
		"torn":     func(_ *tls.Conn, raw net.Conn) { raw.Close() },
	} {
		for _, verb := range []string{"DATA\r\n", "BDAT 1000 LAST\r\n"} {
			t.Run(name+"/"+strings.TrimSpace(verb), func(t *testing.T) {
				d := newDoor(t, withTLS(t))
				k := d.dial().ready()
				raw := k.c
				k.secure()
				k.say("EHLO x.example", "250")
				k.say("MAIL FROM:<a@sender.example>", "250")
				k.say("RCPT TO:<b@rcpt.example>", "250")
				k.raw(verb + letterText)
				leave(k.c.(*tls.Conn), raw)
				if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
					t.Errorf("record %+v", r)
				}
			})
		}
	}
}

// A client that ends TLS in good order within BDAT LAST has not sent it all.
func TestCloseNotifyWithinLastChunk(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial().ready().secure()
	k.say("EHLO x.example", "250")
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT 1000 LAST\r\n" + letterText)
	k.c.(*tls.Conn).CloseWrite()
	if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
		t.Errorf("record %+v", r)
	}
}

// STARTTLS between two chunks gives the message up and hangs nobody.
func TestSTARTTLSBetweenChunks(t *testing.T) {
	d := newDoor(t, withTLS(t))
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT " + strconv.Itoa(len(letterText)) + "\r\n" + letterText)
	k.want("250", "BDAT")
	k.secure()
	k.say("EHLO x.example", "250")
	if r := d.record(1); r.Outcome != filter.ClientLost {
		t.Errorf("record %+v", r)
	}
	if got := k.send(letterText); got != accepted || len(d.mta.got()) != 1 {
		t.Errorf("reply %q", got)
	}
}

func TestCertificateRenewal(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writeCertificate(t, dir, "mx.example", 1)
	clock := time.Now()
	var reports []error
	c := &Certificate{CertFile: cert, KeyFile: key, Now: func() time.Time { return clock }, Report: func(err error) { reports = append(reports, err) }}
	if err := c.Load(); err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		clock = clock.Add(6 * time.Second)
		pair, err := c.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if serial() != 1 {
		t.Error("not the first")
	}
	writeCertificate(t, dir, "mx.example", 22)
	os.Chtimes(cert, clock, clock.Add(time.Second))
	if serial() != 22 || len(reports) != 0 {
		t.Errorf("not the second, %v", reports)
	}
	os.WriteFile(cert, []byte("broken"), 0o600)
	for range 3 {
		if serial() != 22 {
			t.Error("a broken file replaced a good one")
		}
	}
	if len(reports) != 1 || !strings.Contains(reports[0].Error(), "cert.pem") {
		t.Errorf("reports %v", reports)
	}
	os.Remove(cert)
	if serial() != 22 || len(reports) != 2 {
		t.Errorf("reports %v", reports)
	}
	writeCertificate(t, dir, "mx.example", 3)
	if serial() != 3 {
		t.Error("not the third")
	}
}

func TestCertificateMissing(t *testing.T) {
	c := &Certificate{CertFile: "/nonexistent/c.pem", KeyFile: "/nonexistent/k.pem"}
	if err := c.Load(); err == nil || !strings.Contains(err.Error(), "/nonexistent/") {
		t.Errorf("Load: %v", err)
	}
	if _, err := c.GetCertificate(nil); err == nil {
		t.Error("a certificate out of nothing")
	}
}
