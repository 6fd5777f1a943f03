package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	library "github.com/emersion/go-msgauth/dkim"
)

// Each message beside its floor: one verification of a signature and one
// SHA-256 of the body.
func BenchmarkVerify(b *testing.B) {
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	text := strings.Repeat("The quick brown fox jumps over the lazy dog, and that  is it.\r\n", 1<<15)
	attachment := strings.Repeat("JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n", 1<<15)
	for _, c := range []struct {
		name, form, body string
		key              crypto.Signer
	}{
		{"4KB-rsa2048-relaxed", "relaxed/relaxed", text[:4<<10], big},
		{"4KB-rsa2048-simple", "simple/simple", text[:4<<10], big},
		{"4KB-ed25519-relaxed", "relaxed/relaxed", text[:4<<10], edKey()},
		{"1MB-rsa2048-relaxed-text", "relaxed/relaxed", text[:1<<20], big},
		{"1MB-rsa2048-relaxed-base64", "relaxed/relaxed", attachment[:1<<20], big},
		{"1MB-rsa2048-simple-text", "simple/simple", text[:1<<20], big},
	} {
		w := combination{key: c.key}
		raw := sign(b, c.key, tagged("a", w.algorithm(), "c", c.form, "h", "from:to:subject:date:message-id:mime-version:from"), header+"\r\n"+c.body)
		z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(b, c.key)}}}
		m := message(b, raw)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				z.asked = z.asked[:0]
				if got := Verify(b.Context(), z, m, Limits{}); got[0].Word != Pass {
					b.Fatal(got[0].Reason)
				}
			}
		})
		b.Run(c.name+"/floor", func(b *testing.B) {
			body := []byte(c.body)
			verify := floor(b, c.key)
			for b.Loop() {
				sha256.Sum256(body)
				verify()
			}
		})
		b.Run(c.name+"/library", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, err := library.VerifyWithOptions(strings.NewReader(raw), &library.VerifyOptions{
					LookupTXT: func(string) ([]string, error) { return z.txt["s1._domainkey.example.com"], nil },
				})
				if err != nil || v[0].Err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// floor verifies one signature under a key that is there.
func floor(b *testing.B, k crypto.Signer) func() {
	sum := sha256.Sum256(nil)
	if pub, ok := k.Public().(ed25519.PublicKey); ok {
		signed := ed25519.Sign(k.(ed25519.PrivateKey), sum[:])
		return func() { ed25519.Verify(pub, sum[:], signed) }
	}
	signed, err := k.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		b.Fatal(err)
	}
	pub := k.Public().(*rsa.PublicKey)
	return func() {
		if rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], signed) != nil {
			b.Fatal("the floor does not verify")
		}
	}
}

// BenchmarkHostile: ten signatures, each with its own key and a header and a
// body as hostile as they may be.
func BenchmarkHostile(b *testing.B) {
	for name, body := range map[string]string{
		"line-ends":   strings.Repeat("\r\n", 5<<20) + "x",
		"white-space": strings.Repeat("a  ", 10<<20/3),
		"short-lines": strings.Repeat("a\r\n", 10<<20/3),
		"words":       strings.Repeat("a b ", 10<<20/4),
		"CRs":         strings.Repeat("\r", 10<<20),
	} {
		raw := strings.Repeat("X:"+strings.Repeat(" a", 400)+"\r\n", 900) + header + "\r\n" + body
		for i := range 10 {
			form := []string{"relaxed/relaxed", "simple/simple"}[i%2]
			raw = "DKIM-Signature: " + tagged("c", form, "h", "from"+strings.Repeat(":x", 999), "bh", strings.Repeat("A", 43)+"=", "b", "AAAA") + "\r\n" + raw
		}
		z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(b, mersenne(4253, 3217))}}}
		m := message(b, raw)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				z.asked = z.asked[:0]
				Verify(b.Context(), z, m, Limits{})
			}
		})
	}
}
