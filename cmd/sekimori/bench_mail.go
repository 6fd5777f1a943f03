package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"sekimori/filter/dns"
)

// benchMail is what a load sends, in turn, and what the DNS says of it.
type benchMail struct {
	letters []letter
	words   string // for people: what it is
	key     *rsa.PrivateKey
	domains []string
}

const (
	benchHelo     = "mx.bench.example"
	benchSelector = "bench"
	benchDomains  = 20
	benchMemory   = 16 << 20 // bytes of all messages together, about
	// Space that header and signature take in a message of a wanted size.
	benchHeader = 900
)

// mixture is what comes in usually: 16 small messages, 3 of middle size, 1 large,
// far from each other.
var mixture = [benchDomains]int{5: 40 << 10, 9: 400 << 10, 13: 40 << 10, 18: 40 << 10}

// signedMail makes messages of one size, or of a mixture for 0, each of a domain
// of its own and with a DKIM signature.
func signedMail(size int, from string, rcpts []string) (*benchMail, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	m := &benchMail{key: key, words: "80 % of 4 KB, 15 % of 40 KB, 5 % of 400 KB"}
	n := benchDomains
	if size > 0 {
		m.words = octets(int64(size)) + " each"
		n = max(1, min(n, benchMemory/size))
	}
	for i := range n {
		wanted := size
		if wanted == 0 {
			wanted = max(mixture[i], 4<<10)
		}
		data, err := m.sign(benchMessage(i, wanted), benchDomain(i))
		if err != nil {
			return nil, fmt.Errorf("signing a message: %w", err)
		}
		m.domains = append(m.domains, benchDomain(i))
		m.letters = append(m.letters, newLetter(orSender(from, i), rcpts, data))
	}
	return m, nil
}

// size is that of a message, on the average.
func (m *benchMail) size() int {
	total := 0
	for _, l := range m.letters {
		total += len(l.wire)
	}
	return max(1, total/len(m.letters))
}

func benchDomain(i int) string { return fmt.Sprintf("s%02d.bench.example", i) }

func orSender(from string, i int) string {
	if from != "" {
		return from
	}
	return "news@" + benchDomain(i)
}

// benchMessage is text of about the size in lines of 76, always the same.
func benchMessage(i, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: News <news@%s>\r\nTo: user@example.net\r\nSubject: Load %d\r\n", benchDomain(i), i)
	fmt.Fprintf(&b, "Date: %s\r\nMessage-ID: <%d@%s>\r\n", time.Now().Format(time.RFC1123Z), i, benchDomain(i))
	fmt.Fprint(&b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n")
	noise := mathrand.New(mathrand.NewPCG(1, uint64(i)))
	const line = 76
	var raw [line / 4 * 3]byte
	for left := size - benchHeader; left > 0; left -= line + 2 {
		for k := range raw {
			raw[k] = byte(noise.Uint32())
		}
		text := base64.StdEncoding.EncodeToString(raw[:])
		fmt.Fprintf(&b, "%s\r\n", text[:min(line, left)])
	}
	return b.Bytes()
}

func (m *benchMail) sign(message []byte, domain string) ([]byte, error) {
	var signed bytes.Buffer
	err := dkim.Sign(&signed, bytes.NewReader(message), &dkim.SignOptions{
		Domain: domain, Selector: benchSelector, Signer: m.key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
	})
	return signed.Bytes(), err
}

// zone is the DNS of the domains that send.
func (m *benchMail) zone() (*dns.Zone, error) {
	const spf = `TXT "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all"` + "\n"
	var b strings.Builder
	fmt.Fprintf(&b, "%s. %s", benchHelo, spf)
	for i := range benchDomains { // files of a corpus are sent from these too
		fmt.Fprintf(&b, "%s. %s", benchDomain(i), spf)
	}
	for _, d := range m.domains {
		key, err := m.keyRecord(d)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s_dmarc.%s. TXT \"v=DMARC1; p=reject\"\n", key, d)
	}
	return dns.ParseZone("bench.zone", strings.NewReader(b.String()))
}

// keyRecord is the line of a zone for the key of a domain's signatures.
func (m *benchMail) keyRecord(domain string) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(&m.key.PublicKey)
	key := "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	// A string of TXT holds 255 bytes at most (RFC 1035 section 3.3).
	return fmt.Sprintf("%s._domainkey.%s. TXT %q %q\n", benchSelector, domain, key[:255], key[255:]), err
}

const maxCorpus = 1 << 30 // bytes of all files together

// corpusMail takes the .eml files of a directory.
func corpusMail(dir, from string, rcpts []string) (*benchMail, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	m, total := &benchMail{}, 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".eml") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if total += len(data); total > maxCorpus {
			return nil, fmt.Errorf("the files in %s are larger than 1 GiB together: choose fewer", dir)
		}
		from := orSender(from, len(m.letters)%benchDomains)
		m.letters = append(m.letters, newLetter(from, rcpts, textLines(data)))
	}
	if len(m.letters) == 0 {
		return nil, fmt.Errorf("%s holds no .eml file", dir)
	}
	m.words = fmt.Sprintf("%d files of %s", len(m.letters), dir)
	return m, nil
}
