package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekimori/filter"
)

func TestPages(t *testing.T) {
	s := newSite(t)
	for _, lang := range languages {
		for _, path := range paths() {
			status, page := s.get(path, lang)
			want := 200
			if path == "/nothing" {
				want = 404
			}
			if status != want || !strings.Contains(page, `<html lang="`+lang+`">`) || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
				t.Errorf("%s %s: %d\n%.300s", lang, path, status, page)
			}
		}
	}
}

// A key that is missing would show itself.
func TestNoKeyIsShown(t *testing.T) {
	s := newSite(t)
	keys := regexp.MustCompile(`>\s*(title|nav|result|state|part|tile|now|chart|col|field|error|message|outcome|why|reason|tell|domains?|audit|rank|policy|period|worst|technique)\.[a-z_.0-9]+\s*<`)
	for _, lang := range languages {
		for _, path := range append(paths(), "/messages/3") {
			_, page := s.get(path, lang)
			for _, key := range keys.FindAllString(page, -1) {
				if key != ">policy.dmarc.reject<" {
					t.Errorf("%s %s shows the key %s", lang, path, key)
				}
			}
		}
	}
}

func readTexts(t *testing.T, code string) map[string]string {
	t.Helper()
	b, err := os.ReadFile("texts/" + code + ".json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTextsAreInAllLanguages(t *testing.T) {
	english := readTexts(t, "en")
	for _, code := range languages[1:] {
		other := readTexts(t, code)
		for key, text := range english {
			translated, ok := other[key]
			if !ok || strings.TrimSpace(translated) == "" {
				t.Errorf("%s lacks %s", code, key)
			}
			for _, argument := range []string{"{0}", "{1}"} {
				if strings.Contains(text, argument) != strings.Contains(translated, argument) {
					t.Errorf("%s: %s has other arguments", code, key)
				}
			}
		}
		for key := range other {
			if _, ok := english[key]; !ok {
				t.Errorf("en lacks %s", key)
			}
		}
	}
}

// What the pages ask for is there, and what is there is asked for.
func TestTextsAreUsed(t *testing.T) {
	english := readTexts(t, "en")
	var source strings.Builder
	files, err := os.ReadDir("pages")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile("pages/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	for _, m := range regexp.MustCompile(`\bt "([a-z0-9_.]+)"`).FindAllStringSubmatch(source.String(), -1) {
		if _, ok := english[m[1]]; !ok {
			t.Errorf("the pages ask for %s, which there is not", m[1])
		}
	}
	made := regexp.MustCompile(`^(title|result|state|worst|part|health|period|reason|why|tell|outcome|technique|rank|audit|col)\.`) // keys that are put together
	for key := range english {
		if !made.MatchString(key) && !strings.Contains(source.String(), `"`+key+`"`) {
			t.Errorf("nobody asks for %s", key)
		}
	}
}

// Every reason and outcome of the core is explained.
func TestReasonsAreExplained(t *testing.T) {
	english := readTexts(t, "en")
	for _, r := range filter.Reasons() {
		for _, kind := range []string{"reason.", "why."} {
			if english[kind+string(r)] == "" {
				t.Errorf("no %s%s", kind, r)
			}
		}
		if _, replies := filter.DefaultReplies()[r]; replies && english["tell."+string(r)] == "" {
			t.Errorf("no tell.%s, though a client can be refused for it", r)
		}
	}
	for _, o := range []filter.Outcome{filter.Delivered, filter.Rejected, filter.Deferred, filter.UpstreamRefused, filter.UpstreamFailed, filter.ClientLost, filter.Refused, filter.Failed} {
		if english["outcome."+string(o)] == "" {
			t.Errorf("no outcome.%s", o)
		}
	}
	for _, w := range filter.Techniques() {
		if w != filter.NoTechnique && english["technique."+string(w)] == "" {
			t.Errorf("no technique.%s", w)
		}
	}
}

func TestLanguage(t *testing.T) {
	s := newSite(t)
	for accept, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,en;q=0.5": "ja", "en;q=0.8, ja;q=0.9": "ja", "de, fr": "en", "de;q=1, en;q=0.1, ja;q=0.2": "ja", "ja;q=0, en;q=0": "en",
		"ja;q=x": "en", "ja;q=NaN": "en", strings.Repeat("xx,", 1000) + "ja": "en", ";;;,,,;q=1": "en", "JA": "ja",
	} {
		if _, page := s.get("/", accept); !strings.Contains(page, `<html lang="`+want+`">`) {
			t.Errorf("%.60q: not %s", accept, want)
		}
	}
	_, page := s.get("/?lang=ja", "en")
	if !strings.Contains(page, `<html lang="ja">`) || !strings.Contains(page, `href="/messages?lang=ja"`) {
		t.Error("the language that was asked for is lost")
	}
	if _, page := s.get("/?lang=<script>", "en"); strings.Contains(page, "<script>") {
		t.Error("a language is not escaped")
	}
}

