package proxy

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sekimori/filter"
)

// A verdict's text beyond ASCII reaches the client whole: no character is cut
// where a line is, and none that cannot be printed is in it.
func TestReplyBeyondASCII(t *testing.T) {
	text := strings.Repeat("拒否しました。", 100) + "\u202e\x1b"
	r := judged(filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 550, Enhanced: "5.7.26", Text: text}}, "id1")
	whole := ""
	for _, line := range r.lines {
		if len(line) > 512-len("550-\r\n") || !utf8.ValidString(line) || !strings.HasPrefix(line, "5.7.26 ") {
			t.Errorf("%d octets: %q", len(line), line)
		}
		whole += strings.TrimPrefix(line, "5.7.26 ")
	}
	if whole != strings.Repeat("拒否しました。", 100)+"??" {
		t.Errorf("%q", whole)
	}
}
