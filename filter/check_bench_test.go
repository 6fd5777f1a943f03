package filter

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
	"net/netip"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// specimen is a message as they come, for the benchmark of Check.
type specimen struct {
	name     string
	client   string
	mailFrom string
	text     string
	signer   crypto.Signer // whose check is the floor; nil: unsigned
	action   Action
}

// BenchmarkCheck judges each kind of mail with a warm cache, beside its floor: one
// verification of a signature and one SHA-256 of the message, which no checker
// can do without.
func BenchmarkCheck(b *testing.B) {
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	_, small, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	answers := dns.NewCache(benchZone(b, big, small), 1<<20)
	for _, k := range specimens(b, big, small) {
		b.Run(k.name, func(b *testing.B) { k.check(b, answers) })
		b.Run(k.name+"/floor", k.floor)
	}
}

func benchZone(b *testing.B, big *rsa.PrivateKey, small ed25519.PrivateKey) dns.Source {
	b.Helper()
	public, err := x509.MarshalPKIXPublicKey(big.Public())
	if err != nil {
		b.Fatal(err)
	}
	return zone(b, `
sender.example. TXT "v=spf1 ip4:192.0.2.0/24 -all"
_dmarc.sender.example. TXT "v=DMARC1; p=reject"
rsa._domainkey.sender.example. TXT "v=DKIM1; p=`+base64.StdEncoding.EncodeToString(public)[:200]+`" "`+base64.StdEncoding.EncodeToString(public)[200:]+`"
ed._domainkey.sender.example. TXT "v=DKIM1; k=ed25519; p=`+base64.StdEncoding.EncodeToString(small.Public().(ed25519.PublicKey))+`"
list.example. TXT "v=spf1 ip4:198.51.100.0/24 -all"
_dmarc.list.example. TXT "v=DMARC1; p=none"
`)
}

func specimens(b *testing.B, big *rsa.PrivateKey, small ed25519.PrivateKey) []specimen {
	plain := func(size int) string {
		return "From: Alice <alice@sender.example>\r\nTo: bob@rcpt.example\r\nSubject: the usual\r\nDate: Mon, 1 Jun 2026 10:00:00 +0000\r\n" +
			"Message-ID: <1@sender.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
			strings.Repeat("a line of text as long as most lines of most messages have always been, 78\r\n", size/78)
	}
	const honest, list, stranger = "192.0.2.1", "198.51.100.1", "203.0.113.1"
	const sender, bounces = "alice@sender.example", "bounces@list.example"
	listed := strings.Replace(withSignature(b, plain(4<<10), "rsa", big), "Subject: the usual", "Subject: [list] the usual", 1) + "-- \r\nthe list\r\n"
	return []specimen{
		{"plain-4KB", honest, sender, plain(4 << 10), nil, Accept},
		{"rsa2048-4KB", honest, sender, withSignature(b, plain(4<<10), "rsa", big), big, Accept},
		{"rsa2048-40KB", honest, sender, withSignature(b, plain(40<<10), "rsa", big), big, Accept},
		{"rsa2048-400KB", honest, sender, withSignature(b, plain(400<<10), "rsa", big), big, Accept},
		{"ed25519-4KB", honest, sender, withSignature(b, plain(4<<10), "ed", small), small, Accept},
		{"list-4KB", list, bounces, listed, big, Quarantine},
		{"spoof-4KB", stranger, sender, plain(4 << 10), nil, Reject},
	}
}

func withSignature(b *testing.B, text, selector string, key crypto.Signer) string {
	b.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, strings.NewReader(text), &dkim.SignOptions{
		Domain: "sender.example", Selector: selector, Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"},
	})
	if err != nil {
		b.Fatal(err)
	}
	return out.String()
}

func (k specimen) check(b *testing.B, answers dns.Source) {
	f := testFilter(answers)
	env := mail.Envelope{ID: "bench", Client: netip.MustParseAddr(k.client), Helo: "mx.sender.example", MailFrom: k.mailFrom}
	b.ReportAllocs()
	b.SetBytes(int64(len(k.text)))
	for b.Loop() {
		m, err := mail.Read(env, strings.NewReader(k.text), mail.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if v := f.Check(context.Background(), m); v.Action != k.action {
			b.Fatalf("%s %s: %s", v.Action, v.Reason, v.Explanation)
		}
		m.Close()
	}
}

func (k specimen) floor(b *testing.B) {
	text := []byte(k.text)
	sum := sha256.Sum256(text)
	verify := func() error { return nil }
	switch key := k.signer.(type) {
	case *rsa.PrivateKey:
		made, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			b.Fatal(err)
		}
		verify = func() error { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], made) }
	case ed25519.PrivateKey:
		made := ed25519.Sign(key, sum[:])
		verify = func() error {
			return ed25519.VerifyWithOptions(key.Public().(ed25519.PublicKey), sum[:], made, &ed25519.Options{})
		}
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		sha256.Sum256(text)
		if err := verify(); err != nil {
			b.Fatal(err)
		}
	}
}