// Bidi, controls, markup, bytes that are no text, and far too long: on every page
// and in every field.
func hostile() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "javascript:alert(1)", "{{.}}", "'; DROP TABLE x;--", "</title><script>alert(1)</script>",
		"\u202egpj.exe", "\u2066\u2069\u200f", "a\u0000b\x1b[31m", "\xff\xfe\x80", "zero\u200bwidth\ufeff", strings.Repeat("long ", 20000), strings.Repeat("\u0301", 500),
		"\U000e0041\U000e0042", "line\u2028separator", "\u115f\u3164\u2800",
	}
}

func TestHostileData(t *testing.T) {
	for _, bad := range hostile() {
		s := newSite(t)
		m := newMessage(2, s.fake.now, filter.Rejected, "reject", "spf_fail")
		for _, field := range []*string{&m.MessageID, &m.Node, &m.Listener, &m.Client, &m.Helo, &m.MailFrom, &m.Author, &m.Protected, &m.Technique, &m.SPF, &m.DKIM, &m.DMARC,
			&m.Detail.Upstream, &m.Detail.TLS, &m.Detail.Error, &m.Detail.Reply.Text, &m.Detail.View.Verdict.Explanation, &m.Detail.View.SPF.MailFrom.Reason,
			&m.Detail.View.DKIM[0].Domain, &m.Detail.View.DMARC.Record, &m.Detail.View.Edit.Drop[0], &m.Detail.Exchanges[0].Question, &m.Detail.Exchanges[0].Answer[0], &m.Detail.Exchanges[0].Error} {
			*field = bad
		}
		m.Recipients, m.Tenants = []string{bad, bad}, []string{bad}
		other := m
		other.ID, other.Reason, other.Shadow, other.Outcome = 3, bad, bad, filter.Outcome(bad)
		s.fake.found = []Message{m, other}
		s.fake.domains, s.fake.sources = []DomainCount{{bad, 1, 0, 1, 1, 0}}, []Source{{bad, 1, 0, 1, s.fake.now}}
		s.Console.Options.Health = func() []Health {
			return []Health{{Part: "dns", State: Bad, Words: bad}, {Part: "sources", State: Warn, Key: "health.domains", Args: []string{bad}}}
		}
		for _, path := range append(paths(), "/messages/3") {
			_, page := s.get(path, "en")
			checkPage(t, path, bad, page)
		}
	}
}

func TestHostileQuestions(t *testing.T) {
	s := newSite(t)
	for _, bad := range hostile() {
		question := url.Values{}
		for _, f := range append(fields[:], "after", "period", "lang", "x") {
			question.Set(f, bad[:min(len(bad), 3000)])
		}
		for _, path := range []string{"/", "/messages", "/domains", "/domains/example.com", "/nothing"} {
			_, page := s.get(path+"?"+question.Encode(), "en")
			checkPage(t, path, bad, page)
		}
	}
}

func checkPage(t *testing.T, where, bad, page string) {
	t.Helper()
	if strings.Count(page, "<script") != 1 || strings.Contains(page, "onerror=alert(1)>") || strings.Contains(page, `href="javascript:`) {
		t.Errorf("%s: %q breaks out", where, bad[:min(len(bad), 40)])
	}
	for _, r := range page {
		if r != '\n' && r != '\t' && !seen(r) {
			t.Errorf("%s: %q leaves %U on the page", where, bad[:min(len(bad), 40)], r)
			break
		}
	}
	if len(page) > 2<<20 {
		t.Errorf("%s: %d bytes", where, len(page))
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"plain <b>":               "plain <b>",
		"日本語 مرحبا":               "日本語 مرحبا",
		"a\u202eb":                "a⟨U+202E⟩b",
		"a\x00\x7fb":              "a⟨U+0000⟩⟨U+007F⟩b",
		"\xff":                    "⟨FF⟩",
		"two\nlines\r":            "two\nlines⟨U+000D⟩",
		"\u00a0\u2003":            "⟨U+00A0⟩⟨U+2003⟩",
		strings.Repeat("x", 5000): strings.Repeat("x", 4001) + " … (+999 bytes)",
	} {
		if got := clean(in); got != want {
			t.Errorf("%.40q: %.80q, want %.80q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		for _, r := range got {
			if r != '\n' && !seen(r) {
				t.Errorf("%q leaves %U", s, r)
			}
		}
		if len(got) > maxShown+100 {
			t.Errorf("%d bytes", len(got))
		}
		if clean(got) != got && len(got) <= maxShown {
			t.Errorf("%q is not clean", got)
		}
	})
}

