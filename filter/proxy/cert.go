package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"sekimori/filter/mail"
)

// Certificate is a certificate and its key in PEM files that are read again when
// they change, so that a renewal drops nobody.
type Certificate struct {
	CertFile string // chain, leaf first
	KeyFile  string
	Every    time.Duration    // the files are looked at no more often; 5 s
	Report   func(error)      // told once of each change that cannot be used; may be nil
	Now      func() time.Time // time.Now by default

	mu     sync.Mutex
	inUse  *tls.Certificate
	seen   [2]fileState
	looked time.Time
}

// fileState tells one state of a file from another.
type fileState struct {
	size     int64
	modified time.Time
}

// Load reads the files now, for the start: what is broken then is an error.
func (c *Certificate) Load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = c.now()
	return c.read()
}

// Config is a configuration for clients' connections that uses the certificate.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate}
}

// GetCertificate is for tls.Config. Files that are broken now leave the
// certificate of before in use.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.inUse == nil || now.Sub(c.looked) >= or(c.Every, 5*time.Second) {
		c.looked = now
		if err := c.read(); err != nil && c.Report != nil {
			c.Report(err)
		}
	}
	if c.inUse == nil {
		return nil, fmt.Errorf("no certificate from %s", c.CertFile)
	}
	return c.inUse, nil
}

func (c *Certificate) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// read takes the files if they are not as they were the last time.
func (c *Certificate) read() error {
	var states [2]fileState
	var missing error
	for i, name := range []string{c.CertFile, c.KeyFile} {
		info, err := os.Stat(name)
		if err != nil {
			missing = fmt.Errorf("certificate: %w", err)
			continue
		}
		states[i] = fileState{info.Size(), info.ModTime()}
	}
	if c.inUse != nil && states == c.seen {
		return nil
	}
	c.seen = states
	if missing != nil {
		return missing
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.CertFile, err)
	}
	c.inUse = &pair
	return nil
}

// subjectMax bounds what a client can have us write.
const subjectMax = 256

// clientCertificate is what the client showed, whether it is good or not.
func clientCertificate(state tls.ConnectionState, authorities *x509.CertPool, now time.Time) mail.ClientCertificate {
	if len(state.PeerCertificates) == 0 {
		return mail.ClientCertificate{}
	}
	leaf, between := state.PeerCertificates[0], x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: authorities, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, // authorities of servers sign for no other use any more
	})
	sum := sha256.Sum256(leaf.Raw)
	subject := leaf.Subject.String()
	return mail.ClientCertificate{
		Subject:     strings.ToValidUTF8(subject[:min(len(subject), subjectMax)], ""),
		Fingerprint: hex.EncodeToString(sum[:]),
		Verified:    err == nil && authorities != nil,
	}
}
