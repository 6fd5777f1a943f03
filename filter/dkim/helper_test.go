package dkim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// zone answers for the DNS.
type zone struct {
	txt    map[string][]string
	errs   map[string]error
	panics bool

	mu    sync.Mutex
	asked []string
}

func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, name)
	z.mu.Unlock()
	if z.panics {
		panic("a bug in the resolver")
	}
	if err := z.errs[name]; err != nil {
		return nil, err
	}
	if txt := z.txt[name]; txt != nil {
		return txt, nil
	}
	return nil, outcome(name, dns.NXDomain)
}

func outcome(name string, o dns.Outcome) error {
	return &dns.Error{Question: dns.Question{Name: name, Type: dns.TXT}, Outcome: o}
}

// The keys of RFC 8463 appendix A.2, for all to know.
const rfcRSA = `-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----`

func rsaKey() crypto.Signer {
	block, _ := pem.Decode([]byte(rfcRSA))
	k, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return k
}

func edKey() crypto.Signer {
	seed, err := base64.StdEncoding.DecodeString("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
	if err != nil {
		panic(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// bigKey signs with an RSA key of two Mersenne primes, 2^p-1 and 2^q-1, so that
// large keys need no search.
type bigKey struct{ n, d *big.Int }

func mersenne(p, q uint) bigKey {
	one := big.NewInt(1)
	prime := func(e uint) *big.Int { return new(big.Int).Sub(new(big.Int).Lsh(one, e), one) }
	a, b := prime(p), prime(q)
	phi := new(big.Int).Mul(new(big.Int).Sub(a, one), new(big.Int).Sub(b, one))
	return bigKey{new(big.Int).Mul(a, b), new(big.Int).ModInverse(big.NewInt(65537), phi)}
}

func (k bigKey) Public() crypto.PublicKey { return &rsa.PublicKey{N: k.n, E: 65537} }

// Sign pads as RFC 8017 section 9.2.
func (k bigKey) Sign(_ io.Reader, sum []byte, _ crypto.SignerOpts) ([]byte, error) {
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20}, sum...)
	m := bytes.Repeat([]byte{0xff}, (k.n.BitLen()+7)/8)
	m[0], m[1], m[len(m)-len(info)-1] = 0, 1, 0
	copy(m[len(m)-len(info):], info)
	return new(big.Int).Exp(new(big.Int).SetBytes(m), k.d, k.n).FillBytes(m), nil
}

func spki(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// record is the key record for a signer.
func record(t testing.TB, k crypto.Signer) string {
	t.Helper()
	if pub, ok := k.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
	}
	return "v=DKIM1; k=rsa; p=" + spki(t, k.Public())
}

const header = "From: Alice <alice@example.com>\r\nTo: bob@example.net\r\nSubject: dinner,\r\n\tis it  ready?\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\nMessage-ID: <1@example.com>\r\n"

const body = "Hi.\r\n\r\nWe lost  the game.\t \r\nAre you hungry yet?\r\n\r\nJoe.\r\n\r\n\r\n"

const plain = header + "\r\n" + body

// tagged writes the tags of a signature; pairs replace or add some, and the
// value "-" takes one out. {bh} and {b} are computed by sign.
func tagged(pairs ...string) string {
	all := []string{
		"v", "1", "a", "rsa-sha256", "c", "relaxed/relaxed", "d", "example.com", "s", "s1",
		"h", "from:to:subject:date", "bh", "{bh}", "b", "{b}",
	}
next:
	for i := 0; i < len(pairs); i += 2 {
		for j := 0; j < len(all); j += 2 {
			if all[j] == pairs[i] {
				all[j+1] = pairs[i+1]
				continue next
			}
		}
		all = append(all[:len(all)-4], pairs[i], pairs[i+1], "bh", "{bh}", "b", "{b}")
	}
	var out []string
	for i := 0; i < len(all); i += 2 {
		if all[i+1] != "-" {
			out = append(out, all[i]+"="+all[i+1])
		}
	}
	return strings.Join(out, "; ")
}

// sign puts a DKIM-Signature with these tags on top of a message. It is written
// from the RFC a second time, slow and plain, to be compared with.
func sign(t testing.TB, k crypto.Signer, tags, msg string) string {
	t.Helper()
	h, b, _ := strings.Cut(msg, "\r\n\r\n")
	head, form, _ := strings.Cut(orElse(tagOf(tags, "c"), "simple/simple"), "/")
	canonical := plainBody(orElse(form, "simple"), b)
	if l, err := strconv.Atoi(tagOf(tags, "l")); err == nil && l >= 0 {
		canonical = canonical[:min(l, len(canonical))]
	}
	sum := sha256.Sum256([]byte(canonical))
	field := "DKIM-Signature: " + strings.Replace(tags, "{bh}", base64.StdEncoding.EncodeToString(sum[:]), 1)
	fields := regexp.MustCompile(`\r\n([^ \t])`).Split(h+"\r\n", -1)
	starts := regexp.MustCompile(`\r\n([^ \t])`).FindAllStringSubmatch(h+"\r\n", -1)
	for i := range starts {
		fields[i+1] = starts[i][1] + fields[i+1]
	}
	fields[len(fields)-1] = strings.TrimSuffix(fields[len(fields)-1], "\r\n")
	var data strings.Builder
	for name := range strings.SplitSeq(tagOf(tags, "h"), ":") {
		for i, f := range slices.Backward(fields) {
			n, _, _ := strings.Cut(f, ":")
			if strings.EqualFold(strings.TrimSpace(n), strings.TrimSpace(name)) {
				data.WriteString(plainField(head, f) + "\r\n")
				fields = slices.Delete(slices.Clone(fields), i, i+1)
				break
			}
		}
	}
	data.WriteString(plainField(head, strings.Replace(field, "{b}", "", 1)))
	digest := sha256.Sum256([]byte(data.String()))
	opts := crypto.SignerOpts(crypto.SHA256)
	if _, ok := k.(ed25519.PrivateKey); ok {
		opts = crypto.Hash(0)
	}
	signed, err := k.Sign(rand.Reader, digest[:], opts)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Replace(field, "{b}", base64.StdEncoding.EncodeToString(signed), 1) + "\r\n" + msg
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func tagOf(tags, name string) string {
	m := regexp.MustCompile(`(?:^|;)\s*` + name + `\s*=([^;]*)`).FindStringSubmatch(tags)
	if m == nil {
		return ""
	}
	return strings.TrimSpace(m[1])
}

func plainField(c, f string) string {
	if c == "simple" {
		return f
	}
	name, value, _ := strings.Cut(f, ":")
	value = regexp.MustCompile(`[ \t]+`).ReplaceAllString(strings.ReplaceAll(value, "\r\n", ""), " ")
	return strings.ToLower(strings.TrimSpace(name)) + ":" + strings.Trim(value, " ")
}

func plainBody(c, b string) string {
	if c == "relaxed" {
		lines := strings.Split(b, "\r\n")
		for i, l := range lines {
			lines[i] = strings.TrimRight(regexp.MustCompile(`[ \t]+`).ReplaceAllString(l, " "), " ")
		}
		b = strings.Join(lines, "\r\n")
	}
	for strings.HasSuffix(b, "\r\n") {
		b = strings.TrimSuffix(b, "\r\n")
	}
	if b == "" && c == "relaxed" {
		return ""
	}
	return b + "\r\n"
}

func message(t testing.TB, raw string) *mail.Message {
	t.Helper()
	m, err := mail.Read(mail.Envelope{}, strings.NewReader(raw), mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func at(unix int64) Limits { return Limits{Time: time.Unix(unix, 0)} }

// verifyOne verifies a message of one signature under one key record.
func verifyOne(t testing.TB, raw string, l Limits, records ...string) Result {
	t.Helper()
	z := &zone{txt: map[string][]string{"s1._domainkey.example.com": records}}
	got := Verify(t.Context(), z, message(t, raw), l)
	if len(got) != 1 {
		t.Fatalf("%d results instead of one", len(got))
	}
	return got[0]
}
