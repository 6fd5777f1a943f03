package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
)

const message = "From: Joe <joe@example.com>\r\nTo: x@example.net\r\nSubject : folded\r\n\t and  spaced \r\nDate: Sat, 31 Oct 2026 12:00:00 +0000\r\n\r\n Hi  \r\n\r\nthere\t.\r\n\r\n\r\n"

// Another implementation verifies what this one signs.
func TestSign(t *testing.T) {
	for _, key := range []string{"rsa2048", "rsa1024", "ed25519"} {
		for _, canon := range []string{"simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"} {
			args := []string{"-domain", "example.com", "-selector", "s1", "-key", "../keys/" + key + ".pem", "-canon", canon, "-identifier", "joe@sub.example.com"}
			var record, signed bytes.Buffer
			if err := run(append(args, "-record"), nil, &record); err != nil {
				t.Fatal(err)
			}
			if err := run(args, strings.NewReader(message), &signed); err != nil {
				t.Fatal(err)
			}
			if err := verify(signed.Bytes(), record.String()); err != nil {
				t.Errorf("%s %s: %v\n%s", key, canon, err, signed.String())
			}
			broken := bytes.Replace(signed.Bytes(), []byte("there"), []byte("where"), 1)
			if verify(broken, record.String()) == nil {
				t.Errorf("%s %s: a changed message verifies", key, canon)
			}
			text := strings.ReplaceAll(message, "\r\n", "\n")
			var out bytes.Buffer
			if err := run(args, strings.NewReader(text), &out); err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(out.String(), "\n", "\r\n"); got != signed.String() {
				t.Errorf("text gives another signature:\n%s", got)
			}
		}
	}
}

func verify(message []byte, record string) error {
	_, txt, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(record), `"`), `TXT "`)
	verifications, err := dkim.VerifyWithOptions(bytes.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "s1._domainkey.example.com" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{strings.ReplaceAll(txt, `" "`, "")}, nil
		}})
	if err != nil || len(verifications) != 1 {
		return fmt.Errorf("%d signatures: %w", len(verifications), err)
	}
	return verifications[0].Err
}

func TestSignTags(t *testing.T) {
	var out bytes.Buffer
	err := run([]string{"-domain", "d.example", "-selector", "s", "-key", "../keys/rsa1024.pem", "-headers", "from:From:x", "-canon", "simple/relaxed",
		"-algo", "rsa-sha1", "-time", "1970-01-01T00:01:00Z", "-expire", "1970-01-01T00:02:00Z", "-bodylength", "4", "-tags", "q=dns/txt; z=a"}, strings.NewReader(message), &out)
	if err != nil {
		t.Fatal(err)
	}
	const want = "DKIM-Signature: v=1; a=rsa-sha1; c=simple/relaxed; d=d.example; s=s; t=60; x=120; l=4; q=dns/txt; z=a;\r\n\th=from:From:x;\r\n"
	if !strings.HasPrefix(out.String(), want) {
		t.Errorf("got\n%s", out.String())
	}
	for _, bad := range [][]string{{"-key", "none.pem"}, {"-time", "now"}, {"-expire", "x"}, {"-bodylength", "9999"}, {"-key", "../keys/README.md"}} {
		args := append([]string{"-domain", "d", "-selector", "s", "-key", "../keys/rsa1024.pem"}, bad...)
		if run(args, strings.NewReader(message), &out) == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
	if run([]string{"-domain", "d", "-selector", "s", "-key", "../keys/rsa1024.pem"}, strings.NewReader("no blank line"), &out) == nil {
		t.Error("a message without a body was signed")
	}
}
