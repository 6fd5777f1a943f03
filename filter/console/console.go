// Package console is the read-only page for operators: what is happening now,
// which messages came and why each got its verdict, who sends in the name of the
// protected domains, and which rules are in force. Facts go in through Options,
// HTML comes out, in English or Japanese, made on the server. It needs no script;
// the one there is only keeps the first page fresh.
//
// Everything that a message, the DNS or a source of others has said is hostile:
// it gets into a page through clean, which makes visible what would not be, and
// html/template, which escapes it. Who may see the pages is the guard's affair.
package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"sekimori/filter"
)

// Options are where the facts come from. Functions are called for each page and
// must be safe for concurrent use.
type Options struct {
	History   History
	Health    func() []Health
	Policy    func() Policy
	Protected func(domain string) (customer string, ok bool) // whether a domain is one of the protected
	Audit     func(ctx context.Context, domain string) ([]Finding, error)
	Log       *slog.Logger
	Now       func() time.Time
	Name      string // our SMTP name
	Version   string
}

// History is what is known of messages. Domains and texts are as they were stored.
type History interface {
	// Counts sums up what became of messages from..to, in spans of step from the
	// oldest on; of those in the name of one protected domain, or of all for "".
	Counts(ctx context.Context, from, to time.Time, step time.Duration, protected string) ([]Count, error)
	Domains(ctx context.Context, from, to time.Time, limit int) ([]DomainCount, error)
	// Domain is what Domains would say of one, were it among the first or not.
	Domain(ctx context.Context, from, to time.Time, domain string) (DomainCount, error)
	Sources(ctx context.Context, q SourceQuery) ([]Source, error)
	// Search gives messages from the newest on.
	Search(ctx context.Context, q Query) ([]Message, error)
	Message(ctx context.Context, id int64) (Message, bool, error)
}

// ErrNoHistory is what a History says that is switched off.
var ErrNoHistory = errors.New("no history is kept")

// Console serves the pages.
type Console struct {
	Options
	byLanguage map[string]*language
	audits     audits
}

// Route is a page.
type Route struct {
	Path    string // as in http.ServeMux
	Handler http.Handler
}

//go:embed pages/*.html
var pages embed.FS

//go:embed assets/*
var assets embed.FS

// New reads what is embedded; an error is a fault of the build.
func New(o Options) (*Console, error) {
	c := &Console{Options: o, byLanguage: map[string]*language{}}
	c.audits.run, c.audits.now = o.Audit, o.Now
	for _, code := range languages {
		l, err := newLanguage(code)
		if err != nil {
			return nil, err
		}
		c.byLanguage[code] = l
	}
	return c, nil
}

// Routes are all pages.
func (c *Console) Routes() []Route {
	static, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // a name that is not valid
	}
	return []Route{
		{"/{$}", c.page("now", c.now)},
		{"/messages", c.page("messages", c.messages)},
		{"/messages/{id}", c.page("message", c.message)},
		{"/domains", c.page("domains", c.domains)},
		{"/domains/{name}", c.page("domain", c.domain)},
		{"/policy", c.page("policy", c.policy)},
		{"/assets/", http.StripPrefix("/assets/", http.FileServerFS(static))},
		{"/favicon.ico", http.RedirectHandler("/assets/icon.svg", http.StatusMovedPermanently)},
		{"/", c.page("missing", func(r *http.Request, v *view) error { return errMissing })},
	}
}

// pageTime bounds one page; every question to the history and the DNS is within it.
const pageTime = 20 * time.Second

var errMissing = errors.New("there is no such page")

// page makes a handler of what fills a view in. What goes wrong is a page too.
func (c *Console) page(name string, fill func(*http.Request, *view) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), pageTime)
		defer cancel()
		v := c.newView(r, name)
		status, name := http.StatusOK, name
		if err := fill(r.WithContext(ctx), v); errors.Is(err, errMissing) {
			status, name = http.StatusNotFound, "missing"
			v.Name = name
		} else if err != nil {
			status = http.StatusServiceUnavailable
			v.Trouble = clean(err.Error())
		}
		var out bytes.Buffer
		if err := v.language.pages.ExecuteTemplate(&out, name+".html", v); err != nil {
			c.Log.Error("a page of the console failed", "page", name, "error", err.Error())
			http.Error(w, "a fault of ours; the log has it", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Language", v.Lang)
		w.Header().Set("Vary", "Accept-Language")
		w.WriteHeader(status)
		_, _ = w.Write(out.Bytes()) // a browser that is gone is nobody's trouble
	})
}

// view is what every page's template gets.
type view struct {
	Name      string // of the page
	Lang      string
	language  *language
	Chosen    bool // the language was asked for by name, so links keep it
	Path      string
	query     map[string][]string
	At        time.Time
	Host      string
	Version   string
	Trouble   string // why there are no facts on the page; "" if there are
	NoHistory bool
	Data      any
}

func (c *Console) newView(r *http.Request, name string) *view {
	code, chosen := chooseLanguage(r)
	return &view{
		Name: name, Lang: code, language: c.byLanguage[code], Chosen: chosen, Path: r.URL.Path, query: r.URL.Query(),
		At: c.Now().UTC(), Host: clean(c.Options.Name), Version: c.Version,
	}
}

// history sorts the errors of History: none at all is not trouble but a choice.
func (v *view) history(err error) error {
	if errors.Is(err, ErrNoHistory) {
		v.NoHistory = true
		return nil
	}
	return err
}

// templateOf reads all pages with the functions of one language.
func templateOf(functions template.FuncMap) (*template.Template, error) {
	t, err := template.New("").Funcs(functions).ParseFS(pages, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	return t, nil
}

// outcomeOf is one word for what became of a message, for people: what we
// decided where we did, else what happened.
func outcomeOf(outcome filter.Outcome, action string) string {
	switch outcome {
	case filter.Delivered:
		if action == "tag" || action == "quarantine" {
			return action
		}
		return "accept"
	case filter.Rejected:
		return "reject"
	case filter.Deferred:
		return "defer"
	}
	return "other"
}
