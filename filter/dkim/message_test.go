package dkim

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter/dns"
)

func good(t testing.TB) *zone {
	return &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, rsaKey())}}}
}

func words(results []Result) string {
	var w []string
	for _, r := range results {
		w = append(w, string(r.Word))
	}
	return strings.Join(w, " ")
}

func TestNoSignature(t *testing.T) {
	for _, raw := range []string{plain, "", "\r\n", "DKIM-Signatur\u0117: x\r\n\r\n", "X-DKIM-Signature: v=1\r\n\r\nDKIM-Signature: v=1\r\n"} {
		if got := Verify(t.Context(), &zone{}, message(t, raw), Limits{}); len(got) != 0 {
			t.Errorf("%q: %+v", raw, got)
		}
	}
}

func TestHeaderSelection(t *testing.T) {
	const second = "From: Mallory <m@evil.example>\r\n"
	for _, c := range []struct {
		id, names, before string // signed so
		after             string // prepended to the header afterwards
		want              Word
	}{
		{"DK-053 a second From above", "from", header, second, Pass},
		{"DK-053 a second From above a doubly-listed one", "from:from", header, second, Fail},
		{"DK-053 an absent field that stays absent", "from:x-none", header, "", Pass},
		{"DK-053 an absent field that comes later", "from:x-none", header, "X-None: 1\r\n", Fail},
		{"DK-053 from the bottom up", "from:x:x:x", "X: top\r\nX: bottom\r\n" + header, "", Pass},
		{"DK-053 one of two is signed", "from:x", "X: top\r\nX: bottom\r\n" + header, "X: above\r\n", Pass},
		{"DK-056 names by case", "FROM:SuBjEcT", header, "", Pass},
		{"DK-056 white space before the colon", "from", strings.Replace(header, "From:", "FROM :", 1), "", Pass},
		{"DK-057 an older signature", "from:dkim-signature", "DKIM-Signature: b=abc; old\r\n" + header, "", Pass},
		{"DK-057 a newer signature, where none may come", "from:dkim-signature", header, "DKIM-Signature: b=abc\r\n", Fail},
		{"DK-057 a newer signature beside an older", "from:dkim-signature", "DKIM-Signature: b=abc; old\r\n" + header, "DKIM-Signature: b=abc\r\n", Pass},
		{"DK-058 other octets", "from:subject:x", "X: b\xc3\xbccher \xff\r\n" + header, "", Pass},
		{"DK-070 fields above", "from:subject", header, "Authentication-Results: mx.example.net; none\r\nX: y\r\n", Pass},
	} {
		for _, form := range []string{"simple/simple", "relaxed/relaxed"} {
			raw := c.after + sign(t, rsaKey(), tagged("h", c.names, "c", form), c.before+"\r\n"+body)
			var got []Result
			for _, r := range Verify(t.Context(), good(t), message(t, raw), Limits{}) {
				if r.Domain != "" {
					got = append(got, r)
				}
			}
			if words(got) != string(c.want) {
				t.Errorf("%s, %s: %+v", c.id, form, got)
			}
		}
	}
}

// A From above the signed one is for the one who knows all From fields to find;
// SignedFrom says how many were signed.
func TestUnsignedFrom(t *testing.T) { // DK-069
	raw := "From: m@evil.example\r\n" + sign(t, rsaKey(), tagged(), plain)
	got := Verify(t.Context(), good(t), message(t, raw), Limits{})
	if words(got) != "pass" || got[0].SignedFrom != 1 {
		t.Errorf("%+v", got)
	}
	if d := cmp.Diff([]string{"from", "to", "subject", "date"}, got[0].Signed); d != "" {
		t.Error(d)
	}
}

func TestChanges(t *testing.T) {
	raw := sign(t, rsaKey(), tagged(), plain)
	for _, c := range []struct{ what, old, new, reason string }{
		{"body", "Joe.", "Jim.", "the body was changed after signing (body hash differs)"},
		{"subject", "dinner", "lunch", "the signed header fields were changed, or the key was (signature does not match)"},
		{"both", "is it  ready?\r\n", "is it\r\n", ""},
		{"tag", "v=1; a", "v=1; z=; a", "the signed header fields were changed, or the key was (signature does not match)"},
	} {
		changed := strings.Replace(raw, c.old, c.new, 1)
		if c.what == "both" {
			changed += "x"
			c.reason = "the body and the signed header fields were changed, or the key was (body hash differs, signature does not match)"
		}
		if got := verifyOne(t, changed, Limits{}, record(t, rsaKey())); got.Word != Fail || got.Reason != c.reason {
			t.Errorf("%s: %s %q", c.what, got.Word, got.Reason)
		}
	}
	// What relaxed forgives.
	forgiven := strings.NewReplacer("is it  ready?", "is\r\n it ready? ", "SUBJECT", "subject", "the game", "the   game").Replace(raw)
	if got := verifyOne(t, forgiven+"\r\n\r\n", Limits{}, record(t, rsaKey())); got.Word != Pass {
		t.Errorf("%s %q", got.Word, got.Reason)
	}
}

