package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sekimori/config"
	"sekimori/filter/dns"
	"sekimori/testdata"
	"sekimori/testdata/peer"
)

// chromium is where the browser is.
func chromium(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	peer.Require(t, err == nil, "there is no chromium")
	return path
}

// startDemo is the demo with its cases played and its console open.
func startDemo(t *testing.T) (s *stage, cases []testdata.Case, console string) {
	t.Helper()
	cases, err := testdata.Load(testdata.Demo, "demo")
	if err != nil {
		t.Fatal(err)
	}
	zone, err := dns.ParseZone("common.zone", strings.NewReader(string(cases[0].Zone)))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	ctx, cancel := context.WithCancel(context.Background())
	if s, err = openStage(ctx, cfg, zone, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	forget, err := demoHistory(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := protectDemo(s.house.common.live); err != nil {
		t.Fatal(err)
	}
	if wrong, err := playAll(s, cases, io.Discard); err != nil || wrong > 0 {
		t.Fatalf("%d cases went wrong, %v", wrong, err)
	}
	if err := s.house.common.history.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	door, admin := listenLocal(t), listenLocal(t)
	ended := make(chan error, 1)
	go func() { ended <- s.house.run(ctx, door, admin, 5*time.Second, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.close()
		forget()
	})
	d := &daemon{admin: admin.Addr().String()}
	waitFor(t, "the console answers", func() bool { return strings.HasPrefix(d.get("/readyz"), "200") })
	return s, cases, "http://" + admin.Addr().String()
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// browser is one Chromium, which notes all that it complains about.
type browser struct {
	context.Context
	mu         sync.Mutex
	complaints []string
}

func startBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.Flag("headless", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.WSURLReadTimeout(time.Minute), chromedp.WindowSize(1280, 900))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &browser{Context: ctx}
	t.Cleanup(func() { _ = chromedp.Cancel(b); cancel(); stop() })
	b.do(t) // starts it
	if err := chromedp.Listen(b, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) listen(event any) {
	complaint := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		if e.Type == "error" || e.Type == "warning" {
			complaint = fmt.Sprint("console: ", e.Args)
		}
	case *cdplog.EventEntryAdded: // a breach of the content security policy too
		if e.Entry.Level == "error" || e.Entry.Level == "warning" {
			complaint = string(e.Entry.Source) + ": " + e.Entry.Text + " " + e.Entry.URL
		}
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

// stepTime is for one step on a busy machine.
const stepTime = time.Minute

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		t.Fatal(err)
	}
}

// read gives what an action finds out.
func read[T any](t *testing.T, b *browser, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b, stepTime)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// order gives the browser a command of its protocol.
func order[P, R any](t *testing.T, b *browser, c cdp.Command[P, R], p P) {
	t.Helper()
	if _, err := chromedp.Call(b, c, p); err != nil {
		t.Fatal(err)
	}
}

func (b *browser) open(t *testing.T, url string) {
	t.Helper()
	read(t, b, chromedp.Navigate(url))
}

// complained gives what there was to complain about, once.
func (b *browser) complained() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.complaints
	b.complaints = nil
	return all
}

// artefacts is where pictures go; nothing in it is kept by git.
func artefacts(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", ".artifacts", "console")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// faint lists texts whose contrast is below that of WCAG 2.2, 1.4.3 (AA).
const faint = `(() => {
  const parse = c => (c.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const back = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, s = getComputedStyle(e), box = e.getBoundingClientRect();
    if (!walk.currentNode.data.trim() || box.width < 2 || s.visibility === 'hidden' || e.closest('.hidden, .skip, title, defs, option')) continue;
    const ink = parse(e instanceof SVGElement ? s.fill : s.color), a = light(ink), b = light(back(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(s.fontSize);
    if (ratio < (size >= 24 || size >= 18.66 && s.fontWeight >= 700 ? 3 : 4.5)) bad.push(ratio.toFixed(2) + ' ' + walk.currentNode.data.trim().slice(0, 40));
  }
  return bad;
})()`

// nameless lists what a screen reader could not name.
const nameless = `[...document.querySelectorAll('a, button, input:not([type=hidden]), select, svg[role=img], summary, nav, section')].filter(e =>
  !(e.textContent.trim() || e.labels && e.labels.length || e.ariaLabel || e.getAttribute('aria-labelledby'))).map(e => e.outerHTML.slice(0, 80))
  .concat(document.querySelectorAll('h1').length === 1 ? [] : ['not one h1'])
  .concat(document.querySelectorAll('main, header, footer, nav').length >= 4 ? [] : ['landmarks'])
  .concat([...document.querySelectorAll('[id]')].map(e => e.id).filter((id, i, all) => all.indexOf(id) !== i).map(id => 'twice: ' + id))`

func TestConsoleInABrowser(t *testing.T) {
	b := startBrowser(t)
	_, _, site := startDemo(t)
	first := firstMessage(t, b, site)
	titles := map[string][2]string{
		"/": {"Now", "現況"}, "/messages": {"Messages", "メッセージ"}, first: {"DMARC", "DMARC"}, "/domains": {"Domains", "ドメイン"},
		"/domains/bank.example?audit=1": {"bank.example", "bank.example"}, "/policy": {"Policy", "ポリシー"}, "/nowhere": {"Not found", "見つかりません"},
	}
	dir := artefacts(t)
	for i, language := range []string{"en", "ja"} {
		order(t, b, network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}})
		for _, theme := range []string{"light", "dark"} {
			order(t, b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
			for path, want := range titles {
				name := strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(path), "-")
				if name == "" {
					name = "now"
				} else if path == first {
					name = "message"
				}
				look(t, b, site+path, want[i], filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", name, language, theme)))
			}
		}
	}
}

// firstMessage is the path of a refused one.
func firstMessage(t *testing.T, b *browser, site string) string {
	t.Helper()
	b.open(t, site+"/messages?reason=dmarc_fail_reject")
	return read(t, b, chromedp.Evaluate[string](`new URL(document.querySelector('tbody a').href).pathname`))
}

// look opens one page, wide and narrow.
func look(t *testing.T, b *browser, url, want, picture string) {
	t.Helper()
	const over = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	b.do(t, chromedp.EmulateViewport(1280, 900))
	b.open(t, url)
	heading := read(t, b, chromedp.Evaluate[string](`document.querySelector('h1').innerText`))
	dim, unnamed := read(t, b, chromedp.Evaluate[[]string](faint)), read(t, b, chromedp.Evaluate[[]string](nameless))
	wide := read(t, b, chromedp.Evaluate[int](over))
	shoot(t, b, picture)
	b.do(t, chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
	narrow := read(t, b, chromedp.Evaluate[int](over))
	if strings.Contains(picture, "-en-light") {
		shoot(t, b, strings.Replace(picture, "-light", "-phone", 1))
	}
	if !strings.Contains(heading, want) {
		t.Errorf("%s: the heading is %q, not %q", url, heading, want)
	}
	if len(dim) > 0 {
		t.Errorf("%s (%s): too little contrast: %q", url, filepath.Base(picture), dim)
	}
	if len(unnamed) > 0 {
		t.Errorf("%s: %q", url, unnamed)
	}
	if wide > 0 || narrow > 0 {
		t.Errorf("%s: wider than the window by %d, on a phone by %d", url, wide, narrow)
	}
	for _, c := range b.complained() {
		if !strings.Contains(url, "/nowhere") || !strings.Contains(c, "404") {
			t.Errorf("%s: %s", url, c)
		}
	}
}

func shoot(t *testing.T, b *browser, picture string) {
	t.Helper()
	if err := os.WriteFile(picture, read(t, b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every link, field and button is reached by the Tab key, and is seen to be.
func TestConsoleByKeyboard(t *testing.T) {
	b := startBrowser(t)
	_, _, site := startDemo(t)
	for _, path := range []string{"/messages", "/policy"} {
		b.do(t, chromedp.EmulateViewport(1280, 900))
		b.open(t, site+path)
		all := read(t, b, chromedp.Evaluate[int](`(() => {
			const all = document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]');
			all.forEach((e, i) => e.dataset.number = i); window.reached = new Set(); window.unseen = new Set();
			document.addEventListener('focusin', e => { reached.add(e.target.dataset.number);
				if (getComputedStyle(e.target).outlineStyle === 'none') unseen.add(e.target.outerHTML.slice(0, 80)); });
			return all.length; })()`))
		for range all + 20 { // a field for a time takes several
			b.do(t, chromedp.KeyEvent(kb.Tab))
		}
		missed := read(t, b, chromedp.Evaluate[[]string](`[...document.querySelectorAll('[data-number]')].filter(e => !reached.has(e.dataset.number)).map(e => e.outerHTML.slice(0, 80))`))
		unseen := read(t, b, chromedp.Evaluate[[]string](`[...unseen]`))
		if len(missed) > 0 || len(unseen) > 0 || all < 8 {
			t.Errorf("%s: of %d never reached: %q; reached unseen: %q", path, all, missed, unseen)
		}
	}
}

// The first page keeps itself fresh.
func TestConsoleIsLive(t *testing.T) {
	b := startBrowser(t)
	s, cases, site := startDemo(t)
	const total = `document.querySelector('.tiles dd').textContent`
	order(t, b, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `const slow = setTimeout; window.setTimeout = (f, ms) => slow(f, ms / 20);`,
	})
	b.open(t, site+"/")
	before := read(t, b, chromedp.Evaluate[string](total))
	if _, err := s.play(cases[0]); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the number of messages changes by itself", func() bool { return read(t, b, chromedp.Evaluate[string](total)) != before })
	if c := b.complained(); len(c) > 0 {
		t.Errorf("%q", c)
	}
}

// Without scripts the pages are whole.
func TestConsoleWithoutScripts(t *testing.T) {
	b := startBrowser(t)
	_, _, site := startDemo(t)
	order(t, b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	for path, want := range map[string]string{"/": "Latest refused", "/messages?verdict=reject": "DMARC fail, policy reject", "/domains/bank.example": "Who sends in its name"} {
		b.open(t, site+path)
		if html := read(t, b, chromedp.OuterHTML("body")); !strings.Contains(html, want) || strings.Contains(html, `class="live"`) {
			t.Errorf("%s: %.400s", path, html)
		}
	}
	// The form is one of plain HTML.
	b.open(t, site+"/messages")
	b.do(t, chromedp.SendKeys("#f-sender", "bank.example"+kb.Enter))
	waitFor(t, "the form is sent", func() bool { return strings.Contains(read(t, b, chromedp.Location()), "sender=bank.example") })
	found := read(t, b, chromedp.OuterHTML("main"))
	if !strings.Contains(found, "statements@bank.example") || strings.Contains(found, "office@club.example") {
		t.Errorf("%.600s", found)
	}
}
