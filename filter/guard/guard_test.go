package guard

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const outside = "192.0.2.7:40000"

func hash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// world is a guard with a clock that stands still, before one page a path.
type world struct {
	guard   *Guard
	handler http.Handler
	now     time.Time
	log     bytes.Buffer
}

func newWorld(local bool, r Rules) *world {
	w := &world{now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	w.guard = &Guard{Local: local, Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return w.now }}
	if r.Tries == 0 {
		r.Tries, r.Per = 5, time.Minute
	}
	w.guard.Set(r)
	said := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	w.handler = w.guard.Handler([]Route{
		{Path: "/{$}", Handler: said("secret")},
		{Path: "/metrics", For: Machines, Handler: said("metrics")},
		{Path: "/healthz", For: Probes, Handler: said("ok")},
		{Path: "/alive", For: Anybody, Handler: said("yes")},
		{Path: "/fault", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("planted") })},
	})
	return w
}

// ask sends a request as change makes it and gives what came.
func (w *world) ask(path, from string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr, r.Host = from, "localhost:9925"
	if change != nil {
		change(r)
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	return out
}

func basic(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// certificate is what TLS has verified.
func certificate(names ...string) func(*http.Request) {
	return func(r *http.Request) {
		c := &x509.Certificate{DNSNames: names, Subject: pkix.Name{CommonName: "common"}}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}, VerifiedChains: [][]*x509.Certificate{{c}}}
	}
}