func TestEmptiedSignature(t *testing.T) { // DK-054
	for tags, want := range map[string]string{
		"a=1; b= x \r\n y ; bh=z":           "a=1; b=; bh=z",
		"bh=b=q; b=x":                       "bh=b=q; b=",
		"zb=1; z=b=2|b =3; b\r\n =\r\n\tx;": "zb=1; z=b=2|b =3; b\r\n =;",
		"b=x\r\n\t; t=1 ":                   "b=; t=1 ",
		"b=; t=1":                           "b=; t=1",
	} {
		m := message(t, "DKIM-signature :"+tags+"\r\n\r\n")
		s := &signature{text: string(m.Header.Fields[0].Value)}
		list, err := parseTags(s.text, maxSignatureTags)
		if err != nil {
			t.Fatal(err)
		}
		s.cut, _ = list.get("b")
		f := newIndex(m.Header.Fields, nil).emptied(s)
		if got := string(f.Raw); got != "DKIM-signature :"+want || string(f.Value) != want {
			t.Errorf("%q: %q", tags, got)
		}
	}
}

func TestExpiryGrace(t *testing.T) { // DK-020
	raw := sign(t, rsaKey(), tagged("t", "1600000000", "x", "1600001000"), plain)
	for now, want := range map[int64]Word{1600000999: Pass, 1600001300: Pass, 1600001301: Policy} {
		if got := verifyOne(t, raw, at(now), record(t, rsaKey())); got.Word != want {
			t.Errorf("at %d: %s", now, got.Word)
		}
	}
	// Policy is for what verifies: an expired signature that does not is a fail.
	if got := verifyOne(t, raw+"x", at(1700000000), record(t, rsaKey())); got.Word != Fail {
		t.Errorf("expired and changed: %s", got.Word)
	}
}

func TestPublicSuffix(t *testing.T) { // DK-011, DK-024
	suffix := func(d string) bool { return d == "corp.example" }
	for _, c := range []struct {
		domain string
		l      Limits
		want   Word
	}{
		{"com", Limits{}, Policy},
		{"localhost", Limits{}, Policy},
		{"co.uk", Limits{}, Policy},
		{"example.co.uk", Limits{}, Pass},
		{"github.io", Limits{}, Pass}, // a company's own list, not a registry's
		{"corp.example", Limits{}, Pass},
		{"corp.example", Limits{PublicSuffix: suffix}, Policy},
		{"co.uk", Limits{PublicSuffix: suffix}, Pass},
	} {
		z := &zone{txt: map[string][]string{"s1._domainkey." + c.domain: {record(t, rsaKey())}}}
		got := Verify(t.Context(), z, message(t, sign(t, rsaKey(), tagged("d", c.domain), plain)), c.l)
		if words(got) != string(c.want) {
			t.Errorf("%s: %+v", c.domain, got)
		}
	}
}

func TestTestingKeys(t *testing.T) { // DK-042
	raw := sign(t, rsaKey(), tagged(), plain)
	key := "v=DKIM1; t=y; p=" + spki(t, rsaKey().Public())
	if got := verifyOne(t, raw, Limits{DenyTesting: true}, key); got.Word != Neutral || !strings.Contains(got.Reason, "t=y") {
		t.Errorf("%s %q", got.Word, got.Reason)
	}
	if got := verifyOne(t, raw+"x", Limits{}, key, record(t, edKey())); got.Word != Neutral {
		t.Errorf("%s %q", got.Word, got.Reason)
	}
}

// RFC 8301 section 3.2 and what we add to it.
func TestRSASizes(t *testing.T) { // DK-043, DK-044
	for _, c := range []struct {
		p, q uint
		l    Limits
		want Word
	}{
		{521, 127, Limits{}, Policy},
		{607, 416, Limits{}, Policy}, // 1023 bits; no prime, no matter
		{607, 521, Limits{}, Pass},   // 1128
		{1279, 521, Limits{MinRSABits: 2048}, Policy},
		{1279, 521, Limits{MinRSABits: 512}, Pass},
		{2203, 1279, Limits{}, Pass}, // 3482
		{2281, 2203, Limits{}, Pass}, // 4484
		{4253, 3217, Limits{}, Pass}, // 7470
		{4423, 4253, Limits{}, PermError},
	} {
		k := mersenne(c.p, c.q)
		tags := tagged()
		if c.want != Pass {
			tags = strings.Replace(tags, "{b}", "AAAA", 1) // no maths is done with it
		}
		got := verifyOne(t, sign(t, k, tags, plain), c.l, record(t, k))
		if got.Word != c.want || got.KeyBits != int(c.p+c.q) || c.want != Pass && !strings.Contains(got.Reason, fmt.Sprint(c.p+c.q)) {
			t.Errorf("%d bits: %s %q", c.p+c.q, got.Word, got.Reason)
		}
	}
}

