package filter

import (
	"flag"
	"maps"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"sekimori/filter/dmarc"
)

var update = flag.Bool("update", false, "write texts/en.txt")

// The file of our own texts, to start from, is what we say.
func TestEnglishTexts(t *testing.T) {
	ours := DefaultReplies()
	var b strings.Builder
	b.WriteString("# What refusals say: a reason in brackets, and below it one to three lines of at\n# most 400 bytes. {client} and the like stand for facts, see policy.replies.\n")
	for _, r := range Reasons() {
		if ours[r] != "" {
			b.WriteString("\n[" + string(r) + "]\n" + ours[r] + "\n")
		}
	}
	if *update {
		if err := os.WriteFile("texts/en.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile("texts/en.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != b.String() {
		t.Error("texts/en.txt is not what we say; run go test ./filter -run EnglishTexts -update")
	}
	got, err := ParseTexts(data)
	if err != nil || !maps.Equal(map[Reason]string(got), ours) {
		t.Errorf("read again: %v %v", got, err)
	}
}

// Japanese has a text for each reason, and says no less than is needed.
func TestJapaneseTexts(t *testing.T) {
	all, err := LanguageTexts("ja")
	if err != nil {
		t.Fatal(err)
	}
	for r := range DefaultReplies() {
		if isASCII(all[r]) {
			t.Errorf("%s has no Japanese text: %q", r, all[r])
		}
	}
	if _, err := LanguageTexts("../ja"); err == nil {
		t.Error("a language that is a path")
	}
}

// RFC 6531 section 3.7.4: only who has said SMTPUTF8 may be told more than ASCII.
func TestLanguageOfReply(t *testing.T) {
	p := testPolicy()
	p.HelpURL = "https://example.net/ja/help"
	var err error
	if p.Texts, err = LanguageTexts("ja"); err != nil {
		t.Fatal(err)
	}
	for _, utf8Said := range []bool{false, true} {
		m := testMessage()
		m.Envelope.SMTPUTF8 = utf8Said
		text := p.Decide(m, found(dmarc.Fail, dmarc.PolicyReject)).Reply.Text
		if isASCII(text) == utf8Said || !utf8.ValidString(text) {
			t.Errorf("SMTPUTF8 %v: %q", utf8Said, text)
		}
		if !strings.Contains(text, "example.com") || !strings.HasSuffix(text, "Help: https://example.net/ja/help [id1]") {
			t.Errorf("%q", text)
		}
	}
	p.Replies = map[Reason]string{DMARCFailReject: "own"}
	m := testMessage()
	m.Envelope.SMTPUTF8 = true
	if text := p.Decide(m, found(dmarc.Fail, dmarc.PolicyReject)).Reply.Text; !strings.HasPrefix(text, "own\n") {
		t.Errorf("%q", text)
	}
}

func TestParseTextsRefuses(t *testing.T) {
	for _, text := range []string{
		"text first", "[nothing]\nx", "[spf_fail\nx", "[dmarc_pass]\nx", "[spf_fail]\na\n[spf_fail]\nb", "[spf_fail]\na\nb\nc\nd",
		"[spf_fail]\n" + strings.Repeat("x", 401), "[spf_fail]\n{clinet}", "[spf_fail]\n{client", "[spf_fail]\na\x00b", "[spf_fail]\n\xff",
		strings.Repeat("#\n", maxTexts),
	} {
		if all, err := ParseTexts([]byte(text)); err == nil {
			t.Errorf("%.40q: %v", text, all)
		}
	}
	all, err := ParseTexts([]byte("\ufeff# x\r\n[spf_fail]\r\n a {client}\r\n\r\nb\r\n"))
	if err != nil || all[SPFFail] != "a {client}\nb" {
		t.Errorf("%q %v", all, err)
	}
}

// Nothing from the wire shapes a reply in UTF-8 either, and no character is cut.
func TestCleanUTF8(t *testing.T) {
	got := cleanUTF8("あ\r\n\x1b\u202e\xffい"+strings.Repeat("う", 1000), maxReply)
	if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\x1b\u202e\ufffd") || len(got) > maxReply {
		t.Errorf("%q", got)
	}
	for line := range strings.SplitSeq(got, "\n") {
		if len(line) > maxReplyLine {
			t.Errorf("%d octets", len(line))
		}
	}
}

// The names that facts are known by are those that texts may use.
func TestFactNames(t *testing.T) {
	p := testPolicy()
	for _, n := range factNames() {
		if got := p.fill("{"+n+"}", testMessage(), found(dmarc.Fail, dmarc.PolicyReject)); strings.Contains(got, "{") {
			t.Errorf("{%s} stays", n)
		}
	}
	if got := p.fill("{none} {id} {id", testMessage(), Results{}); got != "{none} id1 {id" {
		t.Errorf("%q", got)
	}
}
