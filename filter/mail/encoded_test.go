package mail

import (
	"strings"
	"testing"
	"time"
)

// However words begin and do not end, the work is linear.
func TestDecodedWordsAreLinear(t *testing.T) {
	for name, text := range map[string]string{
		"begin":       strings.Repeat("=?", 1<<20),
		"begin, once": strings.Repeat("=?a", 1<<19) + "?=",
		"never end":   strings.Repeat("=?a?q?x", 1<<18),
		"end at last": strings.Repeat("=?a?q?x", 1<<18) + "?=",
		"no method":   strings.Repeat("=?a?x?x", 1<<18) + "?=",
		"many":        strings.Repeat("=?iso-2022-jp?b?GyRC?= ", 1<<15),
		"UTF-7":       "=?utf-7?q?" + strings.Repeat("+A", 1<<19) + "?=",
	} {
		start := time.Now()
		decodedWords(text)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %v", name, d)
		}
	}
}