func TestRSAExponents(t *testing.T) { // DK-044
	n := mersenne(1279, 521).n
	even := new(big.Int).Sub(n, big.NewInt(1))
	for _, pub := range []*rsa.PublicKey{{N: n, E: 2}, {N: n, E: 65536}, {N: n, E: 1}, {N: n, E: 1<<31 + 1}, {N: even, E: 65537}} {
		for _, der := range [][]byte{x509.MarshalPKCS1PublicKey(pub), mustPKIX(t, pub)} {
			key := "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
			got := verifyOne(t, sign(t, rsaKey(), tagged(), plain), Limits{}, key)
			if got.Word != PermError {
				t.Errorf("e=%d: %s %q", pub.E, got.Word, got.Reason)
			}
		}
	}
}

func mustPKIX(t *testing.T, pub *rsa.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Bytes that the parsers of x509 skip are no key either.
func TestStrayBytesInKey(t *testing.T) { // DK-045
	pub := rsaKey().Public().(*rsa.PublicKey)
	pkcs1 := x509.MarshalPKCS1PublicKey(pub)
	inner := append(append([]byte{}, pkcs1...), 2, 1, 0)
	inner[2] += 3 // of 0x30 0x81 len: an integer more in the SEQUENCE
	for name, der := range map[string][]byte{"inside": inner, "after": append(append([]byte{}, pkcs1...), 0)} {
		if parseRSA(der) != nil {
			t.Errorf("a key with stray bytes %s was taken", name)
		}
	}
	if parseRSA(pkcs1) == nil {
		t.Error("the key itself was not taken")
	}
}

func TestSeveralSignatures(t *testing.T) { // DK-060, DK-061, DK-063, DK-064, DK-065
	bad := sign(t, rsaKey(), tagged(), plain+"x")
	bad, _, _ = strings.Cut(bad, "From:")
	junk := "DKIM-Signature: junk\r\n"
	gone := "DKIM-Signature: " + tagged("d", "slow.example", "bh", strings.Repeat("A", 43)+"=", "b", "AAAA") + "\r\n"
	ok := sign(t, rsaKey(), tagged(), plain)
	z := good(t)
	z.errs = map[string]error{"s1._domainkey.slow.example": outcome("s1._domainkey.slow.example", dns.ServFail)}
	for raw, want := range map[string]string{
		bad + junk + ok:           "fail neutral pass",
		junk + bad + ok:           "neutral fail pass",
		bad + plain:               "fail",
		gone + plain:              "temperror",
		bad + gone + junk + plain: "fail temperror neutral",
	} {
		if got := words(Verify(t.Context(), z, message(t, raw), Limits{})); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	again := strings.Replace(ok, "From:", strings.SplitAfter(ok, "\r\n")[0]+"From:", 1)
	if got := words(Verify(t.Context(), z, message(t, again), Limits{})); got != "pass pass" {
		t.Errorf("the same signature twice: %s", got)
	}
}

func TestLimit(t *testing.T) { // DK-062
	junk := strings.Repeat("DKIM-Signature: junk\r\n", 9)
	far := "DKIM-Signature: " + tagged("d", "far.example", "bh", strings.Repeat("A", 43)+"=", "b", "AAAA") + "\r\n"
	raw := junk + far + far + sign(t, rsaKey(), tagged(), plain)
	results := func(l Limits) string {
		return words(Verify(t.Context(), good(t), message(t, raw), l))
	}
	nine := strings.Repeat("neutral ", 9)
	for author, want := range map[string]string{
		"":                 nine + "permerror policy policy",
		"other.example":    nine + "permerror policy policy",
		"example.com":      nine + "policy policy pass",
		"news.example.com": nine + "policy policy pass",
		"far.example":      strings.Repeat("neutral ", 8) + "policy permerror permerror policy",
	} {
		if got := results(Limits{Author: author}); got != want {
			t.Errorf("author %q: %s, want %s", author, got, want)
		}
	}
	if got := results(Limits{Signatures: 12}); got != nine+"permerror permerror pass" {
		t.Error(got)
	}
	got := Verify(t.Context(), good(t), message(t, raw), Limits{Signatures: 1})
	for _, r := range got[1:] {
		if r.Word != Policy || r.Reason != "limit" || r.Queried != "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestDistance(t *testing.T) { // DK-062
	v := newVerifier(Limits{Author: "a.example.co.uk"})
	for d, want := range map[string]int{
		"a.example.co.uk": 0, "example.co.uk": 1, "b.a.example.co.uk": 1, "b.example.co.uk": 2, "other.co.uk": 3, "co.uk": 1, "": 3,
	} {
		if got := v.distance(&signature{Result: Result{Domain: d}}); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}

func TestDistinguish(t *testing.T) { // DK-067, RFC 6008
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ b, want []string }{
		{[]string{"abcdefghijkl"}, []string{"abcdefgh"}},
		{[]string{"abcdefghijkl", "zbcdefghijkl", ""}, []string{"abcdefgh", "zbcdefgh", ""}},
		{[]string{"abcdefghijkl", "abcdefghiJkl", "abcdefghijkm"}, []string{"abcdefghijkl", "abcdefghiJ", "abcdefghijkm"}},
		{[]string{"abcdefghijkl", "abcdefghijkl"}, []string{"abcdefgh", "abcdefgh"}},
		{[]string{"abcd", "abcdefghijkl"}, []string{"abcd", "abcdefgh"}},
		{[]string{long + "a", long + "b"}, []string{long[:8], long[:8]}},
	} {
		var all []*signature
		for _, b := range c.b {
			all = append(all, &signature{Result: Result{B: b}})
		}
		distinguish(all)
		for i, s := range all {
			if s.B != c.want[i] {
				t.Errorf("%q: %q, want %q", c.b, s.B, c.want[i])
			}
		}
	}
}

func TestInternationalNames(t *testing.T) { // DK-058, EA-7
	name := "xn--schlssel-95a._domainkey.xn--bcher-kva.example"
	z := &zone{txt: map[string][]string{name: {record(t, rsaKey())}}}
	for _, pairs := range [][]string{
		{"d", "bücher.example", "s", "schlüssel", "i", "jörg@post.BÜCHER.example"},
		{"d", "xn--bcher-kva.example", "s", "schlüssel", "i", "@bücher.example"},
		{"d", "BÜCHER.example", "s", "xn--schlssel-95a", "i", "@xn--bcher-kva.example"},
	} {
		for _, form := range []string{"simple", "relaxed"} {
			got := Verify(t.Context(), z, message(t, sign(t, rsaKey(), tagged(append(pairs, "c", form)...), plain)), Limits{})
			if words(got) != "pass" || got[0].Domain != "xn--bcher-kva.example" || got[0].Queried != name || got[0].Identifier[0] != '@' {
				t.Errorf("%q: %+v", pairs, got)
			}
		}
	}
	got := Verify(t.Context(), z, message(t, sign(t, rsaKey(), tagged("d", "b\u00fccher\u2003.example"), plain)), Limits{})
	if words(got) != "neutral" || got[0].Domain != "" {
		t.Errorf("%+v", got)
	}
}

func TestSignedHeaderTooLong(t *testing.T) { // DK-068
	m := message(t, sign(t, rsaKey(), tagged("h", "from:x"), plain))
	m.Header.Fields[2].Name, m.Header.Fields[2].Raw = "X", make([]byte, maxSignedBytes)
	got := Verify(t.Context(), good(t), m, Limits{})
	if words(got) != "permerror" || !strings.Contains(got[0].Reason, "longer than") {
		t.Errorf("%+v", got)
	}
}

func TestUnfinishedHeader(t *testing.T) {
	raw := sign(t, rsaKey(), tagged("c", "simple"), header+"\r\n")
	raw = strings.TrimSuffix(raw, "\r\n\r\n") // the message ends in the middle of a line
	if got := verifyOne(t, raw, Limits{}, record(t, rsaKey())); got.Word != Pass {
		t.Errorf("%s %q", got.Word, got.Reason)
	}
}

func TestPrefetch(t *testing.T) {
	z := rfc8463Zone()
	m := message(t, "DKIM-Signature: junk\r\n"+rfc8463)
	Prefetch(t.Context(), z, m.Header, Limits{})
	early := len(z.asked)
	Verify(t.Context(), z, m, Limits{})
	if early != 2 || len(z.asked) != 4 {
		t.Errorf("asked %q", z.asked)
	}
}

func TestClock(t *testing.T) {
	raw := sign(t, rsaKey(), tagged("x", fmt.Sprint(time.Now().Unix()-1000)), plain)
	if got := verifyOne(t, raw, Limits{}, record(t, rsaKey())); got.Word != Policy {
		t.Errorf("%s: the clock does not stand at now", got.Word)
	}
}
