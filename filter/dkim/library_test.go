package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"

	library "github.com/emersion/go-msgauth/dkim"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// combination is a way to sign.
type combination struct {
	head, body string
	key        crypto.Signer
	names      []string
}

func (c combination) algorithm() string {
	if _, ok := c.key.(ed25519.PrivateKey); ok {
		return ed25519SHA256
	}
	return rsaSHA256
}

func (c combination) String() string {
	return fmt.Sprintf("%s/%s %s %v", c.head, c.body, c.algorithm(), c.names)
}

func combinations() []combination {
	var all []combination
	for _, head := range []string{"simple", "relaxed"} {
		for _, body := range []string{"simple", "relaxed"} {
			for _, key := range []crypto.Signer{rsaKey(), edKey()} {
				all = append(all,
					combination{head, body, key, []string{"From", "Subject"}},
					combination{head, body, key, []string{"From", "From", "Subject", "Subject", "X-Absent", "Date", "date"}})
			}
		}
	}
	return all
}

func (c combination) signedByLibrary(t testing.TB, raw string) string {
	t.Helper()
	var out bytes.Buffer
	err := library.Sign(&out, strings.NewReader(raw), &library.SignOptions{
		Domain: "example.com", Selector: "s1", Signer: c.key, HeaderKeys: c.names,
		HeaderCanonicalization: library.Canonicalization(c.head),
		BodyCanonicalization:   library.Canonicalization(c.body),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// libraryPasses is the library's verdict on a message of one signature.
func libraryPasses(t testing.TB, raw, record string) bool {
	t.Helper()
	v, err := library.VerifyWithOptions(strings.NewReader(raw), &library.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "s1._domainkey.example.com" {
				return nil, outcome(name, dns.NXDomain)
			}
			return []string{record}, nil
		},
	})
	return err == nil && len(v) == 1 && v[0].Err == nil
}

// FuzzDifferential: what the library signs, both verify; after a change of one
// byte both still say the same, where the library is right.
func FuzzDifferential(f *testing.F) {
	f.Add("Subject: a  b\nX:\t y \n z", "Hi.\n\n  a  b \n\n", uint8(0), uint16(5), byte('x'))
	f.Add("Subject: a\nSubject: b", "", uint8(1), uint16(200), byte(' '))
	f.Add("X-Y : a", " \n\t\n\n", uint8(2), uint16(300), byte(0))
	f.Add("", "no line end", uint8(3), uint16(9), byte(';'))
	f.Fuzz(func(t *testing.T, head, body string, form uint8, where uint16, what byte) {
		raw := cleanHeader(head) + "From: a@example.com\r\n\r\n" + cleanLines(body)
		c := combinations()[form%16]
		c.key, c.names = edKey(), append(c.names, "X", "X-Y")
		signed := c.signedByLibrary(t, raw)
		compareWithLibrary(t, signed, record(t, c.key), true)
		b := []byte(signed)
		b[int(where)%len(b)] = what
		compareWithLibrary(t, string(b), record(t, c.key), false)
	})
}

func compareWithLibrary(t *testing.T, raw, record string, mustPass bool) {
	t.Helper()
	m := message(t, raw)
	if m.Has(mail.BareNewline) || m.Has(mail.HeaderLine) {
		return // the library repairs such messages; they are refused before they come here
	}
	z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record}}}
	got := Verify(t.Context(), z, m, Limits{})
	ours, theirs := len(got) == 1 && got[0].Word == Pass, libraryPasses(t, raw, record)
	if ours != theirs || mustPass && !ours {
		t.Errorf("ours %+v, the library passes: %t\n%q", got, theirs, raw)
	}
}

// cleanLines gives every line a CRLF and nothing else of the kind.
func cleanLines(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\n", "\r\n")
}

// cleanHeader makes fields of lines.
func cleanHeader(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.NewReplacer("\r", "", "\x00", "").Replace(line)
		if name, _, ok := strings.Cut(line, ":"); ok && (name == "X" || name == "X-Y " || name == "Subject") {
			b.WriteString(line + "\r\n")
		} else if b.Len() > 0 && strings.TrimSpace(line) != "" {
			b.WriteString(" " + line + "\r\n")
		}
	}
	return b.String()
}