func TestWhoMayEnter(t *testing.T) {
	users := []User{{"soc", hash(t, "correct horse")}}
	token := func() string { return "0123456789abcdef" }
	with := func(r Rules) Rules { return r }
	for _, c := range []struct {
		name   string
		local  bool
		rules  Rules
		path   string
		from   string
		change func(*http.Request)
		status int
		who    string
	}{
		{"loopback is open where nobody has credentials", true, Rules{}, "/", "127.0.0.1:1", nil, 200, ""},
		{"IPv6 loopback too", true, Rules{}, "/", "[::1]:1", func(r *http.Request) { r.Host = "[::1]:9925" }, 200, ""},
		{"another name: rebinding", true, Rules{}, "/", "127.0.0.1:1", func(r *http.Request) { r.Host = "attacker.example:9925" }, 403, ""},
		{"no name", true, Rules{}, "/", "127.0.0.1:1", func(r *http.Request) { r.Host = "" }, 403, ""},
		{"a name that starts like one of ours", true, Rules{}, "/", "127.0.0.1:1", func(r *http.Request) { r.Host = "127.0.0.1.attacker.example" }, 403, ""},
		{"a name that was allowed", true, Rules{Hosts: []string{"console.example.net"}}, "/", "127.0.0.1:1", func(r *http.Request) { r.Host = "Console.example.net." }, 200, ""},
		{"rebinding reaches no probe either", true, Rules{}, "/healthz", "127.0.0.1:1", func(r *http.Request) { r.Host = "attacker.example" }, 403, ""},
		{"open to the world without credentials: nobody", false, Rules{}, "/", outside, nil, 403, ""},
		{"the same on loopback", false, Rules{}, "/", "127.0.0.1:1", nil, 403, ""},
		{"loopback with users", true, Rules{Users: users}, "/", "127.0.0.1:1", nil, 401, ""},
		{"what is no page is as closed", true, Rules{Users: users}, "/nothing", "127.0.0.1:1", nil, 401, ""},
		{"and so is a path to be cleaned", true, Rules{Users: users}, "/../x//y", "127.0.0.1:1", nil, 401, ""},
		{"the right password", false, Rules{Users: users}, "/", outside, basic("soc", "correct horse"), 200, "soc"},
		{"a wrong password", false, Rules{Users: users}, "/", outside, basic("soc", "correct hors"), 401, ""},
		{"an empty password", false, Rules{Users: users}, "/", outside, basic("soc", ""), 401, ""},
		{"no such user", false, Rules{Users: users}, "/", outside, basic("root", "correct horse"), 401, ""},
		{"no user at all", false, Rules{Users: users}, "/", outside, basic("", ""), 401, ""},
		{"a password where there are no users", false, Rules{}, "/", outside, basic("soc", "correct horse"), 403, ""},
		{"a certificate", false, Rules{Certificates: true}, "/", outside, certificate("soc.example.net"), 200, "soc.example.net"},
		{"a certificate of another name", false, Rules{Certificates: true, Names: []string{"soc.example.net"}}, "/", outside, certificate("x.example.net"), 403, ""},
		{"its common name counts only without others", false, Rules{Certificates: true, Names: []string{"common"}}, "/", outside, certificate("x.example.net"), 403, ""},
		{"its common name", false, Rules{Certificates: true, Names: []string{"common"}}, "/", outside, certificate(), 200, "common"},
		{"a certificate that nobody asked for", false, Rules{Users: users}, "/", outside, certificate("soc"), 401, ""},
		{"TLS without a certificate", false, Rules{Certificates: true}, "/", outside, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, 403, ""},
		{"certificate or password", false, with(Rules{Certificates: true, Users: users}), "/", outside, nil, 401, ""},
		{"another network", false, Rules{Users: users, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, "/", outside, basic("soc", "correct horse"), 403, ""},
		{"an allowed network", false, Rules{Users: users, Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, "/", "[::ffff:192.0.2.7]:1", basic("soc", "correct horse"), 200, "soc"},
		{"headers say nothing of the client", false, Rules{Users: users, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}, "/", outside,
			func(r *http.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.1") }, 403, ""},
		{"the token", false, Rules{Token: token}, "/metrics", outside, bearer("0123456789abcdef"), 200, "token"},
		{"another token", false, Rules{Token: token}, "/metrics", outside, bearer("0123456789abcdeg"), 401, ""},
		{"no token on loopback", true, Rules{Token: token}, "/metrics", "127.0.0.1:1", nil, 401, ""},
		{"a token that cannot be read opens for nobody", true, Rules{Token: func() string { return "" }}, "/metrics", "127.0.0.1:1", bearer(""), 401, ""},
		{"the token is for machines", false, Rules{Token: token, Users: users}, "/", outside, bearer("0123456789abcdef"), 401, ""},
		{"people read metrics too", false, Rules{Token: token, Users: users}, "/metrics", outside, basic("soc", "correct horse"), 200, "soc"},
		{"metrics on open loopback", true, Rules{}, "/metrics", "127.0.0.1:1", nil, 200, ""},
		{"a probe of this host", false, Rules{Users: users}, "/healthz", "127.0.0.1:1", nil, 200, ""},
		{"a probe of another", false, Rules{Users: users}, "/healthz", outside, nil, 401, ""},
		{"what is for anybody", false, Rules{}, "/alive", outside, nil, 200, ""},
		{"read-only", true, Rules{}, "/", "127.0.0.1:1", func(r *http.Request) { r.Method = "POST" }, 405, ""},
		{"HEAD reads", true, Rules{}, "/", "127.0.0.1:1", func(r *http.Request) { r.Method = "HEAD" }, 200, ""},
		{"an odd method", true, Rules{}, "/alive", "127.0.0.1:1", func(r *http.Request) { r.Method = "TRACE" }, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(c.local, c.rules)
			got := w.ask(c.path, c.from, c.change)
			if got.Code != c.status {
				t.Errorf("got %d %q, want %d", got.Code, got.Body, c.status)
			}
			if c.status >= 400 && strings.Contains(got.Body.String(), "secret") {
				t.Error("the page came with a refusal")
			}
			if want := fmt.Sprintf(`"who":%q`, c.who); !strings.Contains(w.log.String(), want) || !strings.Contains(w.log.String(), fmt.Sprintf(`"status":%d`, c.status)) {
				t.Errorf("the log has no %s: %s", want, &w.log)
			}
			if got.Header().Get("Content-Security-Policy") == "" || got.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("headers: %v", got.Header())
			}
		})
	}
}

// A page of another site may be followed from, and have nothing loaded.
func TestPagesOfOthers(t *testing.T) {
	for _, c := range []struct {
		site, mode, dest, purpose string
		path                      string
		status                    int
	}{
		{"", "", "", "", "/", 200},
		{"none", "navigate", "document", "", "/", 200},
		{"same-origin", "cors", "empty", "", "/", 200},
		{"same-origin", "no-cors", "image", "", "/", 200},
		{"cross-site", "navigate", "document", "", "/", 200},
		{"same-site", "navigate", "document", "", "/", 200},
		{"cross-site", "no-cors", "image", "", "/", 403},
		{"same-site", "no-cors", "image", "", "/", 403},
		{"cross-site", "cors", "empty", "", "/", 403},
		{"cross-site", "navigate", "iframe", "", "/", 403},
		{"cross-site", "navigate", "object", "", "/", 403},
		{"cross-site", "no-cors", "document", "", "/", 403},
		{"cross-site", "navigate", "document", "prefetch;prerender", "/", 403},
		{"cross-site", "", "", "", "/", 403},
		{"unheard-of", "no-cors", "image", "", "/nothing", 403},
		{"cross-site", "cors", "empty", "", "/metrics", 200},
		{"cross-site", "no-cors", "image", "", "/healthz", 200},
		{"cross-site", "no-cors", "image", "", "/alive", 200},
	} {
		got := newWorld(true, Rules{}).ask(c.path, "127.0.0.1:1", func(r *http.Request) {
			for name, value := range map[string]string{"Sec-Fetch-Site": c.site, "Sec-Fetch-Mode": c.mode, "Sec-Fetch-Dest": c.dest, "Sec-Purpose": c.purpose} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
		})
		if got.Code != c.status || c.status == 403 && strings.Contains(got.Body.String(), "secret") {
			t.Errorf("%+v: %d %q", c, got.Code, got.Body)
		}
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(true, Rules{})
	h := w.ask("/", "127.0.0.1:1", nil).Header()
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'", "base-uri 'none'"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), want) {
			t.Errorf("no %s in %q", want, h.Get("Content-Security-Policy"))
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Error(h)
	}
	if h.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
	if h := w.ask("/", "127.0.0.1:1", certificate()).Header(); h.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestTriesAreLimited(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "right")}}, Tries: 3, Per: time.Minute})
	for range 3 {
		if got := w.ask("/", outside, basic("soc", "wrong")); got.Code != 401 {
			t.Fatal(got.Code)
		}
	}
	got := w.ask("/", outside, basic("soc", "right"))
	if got.Code != 429 || got.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", got.Code, got.Header())
	}
	if got := w.ask("/", "192.0.2.8:1", basic("soc", "right")); got.Code != 200 {
		t.Errorf("another client: %d", got.Code)
	}
	w.now = w.now.Add(21 * time.Second)
	if got := w.ask("/", outside, basic("soc", "right")); got.Code != 200 {
		t.Errorf("later: %d", got.Code)
	}
	for range 100 { // right passwords do not count
		if got := w.ask("/", outside, basic("soc", "right")); got.Code != 200 {
			t.Fatal(got.Code)
		}
	}
}

