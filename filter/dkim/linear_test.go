package dkim

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"strings"
	"testing"

	"sekimori/filter/mail"
)

// counted counts what all its hashes are given.
type counted struct {
	hash.Hash
	bytes, writes *int
}

func (c counted) Write(p []byte) (int, error) {
	*c.bytes += len(p)
	*c.writes++
	return c.Hash.Write(p)
}

// cost is what verifying a message takes.
type cost struct {
	bytes, writes, questions int
	allocs                   float64
}

func measure(t testing.TB, z *zone, m *mail.Message, l Limits) (cost, []Result) {
	t.Helper()
	var c cost
	var results []Result
	run := func() {
		v := newVerifier(l)
		v.newHash = func() hash.Hash { return counted{sha256.New(), &c.bytes, &c.writes} }
		results = v.verify(t.Context(), z, m)
	}
	c.allocs = testing.AllocsPerRun(1, run)
	c = cost{allocs: c.allocs}
	z.asked = nil
	run()
	c.questions = len(z.asked)
	return c, results
}

// Each hostile input doubles four times; what it costs must not do worse.
func TestLinear(t *testing.T) {
	many := func(n int, f string) string { return strings.Repeat(f, n) }
	distinct := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("DKIM-Signature: " + tagged("s", fmt.Sprint("s", i), "bh", many(43, "A")+"=", "b", "AAAA") + "\r\n")
		}
		return b.String()
	}
	for _, c := range []struct {
		what string
		from int
		make func(n int) string
	}{
		{"white space in one field", 8 << 10, func(n int) string {
			return sign(t, edKey(), tagged("a", ed25519SHA256, "h", "from:x"), "X: a"+many(n/100, many(98, " ")+"\r\n ")+"b\r\n"+plain)
		}},
		{"continuation lines", 1 << 10, func(n int) string {
			return sign(t, edKey(), tagged("a", ed25519SHA256, "h", "from:x", "c", "simple"), "X: a"+many(n, "\r\n  b")+"\r\n"+plain)
		}},
		{"names in h= and as many fields", 50, func(n int) string {
			return sign(t, edKey(), tagged("a", ed25519SHA256, "h", "from"+many(n, ":x")), many(n, "x: y\r\n")+plain)
		}},
		{"names of fields that are not there", 50, func(n int) string {
			return sign(t, edKey(), tagged("a", ed25519SHA256, "h", "from"+many(n, ":none")), many(n, "x: y\r\n")+plain)
		}},
		{"tags", 3, func(n int) string { return sign(t, edKey(), tagged("a", ed25519SHA256)+numbered(n), plain) }},
		{"a long tag", 900, func(n int) string { return sign(t, edKey(), tagged("a", ed25519SHA256, "z", many(n, "a b=")), plain) }},
		{"signatures that cannot be read", 50, func(n int) string { return many(n, "DKIM-Signature: a=b; a=b\r\n") + plain }},
		{"signatures with a key each", 50, func(n int) string { return distinct(n) + plain }},
		{"line ends in the body", 16 << 10, func(n int) string { return sign(t, edKey(), tagged("a", ed25519SHA256), plain+many(n, "\r\n")) }},
		{"line ends within the body", 16 << 10, func(n int) string {
			return sign(t, edKey(), tagged("a", ed25519SHA256, "c", "simple"), plain+many(n, "\r\n")+"x")
		}},
		{"white space in the body", 8 << 10, func(n int) string { return sign(t, edKey(), tagged("a", ed25519SHA256), plain+many(n, "a  ")) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, edKey())}}}
			var first cost
			for i, n := 0, c.from; i < 5; i, n = i+1, 2*n {
				raw := c.make(n)
				m := message(t, raw)
				got, _ := measure(t, z, m, Limits{})
				if i == 0 {
					first = got
				}
				if got.bytes > 2*len(raw) {
					t.Errorf("%d: %d bytes hashed of %d", n, got.bytes, len(raw))
				}
				if got.questions > 10 {
					t.Errorf("%d: %d questions", n, got.questions)
				}
				if factor := float64(int(1) << i); got.allocs > 1.5*factor*first.allocs+20 || float64(got.writes) > factor*float64(first.writes)*1.5+20 {
					t.Errorf("%d: %+v, %+v at first", n, got, first)
				}
			}
		})
	}
}

// One body, ten signatures, four lengths: each canonical form is hashed once.
func TestBodyIsHashedOnce(t *testing.T) {
	z := &zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, edKey())}}}
	long := header + "\r\n" + strings.Repeat("word  word\r\n", 1<<16)
	one := sign(t, edKey(), tagged("a", ed25519SHA256), long)
	alone, results := measure(t, z, message(t, one), Limits{})
	if words(results) != "pass" {
		t.Fatalf("%+v", results)
	}
	raw, want := one, "pass"
	for _, l := range []string{"1", "77", "4096", "77"} {
		raw, want = sign(t, edKey(), tagged("a", ed25519SHA256, "l", l), raw), "policy "+want
	}
	shared, results := measure(t, z, message(t, raw), Limits{})
	if words(results) != want {
		t.Fatalf("%+v", results)
	}
	const slack = 8 << 10 // of header fields
	if shared.bytes > alone.bytes+slack {
		t.Errorf("%d bytes hashed for one signature, %d for five", alone.bytes, shared.bytes)
	}
	raw = sign(t, edKey(), tagged("a", ed25519SHA256, "c", "simple/simple"), raw)
	both, results := measure(t, z, message(t, raw), Limits{})
	if words(results) != "pass "+want || both.bytes > alone.bytes+len(long)+slack {
		t.Errorf("%s: %d bytes hashed for two forms of %d", words(results), both.bytes, len(long))
	}
}

// A body is not read for signatures that have no key.
func TestNoKeyNoHash(t *testing.T) {
	got, results := measure(t, &zone{}, message(t, sign(t, edKey(), tagged(), plain)), Limits{})
	if got.bytes != 0 || words(results) != "permerror" {
		t.Errorf("%+v %+v", got, results)
	}
}

// One name is asked for once, however many signatures share it.
func TestOneQuestionAName(t *testing.T) {
	raw := sign(t, rsaKey(), tagged(), sign(t, rsaKey(), tagged(), plain))
	if got, _ := measure(t, good(t), message(t, raw), Limits{}); got.questions != 1 {
		t.Errorf("%d questions", got.questions)
	}
}
