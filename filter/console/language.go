package console

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// languages that there are; the first is for who understands none of them.
var languages = [...]string{"en", "ja"}

//go:embed texts/*.json
var texts embed.FS

// language is one of them with its pages.
type language struct {
	code  string
	texts map[string]string
	pages *template.Template
}

func newLanguage(code string) (*language, error) {
	l := &language{code: code}
	b, err := texts.ReadFile("texts/" + code + ".json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &l.texts); err != nil {
		return nil, fmt.Errorf("texts of %s: %w", code, err)
	}
	l.pages, err = templateOf(template.FuncMap{
		"t": l.text, "say": l.say, "reply": replyText, "has": l.has, "num": number, "clock": clock, "day": day, "iso": iso, "size": size, "span": span, "first": first,
		"ms": func(seconds float64) float64 { return 1000 * seconds }, "args": func(all ...any) []any { return all },
	})
	return l, err
}

// text is what a key says; {0}, {1} are the arguments. A key that is missing shows
// itself: a test sees to it that none is.
func (l *language) text(key string, args ...any) string {
	s, ok := l.texts[key]
	if !ok {
		return key
	}
	if len(args) == 0 {
		return s
	}
	var pairs []string
	for i, a := range args {
		pairs = append(pairs, "{"+strconv.Itoa(i)+"}", fmt.Sprint(a))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// say is text for a list of arguments.
func (l *language) say(key string, args []string) string {
	all := make([]any, len(args))
	for i, a := range args {
		all[i] = a
	}
	return l.text(key, all...)
}

// replyText has the enhanced code once, where the text begins with it already.
func replyText(enhanced, text string) string {
	if enhanced == "" || strings.HasPrefix(text, enhanced+" ") {
		return text
	}
	return enhanced + " " + text
}

func (l *language) has(key string) bool { return l.texts[key] != "" }

// maxLanguages is how much of an Accept-Language field is read.
const maxLanguages = 20

// chooseLanguage takes ?lang=, else the one of ours that the browser likes best
// (RFC 9110 section 12.5.4).
func chooseLanguage(r *http.Request) (code string, chosen bool) {
	wish := r.URL.Query().Get("lang")
	for _, code := range languages {
		if wish == code {
			return code, true
		}
	}
	best, weight := languages[0], 0.0
	for i, part := range strings.Split(r.Header.Get("Accept-Language"), ",") {
		if i == maxLanguages {
			break
		}
		tag, q, found := strings.Cut(part, ";")
		w := 1.0
		if found {
			var err error
			if w, err = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64); err != nil || !(w >= 0 && w <= 1) {
				continue
			}
		}
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		for _, code := range languages {
			if primary == code && w > weight {
				best, weight = code, w
			}
		}
	}
	return best, false
}

// number has its thousands apart.
func number(n any) string {
	s := fmt.Sprint(n)
	digits := strings.TrimPrefix(s, "-")
	sign := s[:len(s)-len(digits)]
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(digits[i])
	}
	return sign + b.String()
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }
func day(t time.Time) string   { return t.UTC().Format("2006-01-02") }
func iso(t time.Time) string   { return t.UTC().Format(time.RFC3339) }

// size in units that people read.
func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// span of time in units that people read.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// first gives at most n characters of a text.
func first(n int, s string) string {
	for i := range s {
		if n == 0 {
			return s[:i] + "…"
		}
		n--
	}
	return s
}