func TestSearch(t *testing.T) {
	s := newSite(t)
	s.get("/messages?sender=User@Example.com&recipient=example.net&client=192.0.2.0/24&verdict=reject&reason=spf_fail&id=[abc]&from=2026-11-01T10:00&to=2026-11-01T11:00&after=5-6&shadow=1&protected=p.example", "en")
	want := Query{Sender: "Example.com", Recipient: "example.net", Client: "192.0.2.0/24", Action: "reject", Reason: "spf_fail", MessageID: "abc", Shadow: true, Protected: "p.example",
		From: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 1, 11, 1, 0, 0, time.UTC), After: "5-6", Limit: perPage + 1}
	if len(s.fake.asked) != 1 || s.fake.asked[0] != want {
		t.Errorf("asked for %+v", s.fake.asked)
	}
	s.fake.asked = nil
	for _, field := range []string{"client=x", "from=yesterday", "to=2026-13-01"} {
		if status, page := s.get("/messages?"+field, "en"); status != 200 || !strings.Contains(page, "aria-invalid") || len(s.fake.asked) > 0 {
			t.Errorf("%s: %d, asked for %v", field, status, s.fake.asked)
		}
	}
}

func TestPaging(t *testing.T) {
	s := newSite(t)
	first := s.fake.found[0]
	s.fake.found = nil
	for i := range perPage + 1 {
		m := first
		m.ID, m.Cursor = int64(i), "cursor-"+string(rune('a'+i%26))
		s.fake.found = append(s.fake.found, m)
	}
	_, page := s.get("/messages?sender=example.com", "en")
	if n := strings.Count(page, `<tr role="row"><td`) + strings.Count(page, "<tr role=\"row\">\n<td"); n != perPage {
		t.Errorf("%d rows", n)
	}
	if want := `href="/messages?after=` + s.fake.found[perPage-1].Cursor + `&amp;sender=example.com"`; !strings.Contains(page, want) {
		t.Errorf("no %s", want)
	}
	s.fake.found = s.fake.found[:perPage]
	if _, page := s.get("/messages", "en"); strings.Contains(page, `rel="next"`) {
		t.Error("there is a next page of nothing")
	}
}

// Trouble with the history is a page that says so.
func TestHistoryTrouble(t *testing.T) {
	s := newSite(t)
	s.fake.err = errPlanted
	for _, path := range []string{"/", "/messages", "/messages/2", "/domains", "/domains/example.com"} {
		if status, page := s.get(path, "en"); status != 503 || !strings.Contains(page, "planted trouble") {
			t.Errorf("%s: %d", path, status)
		}
	}
	s.fake.err = ErrNoHistory
	for _, path := range []string{"/", "/messages", "/messages/2", "/domains", "/domains/example.com"} {
		if status, page := s.get(path, "en"); status != 200 || !strings.Contains(page, "No history is kept.") {
			t.Errorf("%s: %d", path, status)
		}
	}
}

// A domain's page has its own sums, however many others are impersonated more.
func TestDomainBeyondTheMost(t *testing.T) {
	s := newSite(t)
	quiet := s.fake.domains[0]
	s.fake.domains = nil
	for i := range 600 {
		s.fake.domains = append(s.fake.domains, DomainCount{fmt.Sprintf("d%d.example", i), 9000, 0, 9000, 0, 0})
	}
	s.fake.domains = append(s.fake.domains, quiet)
	if _, page := s.get("/domains/"+quiet.Domain, "en"); !strings.Contains(page, "<dd>4,410</dd>") || !strings.Contains(page, "<dd>540</dd>") {
		t.Error("the sums are not there")
	}
}

// A link of another site shows the page and starts no audit.
func TestLinkStartsNoAudit(t *testing.T) {
	for from, want := range map[string]int{"": 1, "same-origin": 1, "none": 1, "same-site": 0, "cross-site": 0} {
		s, audits := newSite(t), 0
		s.audits.run = func(context.Context, string) ([]Finding, error) { audits++; return nil, nil }
		r := httptest.NewRequest("GET", "/domains/example.com?audit=1", nil)
		if from != "" {
			r.Header.Set("Sec-Fetch-Site", from)
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if button := strings.Contains(w.Body.String(), "Look at its DNS"); w.Code != 200 || audits != want || button != (want == 0) {
			t.Errorf("%q: %d, %d audits, button %v", from, w.Code, audits, button)
		}
	}
}

// Dashboards and logs know messages by their ids.
func TestMessageByItsID(t *testing.T) {
	s := newSite(t)
	m := s.fake.found[3]
	if status, page := s.get("/messages/"+m.MessageID, "en"); status != 200 || !strings.Contains(page, m.MessageID) {
		t.Errorf("%d", status)
	}
	for _, id := range []string{"nosuchid", "999999", "-1", "%00", strings.Repeat("x", 5000)} {
		if status, _ := s.get("/messages/"+id, "en"); status != 404 {
			t.Errorf("%.20s: %d", id, status)
		}
	}
}

func TestMessageTellsTheSender(t *testing.T) {
	s := newSite(t)
	for _, m := range s.fake.found {
		for _, lang := range languages {
			_, page := s.get("/messages/"+string(m.MessageID[11:]), lang)
			texts := readTexts(t, lang)
			if !strings.Contains(page, texts["why."+m.Reason]) {
				t.Errorf("%s %s: not explained", lang, m.Reason)
			}
			if tell := texts["tell."+m.Reason]; tell != "" && !strings.Contains(page, tell) {
				t.Errorf("%s %s: nothing to tell the sender", lang, m.Reason)
			}
		}
	}
}
