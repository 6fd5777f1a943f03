package filter

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// hostileMails are messages of 10 MB, or of a header as large as it may be,
// each the worst that we know for one part of the work.
func hostileMails() map[string][]byte {
	const size = 10 << 20
	from := "From: a@victim.example\r\n"
	body := "\r\n" + strings.Repeat("x", 70) + "\r\n"
	signature := func(c, h string) string {
		return "DKIM-Signature: v=1; a=rsa-sha256; c=" + c + "; d=attacker.example; s=s1; h=" + h +
			"; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=" + strings.Repeat("A", 340) + "==\r\n"
	}
	fill := func(header, unit string) []byte {
		return []byte(header + "\r\n" + strings.Repeat(unit, (size-len(header))/len(unit)))
	}
	fields := func(n int) string { return strings.Repeat("X: y\r\n", n) }
	return map[string][]byte{
		"plain body":             fill(from, strings.Repeat("x", 76)+"\r\n"),
		"ten signatures":         fill(strings.Repeat(signature("simple/simple", "from"), 5)+strings.Repeat(signature("relaxed/relaxed", "from"), 5)+from, strings.Repeat("x ", 38)+"\r\n"),
		"CRLF run, simple":       fill(signature("simple/simple", "from")+from, "\r\n"),
		"CRLF run, relaxed":      fill(signature("relaxed/relaxed", "from")+from, "\r\n"),
		"blank run, relaxed":     fill(signature("relaxed/relaxed", "from")+from, " \t"),
		"blank lines, relaxed":   fill(signature("relaxed/relaxed", "from")+from, " \r\n"),
		"bare CR run":            fill(from, "\r"),
		"long h=":                []byte(signature("relaxed/relaxed", strings.Repeat("x:", 100<<10)+"from") + from + fields(900) + body),
		"1000 names, 900 fields": []byte(strings.Repeat(signature("relaxed/relaxed", strings.Repeat("x:", 990)+"from"), 10) + from + fields(900) + body),
		"folded field":           []byte("X: y" + strings.Repeat("\r\n z", 50<<10) + "\r\n" + signature("relaxed/relaxed", "from:x") + from + body),
		"nested comments":        []byte("From: " + strings.Repeat("(", 60<<10) + "a@victim.example\r\n" + body),
		"comments":               []byte("From: " + strings.Repeat("(x)", 20<<10) + " a@victim.example\r\n" + body),
		"addresses":              []byte("From: " + strings.Repeat("a@victim.example,", 3800) + "a@victim.example\r\n" + body),
		"forged results":         []byte(strings.Repeat("Authentication-Results: ("+strings.Repeat("(", 900)+"\r\n", 990) + from + body),
		"tags":                   []byte(strings.Repeat("DKIM-Signature: "+strings.Repeat("x=y;", 20<<10)+"\r\n", 10) + from + body),
		"signatures":             []byte(strings.Repeat(signature("relaxed/relaxed", "from"), 990) + from + body),
	}
}

// BenchmarkHostile: none of these may cost more than about a second.
func BenchmarkHostile(b *testing.B) {
	for name, text := range hostileMails() {
		b.Run(name, func(b *testing.B) { benchmarkCheck(b, text, hostileSource("v=DKIM1; p="+benchKey)) })
	}
}

// benchKey is a public RSA key of 2048 bits.
const benchKey = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvVn0xvX1o0sNhM4TtUO7sJ0+7X1Yk3m8Rk0S8b0h1sE4J0S2uH6n4yYl7b8u9Yh1b0k9fVvC0l0Q2xw8f1eJw7m1n0p9c3S4r5K6t7U8v9W0x1Y2z3A4b5C6d7E8f9G0h1I2j3K4l5M6n7O8p9Q0r1S2t3U4v5W6x7Y8z9A0b1C2d3E4f5G6h7I8j9K0l1M2n3O4p5Q6r7S8t9U0v1W2x3Y4z5A6b7C8d9E0f1G2h3I4j5K6l7M8n9O0p1Q2r3S4t5U6v7W8x9Y0z1A2b3C4d5E6f7G8h9I0j1K2QIDAQAB"

func benchmarkCheck(b *testing.B, text []byte, source dns.Source) {
	f := testFilter(source)
	env := mail.Envelope{ID: "bench", Client: netip.MustParseAddr("203.0.113.9"), Helo: "mx.attacker.example", MailFrom: "a@attacker.example"}
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		m, err := mail.Read(env, io.MultiReader(bytes.NewReader(text)), mail.Options{})
		if err != nil {
			continue // refused by a limit: cheap, and that is measured
		}
		if v := f.Check(context.Background(), m); v.Fault != "" {
			b.Fatal(v.Fault)
		}
		m.Close()
	}
}