func TestTriesOfAllAreLimited(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "right")}}, Tries: 1, Per: time.Minute})
	limited := 0
	for i := range 100 {
		if w.ask("/", fmt.Sprintf("[2001:db8:0:%x::1]:1", i), basic("soc", "wrong")).Code == 429 {
			limited++
		}
	}
	if limited != 100-together {
		t.Errorf("%d of 100 were limited", limited)
	}
	if n := len(w.guard.tries.each); n > together {
		t.Errorf("%d clients are remembered", n)
	}
	if got := w.ask("/", "[2001:db8:0:ffff::2]:1", basic("soc", "right")); got.Code != 429 {
		t.Errorf("%d", got.Code)
	}
}

func TestOneIPv6NetworkIsOneClient(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "right")}}, Tries: 1, Per: time.Minute})
	w.ask("/", "[2001:db8::1]:1", basic("soc", "wrong"))
	if got := w.ask("/", "[2001:db8::2]:1", basic("soc", "wrong")); got.Code != 429 {
		t.Errorf("%d", got.Code)
	}
}

// A name that does not exist costs a hash as well.
func TestNamesTakeTheSameTime(t *testing.T) {
	h, err := bcrypt.GenerateFromPassword([]byte("right"), 8)
	if err != nil {
		t.Fatal(err)
	}
	p := newPasswords([32]byte{}, []User{{"soc", string(h)}})
	took := func(name string) time.Duration {
		begin := time.Now()
		for range 2 {
			if ok, err := p.right(t.Context(), name, "wrong", begin); ok || err != nil {
				t.Fatal(ok, err)
			}
		}
		return time.Since(begin)
	}
	if there, not := took("soc"), took("nobody"); not < there/4 {
		t.Errorf("%v for a name that exists, %v for one that does not", there, not)
	}
}

