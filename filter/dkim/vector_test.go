package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter/mail"
)

// RFC 8463 appendix A.3.
const rfc8463 = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n" +
	" d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n" +
	" subject : date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
	" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n" +
	" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n" +
	"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n" +
	" d=football.example.com; i=@football.example.com;\r\n" +
	" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n" +
	" date : message-id : from : subject : date;\r\n" +
	" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" +
	" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n" +
	" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n" +
	" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n" +
	"From: Joe SixPack <joe@football.example.com>\r\n" +
	"To: Suzie Q <suzie@shopping.example.net>\r\n" +
	"Subject: Is dinner ready?\r\n" +
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n" +
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n" +
	"\r\n" +
	"Hi.\r\n" +
	"\r\n" +
	"We lost the game.  Are you hungry yet?\r\n" +
	"\r\n" +
	"Joe.\r\n"

func rfc8463Zone() *zone {
	return &zone{txt: map[string][]string{
		"brisbane._domainkey.football.example.com": {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="},
		"test._domainkey.football.example.com": {"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQ" +
			"iY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"},
	}}
}

func TestRFC8463(t *testing.T) { // DK-046, DK-067
	got := Verify(t.Context(), rfc8463Zone(), message(t, rfc8463), Limits{})
	signed := strings.Split("from:to:subject:date:message-id:from:subject:date", ":")
	want := []Result{{
		Word: Pass, Domain: "football.example.com", Selector: "brisbane", Algorithm: "ed25519-sha256", KeyBits: 256,
		Identifier: "@football.example.com", B: "/gCrinpc", Queried: "brisbane._domainkey.football.example.com",
		SignedFrom: 2, Canonicalization: "relaxed/relaxed", Signed: signed,
	}, {
		Word: Pass, Domain: "football.example.com", Selector: "test", Algorithm: "rsa-sha256", KeyBits: 1024,
		Identifier: "@football.example.com", B: "F45dVWDf", Queried: "test._domainkey.football.example.com",
		SignedFrom: 2, Canonicalization: "relaxed/relaxed", Signed: signed,
	}}
	for i := range got {
		if got[i].SignedAt.Unix() != 1528637909 {
			t.Errorf("signed at %v", got[i].SignedAt)
		}
		got[i].SignedAt = want[i].SignedAt
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// canonical runs a body through in pieces of the given size.
func canonical(t testing.TB, c canonicalization, body string, piece int) string {
	t.Helper()
	var out bytes.Buffer
	w := newBody(c, &out)
	for b := []byte(body); len(b) > 0; {
		n := min(piece, len(b))
		if _, err := w.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestBodyCanonicalization(t *testing.T) { // DK-050, DK-052, DK-059
	for _, c := range []struct{ body, simple, relaxed string }{
		{"", "\r\n", ""},
		{"\r\n", "\r\n", ""},
		{"\r\n\r\n\r\n", "\r\n", ""},
		{" \t\r\n", " \t\r\n", ""},
		{"  ", "  \r\n", ""},
		{" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n"}, // RFC 6376 section 3.4.5
		{"a", "a\r\n", "a\r\n"},
		{"a\r\n \r\n\t\r\n", "a\r\n \r\n\t\r\n", "a\r\n"},
		{"\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
		{"\r\n b", "\r\n b\r\n", "\r\n b\r\n"},
		{"a \r\n\r\n  b  c\t\r\nd", "a \r\n\r\n  b  c\t\r\nd\r\n", "a\r\n\r\n b c\r\nd\r\n"},
		{"a\rb\r", "a\rb\r\r\n", "a\rb\r\r\n"},
		{"a\r\r\n", "a\r\r\n", "a\r\r\n"},
		{"a \rb", "a \rb\r\n", "a \rb\r\n"},
		{"a\nb \n", "a\nb \n\r\n", "a\nb \n\r\n"},
		{"a\x00 \x00b\xff  \xfe\r\n", "a\x00 \x00b\xff  \xfe\r\n", "a\x00 \x00b\xff \xfe\r\n"},
		{".\r\n..\r\n", ".\r\n..\r\n", ".\r\n..\r\n"},
	} {
		for piece := 1; piece <= len(c.body)+1; piece++ {
			if got := canonical(t, simple, c.body, piece); got != c.simple {
				t.Errorf("simple %q by %d: %q", c.body, piece, got)
			}
			if got := canonical(t, relaxed, c.body, piece); got != c.relaxed {
				t.Errorf("relaxed %q by %d: %q", c.body, piece, got)
			}
		}
	}
}

func TestEmptyBodyHash(t *testing.T) { // DK-050
	for c, want := range map[canonicalization]string{
		simple:  "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		relaxed: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	} {
		sums, err := hashBody(strings.NewReader(""), sha256.New, []*signature{{body: c, length: -1}})
		if err != nil {
			t.Fatal(err)
		}
		if got := base64.StdEncoding.EncodeToString(sums[c].whole); got != want {
			t.Errorf("%s: %s", c, got)
		}
	}
}

func TestHeaderCanonicalization(t *testing.T) { // DK-051
	for raw, want := range map[string]string{
		"A: X\r\n":                              "a:X", // RFC 6376 section 3.4.5
		"B : Y\t\r\n\tZ  \r\n":                  "b:Y Z",
		"SUBJect:a\r\n b\r\n":                   "subject:a b",
		"X:\r\n":                                "x:",
		"X: \r\n \r\n":                          "x:",
		"X:\t a \t b\r\n \r\n\tc \xff\x00d\r\n": "x:a b c \xff\x00d",
	} {
		f := message(t, raw+"\r\n").Header.Fields[0]
		if got := string(appendField(nil, relaxed, f)); got != want {
			t.Errorf("relaxed %q: %q", raw, got)
		}
		if got := string(appendField(nil, simple, f)) + "\r\n"; got != raw {
			t.Errorf("simple %q: %q", raw, got)
		}
	}
}

// The library signs, we verify: each canonicalization and algorithm, and signed
// twice over.
func TestSignedByLibrary(t *testing.T) {
	for _, c := range combinations() {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			raw := c.signedByLibrary(t, plain)
			got := verifyOne(t, raw, Limits{}, record(t, c.key))
			if got.Word != Pass {
				t.Errorf("%s: %s", got.Word, got.Reason)
			}
			if got := verifyOne(t, raw+"x", Limits{}, record(t, c.key)); got.Word != Fail {
				t.Errorf("with an addition: %s", got.Word)
			}
		})
	}
}

// And our own plain signer, for what the library cannot sign: l=.
func TestSignedPlainly(t *testing.T) {
	for _, c := range combinations() {
		whole := len(plainBody(c.body, body))
		for length, want := range map[int]Word{-1: Pass, whole: Pass, whole - 1: Policy, 0: Policy, whole + 1: PermError} {
			pairs := []string{"a", c.algorithm(), "c", c.head + "/" + c.body, "h", strings.Join(c.names, ":")}
			if length >= 0 {
				pairs = append(pairs, "l", fmt.Sprint(length))
			}
			raw := sign(t, c.key, tagged(pairs...), plain)
			if got := verifyOne(t, raw, Limits{}, record(t, c.key)); got.Word != want {
				t.Errorf("%v, l=%d of %d: %s: %s", c, length, whole, got.Word, got.Reason)
			}
		}
	}
}

func TestBodyUnreadable(t *testing.T) {
	m, err := mail.Read(mail.Envelope{}, strings.NewReader(sign(t, rsaKey(), tagged(), plain)), mail.Options{Memory: -1, Directory: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, rsaKey())}}}
	if got := Verify(t.Context(), z, m, Limits{}); got[0].Word != TempError {
		t.Errorf("%s: %s", got[0].Word, got[0].Reason)
	}
}

func TestBlocksDoNotMatter(t *testing.T) {
	long := strings.Repeat("a  b \r\n \r\n\r\nword word word\t\r\n", 200)
	for _, c := range []canonicalization{simple, relaxed} {
		want := plainBody(string(c), long)
		for _, piece := range []int{1, 2, 3, 7, 64, 1 << 16} {
			if got := canonical(t, c, long, piece); got != want {
				t.Errorf("%s by %d differs", c, piece)
			}
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add("a  b \r\n\r\n c\r", byte(2))
	f.Add("\r\n\r\r\n \t", byte(1))
	f.Fuzz(func(t *testing.T, body string, piece byte) {
		for _, c := range []canonicalization{simple, relaxed} {
			if got, want := canonical(t, c, body, int(piece)+1), plainBody(string(c), body); got != want {
				t.Errorf("%s %q by %d: %q, want %q", c, body, int(piece)+1, got, want)
			}
		}
	})
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []canonicalization{simple, relaxed} {
		for _, body := range []string{"a\r", "a  b\r\nc", "\r\n\r\na"} {
			r, w := io.Pipe()
			r.Close()
			b := newBody(c, w)
			_, err := io.WriteString(b, body)
			if err == nil {
				err = b.Close()
			}
			if err == nil {
				t.Errorf("%s %q: a failing writer went unnoticed", c, body)
			}
		}
	}
}
