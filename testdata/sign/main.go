// Command sign puts a DKIM-Signature (RFC 6376) on a message, for test cases:
// always the same bytes for the same input, and every tag as one wants it, wrong
// ones too. It shares no code with what the cases test.
//
//	go run ./testdata/sign -domain example.com -selector s1 -key testdata/keys/rsa2048.pem < in.eml > out.eml
//	go run ./testdata/sign -domain example.com -selector s1 -key testdata/keys/rsa2048.pem -record
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sign:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	fl := flag.NewFlagSet("sign", flag.ContinueOnError)
	var s signature
	fl.StringVar(&s.domain, "domain", "", "d=")
	fl.StringVar(&s.selector, "selector", "", "s=")
	key := fl.String("key", "", "PEM `file` with the private key")
	headers := fl.String("headers", "From:To:Subject:Date:Message-ID:MIME-Version:Content-Type:Content-Transfer-Encoding",
		"h=: without this flag only those that the message has")
	fl.StringVar(&s.canon, "canon", "relaxed/relaxed", "c=")
	fl.StringVar(&s.algorithm, "algo", "", "a=: rsa-sha256, rsa-sha1 or ed25519-sha256 (default by the key)")
	fl.StringVar(&s.identifier, "identifier", "", "i=")
	when := fl.String("time", "2026-10-31T12:00:00Z", "t= as RFC 3339; \"\" for none")
	expire := fl.String("expire", "", "x= as RFC 3339")
	fl.IntVar(&s.length, "bodylength", -1, "l=: `octets` of the canonical body that are signed")
	fl.StringVar(&s.extra, "tags", "", "further tags, as they are to stand in the field: \"z=x; q=dns/txt\"")
	record := fl.Bool("record", false, "print the key's TXT record and sign nothing")
	if err := fl.Parse(args); err != nil {
		return err
	}
	if err := s.load(*key); err != nil {
		return err
	}
	if *record {
		txt, err := s.record()
		fmt.Fprint(out, txt)
		return err
	}
	var err error
	if s.time, err = epoch(*when); err != nil {
		return err
	}
	if s.expire, err = epoch(*expire); err != nil {
		return err
	}
	s.headers = strings.Split(*headers, ":")
	s.onlyPresent = true
	fl.Visit(func(f *flag.Flag) { s.onlyPresent = s.onlyPresent && f.Name != "headers" })
	return filter(&s, in, out)
}

// filter signs a file: one without any CR is text, signed with CRLF and written
// with LF again.
func filter(s *signature, in io.Reader, out io.Writer) error {
	message, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	text := bytes.IndexByte(message, '\r') < 0
	if text {
		message = bytes.ReplaceAll(message, []byte("\n"), []byte("\r\n"))
	}
	field, err := s.sign(message)
	if err != nil {
		return err
	}
	message = append([]byte(field), message...)
	if text {
		message = bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	}
	_, err = out.Write(message)
	return err
}

func epoch(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	t, err := time.Parse(time.RFC3339, s)
	return strconv.FormatInt(t.Unix(), 10), err
}
