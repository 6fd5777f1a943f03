package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"sekimori/config"
	"sekimori/filter/guard"
)

const adminPassword = "correct horse battery"

// adminUser is a table [[admin.user]] for soc.
func adminUser(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("[[admin.user]]\nname = \"soc\"\npassword_hash = %q\n", adminHash(t))
}

func adminHash(t *testing.T) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(adminPassword), 10)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// wildcard is a part of a path that stands for anything.
var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// Whatever page is added: a stranger does not get it.
func TestEveryRouteIsClosed(t *testing.T) {
	s := &service{common: newCommon(config.Default()), log: slog.New(slog.DiscardHandler)}
	s.pprof.Store(true)
	d := desk{people: newPost(nil, false, nil), machines: newPost(nil, false, nil)}
	d.set(config.Admin{LoginRate: "5/m", Users: []config.User{{Name: "soc", PasswordHash: adminHash(t)}}, MetricsTokenFile: "nowhere"})
	var free []string
	for name, at := range map[string]struct {
		post   *post
		routes []guard.Route
	}{"people": {d.people, s.peopleRoutes()}, "machines": {d.machines, s.machineRoutes()}} {
		h := at.post.guard.Handler(at.routes)
		if len(at.routes) < 3 {
			t.Errorf("%s: %d routes", name, len(at.routes))
		}
		for _, route := range at.routes {
			r := httptest.NewRequest("GET", wildcard.ReplaceAllString(route.Path, "x"), nil)
			out := httptest.NewRecorder()
			h.ServeHTTP(out, r)
			if route.For == guard.Anybody {
				free = append(free, name+route.Path)
			} else if out.Code != http.StatusUnauthorized {
				t.Errorf("%s %s: a stranger got %d %q", name, route.Path, out.Code, out.Body)
			}
		}
	}
	if got := strings.Join(free, " "); got != "machines/healthz machines/readyz" {
		t.Errorf("for anybody: %s", got)
	}
}

func TestPprofIsSwitched(t *testing.T) {
	s := &service{common: newCommon(config.Default())}
	p := newPost(nil, true, nil)
	desk{people: p}.set(config.Default().Admin)
	h := p.guard.Handler(s.peopleRoutes())
	for _, on := range []bool{false, true} {
		s.pprof.Store(on)
		r := httptest.NewRequest("GET", "http://localhost/debug/pprof/heap?debug=1", nil)
		r.RemoteAddr = "127.0.0.1:1"
		out := httptest.NewRecorder()
		h.ServeHTTP(out, r)
		if got := out.Code == http.StatusOK && strings.Contains(out.Body.String(), "heap profile"); got != on {
			t.Errorf("pprof %v: %d %.60q", on, out.Code, out.Body)
		}
	}
}

