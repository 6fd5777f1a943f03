package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
)

// signature is all that goes into one DKIM-Signature.
type signature struct {
	domain, selector, algorithm, canon, identifier string

	time, expire string // seconds since the epoch, "" for none
	length       int    // -1 for none
	extra        string

	headers     []string
	onlyPresent bool

	key crypto.Signer
}

// load reads the key (PKCS #8, or PKCS #1 as older tools write it).
func (s *signature) load(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return fmt.Errorf("%s: no PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s.key = key.(crypto.Signer)
	if s.algorithm == "" {
		s.algorithm = s.kind() + "-sha256"
	}
	return nil
}

func (s *signature) kind() string {
	if _, ok := s.key.(ed25519.PrivateKey); ok {
		return "ed25519"
	}
	return "rsa"
}

// record is the key as a line of a master file (RFC 6376 section 3.6.1).
func (s *signature) record() (string, error) {
	var public []byte
	switch k := s.key.Public().(type) {
	case ed25519.PublicKey:
		public = k
	default:
		var err error
		if public, err = x509.MarshalPKIXPublicKey(k); err != nil {
			return "", err
		}
	}
	txt := "v=DKIM1; k=" + s.kind() + "; p=" + base64.StdEncoding.EncodeToString(public)
	var parts []string
	for ; len(txt) > 255; txt = txt[255:] {
		parts = append(parts, `"`+txt[:255]+`"`)
	}
	parts = append(parts, `"`+txt+`"`)
	return fmt.Sprintf("%s._domainkey.%s. 3600 IN TXT %s\n", s.selector, s.domain, strings.Join(parts, " ")), nil
}

// sign gives the field for a message with CRLF line ends (RFC 6376 section 3.7).
func (s *signature) sign(message []byte) (string, error) {
	header, body, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return "", errors.New("no blank line after the header")
	}
	headerCanon, bodyCanon, _ := strings.Cut(s.canon, "/")
	fields := split(string(header) + "\r\n")
	body = canonicalBody(body, bodyCanon)
	if s.length > len(body) {
		return "", fmt.Errorf("-bodylength is more than the %d octets of the body", len(body))
	}
	if s.length >= 0 {
		body = body[:s.length]
	}
	bh := s.digest(body)
	picked := s.pick(fields)
	field := s.field(picked, bh)

	var signed strings.Builder
	for _, f := range instances(fields, picked) {
		signed.WriteString(canonicalField(f, headerCanon))
	}
	signed.WriteString(strings.TrimSuffix(canonicalField(field+"\r\n", headerCanon), "\r\n"))
	b, err := s.seal([]byte(signed.String()))
	if err != nil {
		return "", err
	}
	return field + chunks(base64.StdEncoding.EncodeToString(b)) + "\r\n", nil
}

// field is the DKIM-Signature with an empty b=, which stands last.
func (s *signature) field(headers []string, bh []byte) string {
	tags := []string{"v=1", "a=" + s.algorithm, "c=" + s.canon, "d=" + s.domain, "s=" + s.selector}
	for _, t := range []struct{ name, value string }{{"i", s.identifier}, {"t", s.time}, {"x", s.expire}} {
		if t.value != "" {
			tags = append(tags, t.name+"="+t.value)
		}
	}
	if s.length >= 0 {
		tags = append(tags, fmt.Sprintf("l=%d", s.length))
	}
	if s.extra != "" {
		tags = append(tags, s.extra)
	}
	return "DKIM-Signature: " + strings.Join(tags, "; ") + ";\r\n\th=" + strings.Join(headers, ":") +
		";\r\n\tbh=" + base64.StdEncoding.EncodeToString(bh) + ";\r\n\tb="
}

func (s *signature) digest(b []byte) []byte {
	if strings.HasSuffix(s.algorithm, "sha1") {
		d := sha1.Sum(b)
		return d[:]
	}
	d := sha256.Sum256(b)
	return d[:]
}

func (s *signature) seal(b []byte) ([]byte, error) {
	switch k := s.key.(type) {
	case *rsa.PrivateKey:
		hash := crypto.SHA256
		if strings.HasSuffix(s.algorithm, "sha1") {
			hash = crypto.SHA1
		}
		return rsa.SignPKCS1v15(nil, k, hash, s.digest(b))
	case ed25519.PrivateKey:
		// RFC 8463 section 3: PureEdDSA over the SHA-256 of the input.
		return ed25519.Sign(k, s.digest(b)), nil
	}
	return nil, errors.New("unknown kind of key")
}

// pick gives the names for h=.
func (s *signature) pick(fields []string) []string {
	if !s.onlyPresent {
		return s.headers
	}
	var picked []string
	for _, h := range s.headers {
		if len(instances(fields, []string{h})) > 0 {
			picked = append(picked, h)
		}
	}
	return picked
}

// instances gives the fields that names stand for, each from the bottom up (RFC
// 6376 section 5.4.2).
func instances(fields, names []string) []string {
	var picked []string
	used := map[int]bool{}
	for _, name := range names {
		for i := len(fields) - 1; i >= 0; i-- {
			have, _, _ := strings.Cut(fields[i], ":")
			if !used[i] && strings.EqualFold(strings.TrimSpace(have), strings.TrimSpace(name)) {
				used[i] = true
				picked = append(picked, fields[i])
				break
			}
		}
	}
	return picked
}

// chunks folds base64 into lines.
func chunks(s string) string {
	var b strings.Builder
	for ; len(s) > 72; s = s[72:] {
		b.WriteString(s[:72] + "\r\n\t")
	}
	b.WriteString(s)
	return b.String()
}