func TestLongPasswords(t *testing.T) {
	long := strings.Repeat("x", maxSecret)
	p := newPasswords([32]byte{}, []User{{"soc", hash(t, long)}})
	if ok, _ := p.right(t.Context(), "soc", long, time.Time{}); !ok {
		t.Error("72 bytes are refused")
	}
	if ok, _ := p.right(t.Context(), "soc", long+"y", time.Time{}); ok {
		t.Error("bcrypt's limit makes two passwords one")
	}
}

// A change of the rules forgets who was let in by those of before.
func TestRulesChange(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "old")}}})
	w.ask("/", outside, basic("soc", "old"))
	w.guard.Set(Rules{Users: []User{{"soc", hash(t, "new")}}, Tries: 5, Per: time.Minute})
	if got := w.ask("/", outside, basic("soc", "old")); got.Code != 401 {
		t.Errorf("the old password: %d", got.Code)
	}
	if got := w.ask("/", outside, basic("soc", "new")); got.Code != 200 {
		t.Errorf("the new password: %d", got.Code)
	}
}

func TestAFaultOfAPage(t *testing.T) {
	w := newWorld(true, Rules{})
	counted := 0
	w.guard.Panic = func() { counted++ }
	got := w.ask("/fault", "127.0.0.1:1", nil)
	if got.Code != 500 || counted != 1 || strings.Contains(got.Body.String(), "planted") || !strings.Contains(w.log.String(), "planted") {
		t.Errorf("%d %q, counted %d, log %s", got.Code, got.Body, counted, &w.log)
	}
}

// Who is refused cannot fill the disk with lines about it.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "right")}}})
	for range 1000 {
		w.ask("/", outside, nil)
	}
	if n := strings.Count(w.log.String(), "\n"); n > refusedLines*together || n == 0 {
		t.Errorf("%d lines", n)
	}
}

func TestAtOnce(t *testing.T) {
	w := newWorld(false, Rules{Users: []User{{"soc", hash(t, "right")}}, Tries: 1000, Per: time.Minute})
	w.guard.Log = slog.New(slog.DiscardHandler)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			password, want := "right", 200
			if i%2 == 0 {
				password, want = "wrong", 401
			}
			if got := w.ask("/", outside, basic("soc", password)); got.Code != want {
				t.Errorf("%s: %d", password, got.Code)
			}
		})
	}
	all.Wait()
}

// called is the address of ours that a request has come to.
type called string

func (c called) Network() string { return "tcp" }
func (c called) String() string  { return string(c) }

// A host that asks itself on an outer address has that address as its source.
func TestProbesOfThisHost(t *testing.T) {
	rules := Rules{Users: []User{{"soc", hash(t, "correct horse")}}, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	for _, c := range []struct {
		path, from, local string
		status            int
	}{
		{"/healthz", "192.0.2.10:40000", "192.0.2.10:9925", 200},
		{"/healthz", "[2001:db8::25]:40000", "[2001:db8::25]:9925", 200},
		{"/healthz", "192.0.2.10:40000", "[::ffff:192.0.2.10]:9925", 200},
		{"/healthz", "[fe80::1%eth0]:40000", "[fe80::1%eth0]:9925", 200},
		{"/healthz", "127.0.0.1:40000", "127.0.0.1:9925", 200},
		{"/healthz", "192.0.2.11:40000", "192.0.2.10:9925", 403},
		{"/healthz", "198.51.100.7:40000", "192.0.2.10:9925", 401},
		{"/healthz", "nonsense", "nonsense", 403},
		{"/", "192.0.2.10:40000", "192.0.2.10:9925", 403},
		{"/", "127.0.0.1:40000", "127.0.0.1:9925", 403},
		{"/metrics", "192.0.2.10:40000", "192.0.2.10:9925", 403},
	} {
		w := newWorld(false, rules)
		out := w.ask(c.path, c.from, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "127.0.0.1")
			*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, called(c.local)))
		})
		if out.Code != c.status {
			t.Errorf("%s from %s at %s: %d, want %d", c.path, c.from, c.local, out.Code, c.status)
		}
	}
}
