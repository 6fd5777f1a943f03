package dkim

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// Bodies of all that matters to a canonical form, in pieces of every size, so
// that each lies at each place of the eight octets that are looked at together.
func TestBodyInPieces(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		var b strings.Builder
		for range rnd.IntN(14) {
			b.WriteString([]string{"\r\n", "\r", "\n", " ", "\t", "  ", "x", "word word ", "abcdefgh", "\r\n\r\n"}[rnd.IntN(10)])
		}
		body := b.String()
		for _, c := range []canonicalization{simple, relaxed} {
			want := plainBody(string(c), body)
			for piece := 1; piece <= len(body)+1; piece++ {
				if got := canonical(t, c, body, piece); got != want {
					t.Fatalf("%s %q by %d: %q, want %q", c, body, piece, got, want)
				}
			}
		}
	}
}
