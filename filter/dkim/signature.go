package dkim

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"sekimori/filter/mail"
)

// fault is why a signature is no pass. The zero value is no fault.
type fault struct {
	word   Word
	reason string
}

func (f fault) found() bool { return f.word != "" }

func neutral(reason string, args ...any) fault {
	return fault{Neutral, fmt.Sprintf(reason, args...)}
}

func permerror(reason string, args ...any) fault {
	return fault{PermError, fmt.Sprintf(reason, args...)}
}

func policy(reason string, args ...any) fault {
	return fault{Policy, fmt.Sprintf(reason, args...)}
}

// signature is one DKIM-Signature field: what it says, and in Result what is
// known of it so far. Its Word is "" as long as nothing is decided.
type signature struct {
	Result
	field      int // in the header
	cut        tag // b=, to be emptied before hashing
	text       string
	b          []byte
	bodyHash   []byte
	head, body canonicalization
	length     int64 // l=, or -1
	strictOK   bool  // i= is d= itself, as a key with t=s asks
}

const signatureName = "dkim-signature"

// readSignature reads a field as RFC 6376 section 6.1.1 asks. All that can be
// read is, so that a fault can be reported with its domain.
func readSignature(i int, f mail.Field) *signature {
	s := &signature{field: i, length: -1}
	if len(f.Raw) > maxSignatureField {
		s.settle(permerror("the DKIM-Signature field is longer than %d bytes", maxSignatureField))
		return s
	}
	s.text = string(f.Value)
	t, err := parseTags(s.text, maxSignatureTags)
	if err != nil {
		s.settle(neutral("the DKIM-Signature field has a syntax error: %v", err))
		return s
	}
	for _, read := range []func(*signature, tags) fault{
		readRequired, readVersion, readDomain, readSelector, readAlgorithm, readB, readBodyHash, readNames,
		readCanonicalization, readIdentifier, readQuery, readLength, readTimes,
	} {
		s.settle(read(s, t))
	}
	return s
}

// settle keeps the first fault.
func (s *signature) settle(f fault) {
	if s.Word == "" && f.found() {
		s.Word, s.Reason = f.word, f.reason
	}
}

func (s *signature) open() bool { return s.Word == "" }

func readRequired(_ *signature, t tags) fault {
	for _, name := range []string{"v", "a", "b", "bh", "d", "h", "s"} {
		if t.value(name) == "" {
			return permerror("the required tag %s= is missing or empty", name)
		}
	}
	return fault{}
}

func readVersion(_ *signature, t tags) fault {
	if t.value("v") != "1" {
		return permerror("the signature's version (v=) is not 1")
	}
	return fault{}
}

// readDomain: what is no host name is never printed and never asked for. A
// single label is a matter of policy (judge.go).
func readDomain(s *signature, t tags) fault {
	d, err := domain(t.value("d"))
	if err != nil {
		return neutral("d= is not a domain name")
	}
	s.Domain = d
	return fault{}
}

func readSelector(s *signature, t tags) fault {
	d, err := domain(t.value("s"))
	if err != nil {
		return neutral("s= is not a selector")
	}
	s.Selector = d
	return fault{}
}

// domain gives a name without trailing dot in A-labels (RFC 8616 section 5).
func domain(s string) (string, error) {
	if strings.HasSuffix(s, ".") {
		return "", errors.New("trailing dot")
	}
	return mail.ASCIIDomain(s)
}

// The algorithms of RFC 6376 section 3.3, RFC 8301 and RFC 8463.
const (
	rsaSHA1       = "rsa-sha1"
	rsaSHA256     = "rsa-sha256"
	ed25519SHA256 = "ed25519-sha256"
)

func readAlgorithm(s *signature, t tags) fault {
	switch a := t.value("a"); a {
	case rsaSHA1, rsaSHA256, ed25519SHA256:
		s.Algorithm = a
		return fault{}
	}
	return neutral("the signing algorithm (a=) is unknown")
}

func readB(s *signature, t tags) fault {
	v, ok := t.get("b")
	text := compact(v.value)
	b, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		return neutral("b= is not base64")
	}
	s.cut, s.b, s.B = v, b, text
	return fault{}
}

func readBodyHash(s *signature, t tags) fault {
	h, err := base64.StdEncoding.DecodeString(compact(t.value("bh")))
	if err != nil {
		return neutral("bh= is not base64")
	}
	if len(h) != 32 && s.Algorithm != rsaSHA1 {
		return neutral("bh= has %d octets where SHA-256 has 32", len(h))
	}
	s.bodyHash = h
	return fault{}
}