// The rules of who may enter hold from the next request after a reload on.
func TestAdminUsersOfADaemon(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mta.close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	machines := freeAddr(t)
	d := startDaemon(t, mta.listen.Addr().String(), fmt.Sprintf("admin.metrics_address = %q\nadmin.metrics_token_file = %q\n%s", machines, token, adminUser(t)))
	ask := func(at, path, name, password string) int {
		t.Helper()
		r, _ := http.NewRequest("GET", "http://"+at+path, nil)
		if name == "token" {
			r.Header.Set("Authorization", "Bearer "+password)
		} else if name != "" {
			r.SetBasicAuth(name, password)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	waitFor(t, "the MTA was asked", func() bool { return d.get("/readyz") == "200 ready" })
	for _, c := range []struct {
		at, path, name, password string
		want                     int
	}{
		{d.admin, "/metrics", "", "", 401},
		{d.admin, "/metrics", "soc", adminPassword, 200},
		{d.admin, "/metrics", "token", "0123456789abcdef", 200},
		{d.admin, "/readyz", "", "", 200},
		{machines, "/metrics", "", "", 401},
		{machines, "/metrics", "token", "0123456789abcdef", 200},
		{machines, "/metrics", "soc", adminPassword, 401},
		{machines, "/readyz", "", "", 200},
		{machines, "/debug/pprof/", "token", "0123456789abcdef", 404},
	} {
		if got := ask(c.at, c.path, c.name, c.password); got != c.want {
			t.Errorf("%s of %s as %q: %d, want %d", c.path, c.at, c.name, got, c.want)
		}
	}
	if !regexp.MustCompile(`"admin access".*"sekimori.who":"","sekimori.client":"127.0.0.1","sekimori.method":"GET","sekimori.path":"/metrics","sekimori.status":401`).MatchString(d.log.String()) {
		t.Error("the log does not tell of the refusal")
	}
	text, err := os.ReadFile(d.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.file, bytes.ReplaceAll(text, []byte(`"soc"`), []byte(`"noc"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.service.reload(); err != nil {
		t.Fatal(err)
	}
	if was, now := ask(d.admin, "/metrics", "soc", adminPassword), ask(d.admin, "/metrics", "noc", adminPassword); was != 401 || now != 200 {
		t.Errorf("after the reload: soc %d, noc %d", was, now)
	}
	if strings.Contains(d.log.String(), "$2a$") {
		t.Error("the log shows a hash")
	}
}

// pki makes a certificate authority with one certificate for a server on loopback
// and one for a client; the files are in dir.
func pki(t *testing.T, dir string, clientName string) (ca *x509.CertPool, client tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write := func(name, kind string, der []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(c, parent *x509.Certificate, own, signer *ecdsa.PrivateKey) []byte {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, own.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caKey, serverKey, clientKey := key(), key(), key()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER := sign(authority, authority, caKey, caKey)
	write("ca.pem", "CERTIFICATE", caDER)
	server := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	write("cert.pem", "CERTIFICATE", sign(server, authority, serverKey, caKey))
	der, err := x509.MarshalECPrivateKey(serverKey)
	if err != nil {
		t.Fatal(err)
	}
	write("key.pem", "EC PRIVATE KEY", der)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(3), DNSNames: []string{clientName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	ca = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	ca.AddCert(parsed)
	return ca, tls.Certificate{Certificate: [][]byte{sign(leaf, authority, clientKey, caKey)}, PrivateKey: clientKey}
}

// servePeople serves the pages for people until the test ends.
func servePeople(t *testing.T, d desk, cfg config.Config) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &service{common: newCommon(cfg)}
	go func() { ended <- d.people.serve(ctx, s.peopleRoutes()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAdminByTLS(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	ca, good := pki(t, dir, "soc.example.net")
	_, foreign := pki(t, other, "soc.example.net")
	at := func(name string) string { return filepath.Join(dir, name) }
	cfg := config.Default()
	cfg.Admin.Address, cfg.Admin.TLSCertificate, cfg.Admin.TLSKey = freeAddr(t), at("cert.pem"), at("key.pem")
	cfg.Admin.ClientCA, cfg.Admin.ClientNames = at("ca.pem"), []string{"soc.example.net"}
	d, err := openDesk(cfg.Admin, &inherited{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	servePeople(t, d, cfg)
	_, port, _ := strings.Cut(cfg.Admin.Address, ":")
	ask := func(certificates ...tls.Certificate) (*http.Response, error) {
		c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca, Certificates: certificates}}}
		return c.Get("https://localhost:" + port + "/metrics")
	}
	resp, err := ask(good)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("with a certificate: %d %v", resp.StatusCode, resp.Header)
	}
	if resp, err := ask(); err != nil || resp.StatusCode != 403 {
		t.Errorf("without: %v %v", resp, err)
	}
	// Go's client withholds what the server did not ask for; a forger would not.
	forged := tls.Config{RootCAs: ca, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }}
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &forged}}
	if resp, err := c.Get("https://localhost:" + port + "/metrics"); err == nil {
		t.Errorf("another authority's certificate: %d", resp.StatusCode)
	}
	if resp, err := http.Get("http://localhost:" + port + "/metrics"); err == nil && resp.StatusCode != 400 {
		t.Errorf("without TLS: %d", resp.StatusCode)
	}
}

func TestAdminHash(t *testing.T) {
	for in, good := range map[string]bool{
		adminPassword + "\n":            true,
		adminPassword + "\r\n":          true,
		"short\n":                       false,
		"":                              false,
		strings.Repeat("x", 73) + "\n":  false,
		strings.Repeat("x", 5000) + "y": false,
	} {
		var out bytes.Buffer
		err := printHash(strings.NewReader(in), &out)
		if (err == nil) != good {
			t.Errorf("%.20q: %v", in, err)
		}
		if good && bcrypt.CompareHashAndPassword(bytes.TrimSpace(out.Bytes()), []byte(adminPassword)) != nil {
			t.Errorf("%.20q: %s", in, &out)
		}
	}
}