// readNames reads h=. RFC 6376 section 5.4: From MUST be signed.
func readNames(s *signature, t tags) fault {
	h := t.value("h")
	if strings.Count(h, ":") >= maxNames {
		return permerror("h= has more than %d names", maxNames)
	}
	names := list(lower(h))
	from := 0
	for _, n := range names {
		if !isFieldName(n) {
			return neutral("h= has a name that no header field can have")
		}
		if n == "from" {
			from++
		}
	}
	if from == 0 {
		return permerror("h= does not cover From")
	}
	s.Signed, s.SignedFrom = names, from
	return fault{}
}

// isFieldName: RFC 5322 section 3.6.8, without the semicolon that cannot stand in h=.
func isFieldName(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ':' || s[i] == ';' {
			return false
		}
	}
	return s != ""
}

func readCanonicalization(s *signature, t tags) fault {
	s.head, s.body = simple, simple
	if c, ok := t.get("c"); ok {
		// RFC 6376 section 3.5: without a slash the body is simple.
		head, body, both := strings.Cut(c.value, "/")
		s.head = canonicalization(head)
		if both {
			s.body = canonicalization(body)
		}
	}
	if !s.head.known() || !s.body.known() {
		return neutral("the canonicalization (c=) is unknown")
	}
	s.Canonicalization = string(s.head) + "/" + string(s.body)
	return fault{}
}

// readIdentifier reads i=, whose domain is d= or below it (RFC 6376 section 3.5).
func readIdentifier(s *signature, t tags) fault {
	if s.Domain == "" {
		return fault{}
	}
	v, ok := t.get("i")
	if !ok {
		s.Identifier, s.strictOK = "@"+s.Domain, true
		return fault{}
	}
	id, ok := unquotePrintable(compact(v.value))
	local, host, at := strings.Cut(id, "@")
	if !ok || !at || strings.Contains(host, "@") {
		return permerror("i= is not an address")
	}
	d, err := domain(host)
	if err != nil || d != s.Domain && !strings.HasSuffix(d, "."+s.Domain) {
		return permerror("the domain of i= is neither that of d= nor below it")
	}
	s.strictOK = d == s.Domain
	if !isPrintable(local) || len(local) > 64 {
		local = ""
	}
	s.Identifier = local + "@" + d
	return fault{}
}

// unquotePrintable decodes dkim-quoted-printable (RFC 6376 section 2.11).
func unquotePrintable(s string) (string, bool) {
	if !strings.Contains(s, "=") {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '=' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) || hex(s[i+1]) < 0 || hex(s[i+2]) < 0 {
			return "", false
		}
		b = append(b, byte(hex(s[i+1])<<4|hex(s[i+2])))
		i += 2
	}
	return string(b), true
}

func hex(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

func isPrintable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// readQuery: unknown methods are ignored, arguments of the known one too.
func readQuery(_ *signature, t tags) fault {
	q, ok := t.get("q")
	if !ok {
		return fault{}
	}
	for _, method := range list(q.value) {
		if method == "dns/txt" {
			return fault{}
		}
	}
	return permerror("q= names no way to the key that is known")
}

func readLength(s *signature, t tags) fault {
	l, ok := t.get("l")
	if !ok {
		return fault{}
	}
	n, ok := number(l.value)
	if !ok || len(l.value) > 76 {
		return neutral("l= is not a length")
	}
	s.length = n
	return fault{}
}

func readTimes(s *signature, t tags) fault {
	signed, ok := readTime(t, "t")
	if !ok {
		return neutral("t= is not a time")
	}
	expires, ok := readTime(t, "x")
	if !ok {
		return neutral("x= is not a time")
	}
	// RFC 6376 section 3.5: x= MUST be greater than t= if both are there.
	if signed >= 0 && expires >= 0 && expires <= signed {
		return neutral("the signature expires (x=) before it was made (t=)")
	}
	if signed >= 0 {
		s.SignedAt = time.Unix(min(signed, never), 0)
	}
	if expires >= 0 && expires < never {
		s.Expires = time.Unix(expires, 0)
	}
	return fault{}
}

// never lies beyond what twelve digits can say (RFC 6376 section 3.5).
const never = 1_000_000_000_000

// readTime gives -1 for a tag that is not there.
func readTime(t tags, name string) (int64, bool) {
	v, ok := t.get(name)
	if !ok {
		return -1, true
	}
	n, ok := number(v.value)
	if len(v.value) > 12 {
		n = math.MaxInt64
	}
	return n, ok
}
