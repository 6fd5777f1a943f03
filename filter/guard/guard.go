// Package guard stands before the pages for operators. Requests go in, and who
// has the right to what he asks for gets through, read-only, with headers that
// keep a browser from doing anything else with it (CSP, RFC 6797). Everybody else
// is told 401, 403, 405 or 429 and nothing more. A password is asked for by HTTP
// Basic (RFC 7617) each time, so there is no session to steal and no cookie with
// which another page could act in its owner's name.
package guard

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Rules are who may enter. They are never changed, but replaced whole.
type Rules struct {
	Networks     []netip.Prefix // from where; empty: from everywhere
	Users        []User         // with a password
	Certificates bool           // who showed a certificate that TLS has verified may enter
	Names        []string       // of which it must bear one; empty: any
	Token        func() string  // of machines; nil: there is none. "" opens for nobody
	Hosts        []string       // names of the listener besides those of loopback
	Tries        int            // wrong passwords of one client within Per
	Per          time.Duration
}

// User is one who has a password.
type User struct {
	Name string
	Hash string // bcrypt, of the same cost for all
}

// Audience is for whom a page is.
type Audience int

// The audiences. The zero value is the strictest.
const (
	People   Audience = iota // with a password or a certificate
	Machines                 // or with the token
	Probes                   // or from this host
	Anybody
)

// Route is a page.
type Route struct {
	Path    string // as in http.ServeMux, without method and host
	For     Audience
	Handler http.Handler
}

// Guard is one listener's. Its fields are set before it is used.
type Guard struct {
	Local bool // only this host reaches the listener: where nobody has credentials, none are asked for
	Log   *slog.Logger
	Panic func() // told of a fault of a page; may be nil
	Now   func() time.Time
	Key   [32]byte // random, of this process

	rules atomic.Pointer[rules]
	tries limiter
	lines limiter // of refusals in the log
}

// rules are Rules with what is remembered under them.
type rules struct {
	Rules
	passwords *passwords
}

// Set puts rules in force.
func (g *Guard) Set(r Rules) { g.rules.Store(&rules{r, newPasswords(g.Key, r.Users)}) }

// maxPath bounds what of a request's path is written down.
const maxPath = 300

// Handler serves the routes to those who may have them. What is no route is as
// closed as a page for people. Set must have been called.
func (g *Guard) Handler(routes []Route) http.Handler {
	mux := http.NewServeMux()
	audience := map[string]Audience{}
	for _, r := range routes {
		mux.Handle(r.Path, r.Handler)
		audience[r.Path] = r.For
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin := g.Now()
		out := &writer{ResponseWriter: w}
		_, pattern := mux.Handler(r)
		a := audience[pattern] // of no pattern: People
		who, refused := g.admit(r, a)
		protect(out.Header(), r)
		defer func() { g.note(r, a, who, out.status, g.Now().Sub(begin)) }()
		defer g.recover(out, r)
		if refused != nil {
			refused.write(out)
			return
		}
		mux.ServeHTTP(out, r)
	})
}

// refusal is an answer without the page.
type refusal struct {
	status    int
	words     string
	challenge string        // scheme to authenticate by
	wait      time.Duration // until a try is of use
}

func (f *refusal) write(w http.ResponseWriter) {
	if f.challenge != "" {
		w.Header().Set("WWW-Authenticate", f.challenge)
	}
	if f.wait > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(int(f.wait/time.Second)+1))
	}
	if f.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD")
	}
	http.Error(w, f.words, f.status)
}

// Admits tells whether a connection may speak at all, so that those who may ask
// for nothing cost no TLS handshake and take nobody's place. Set must have been
// called.
func (g *Guard) Admits(remote, local string) bool {
	from := address(remote)
	if g.rules.Load().near(from) || own(from, address(local)) {
		return true
	}
	if _, ok := g.lines.take(netip.Prefix{}, rate{refusedLines, time.Minute}, g.Now()); ok {
		g.Log.Warn("admin connection refused: not from your network", "client", from.String())
	}
	return false
}

// admit tells who asks, or why he gets nothing.
func (g *Guard) admit(r *http.Request, a Audience) (who string, _ *refusal) {
	rules, from := g.rules.Load(), client(r)
	switch {
	case !rules.near(from) && (a != Probes || !own(from, local(r))):
		return "", &refusal{status: http.StatusForbidden, words: "not from your network"}
	case g.Local && !rules.knows(r.Host):
		return "", &refusal{status: http.StatusForbidden, words: "the page is not known by this name (admin.hosts)"}
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return "", &refusal{status: http.StatusMethodNotAllowed, words: "read-only"}
	case a == People && fromElsewhere(r):
		return "", &refusal{status: http.StatusForbidden, words: "another web page may link to this one, but not load it"}
	}
	return g.identify(rules, r, a, from)
}

func (g *Guard) identify(rules *rules, r *http.Request, a Audience, from netip.Addr) (who string, _ *refusal) {
	token := a == Machines && rules.Token != nil
	switch {
	case a == Anybody, a == Probes && own(from, local(r)):
		return "", nil
	case token && rules.bears(r):
		return "token", nil
	}
	if name, ok := rules.certified(r); ok {
		return name, nil
	}
	if name, password, ok := r.BasicAuth(); ok && len(rules.Users) > 0 {
		return g.login(rules, r, from, name, password)
	}
	if g.Local && !token && len(rules.Users) == 0 && !rules.Certificates {
		return "", nil
	}
	return "", rules.challenge(token)
}

// challenge names the way in, if there is one that can be named.
func (r *rules) challenge(token bool) *refusal {
	switch {
	case len(r.Users) > 0:
		return &refusal{status: http.StatusUnauthorized, words: "name and password, please", challenge: `Basic realm="Sekimori", charset="UTF-8"`}
	case token:
		return &refusal{status: http.StatusUnauthorized, words: "a token, please", challenge: `Bearer realm="Sekimori"`}
	}
	return &refusal{status: http.StatusForbidden, words: "a certificate, please"}
}

// login takes a name only if its password is right.
func (g *Guard) login(rules *rules, r *http.Request, from netip.Addr, name, password string) (who string, _ *refusal) {
	if rules.passwords.known(name, password, g.Now()) {
		return name, nil
	}
	rate := rate{rules.Tries, rules.Per}
	wait, ok := g.tries.take(network(from), rate, g.Now())
	if !ok {
		return "", &refusal{status: http.StatusTooManyRequests, words: "too many tries", wait: wait}
	}
	right, err := rules.passwords.right(r.Context(), name, password, g.Now())
	if err != nil || right {
		g.tries.giveBack(network(from))
	}
	switch {
	case err != nil:
		return "", &refusal{status: http.StatusServiceUnavailable, words: "busy", wait: time.Second}
	case !right:
		return "", rules.challenge(false)
	}
	return name, nil
}

// bears tells whether the request has the token (RFC 6750 section 2.1).
func (r *rules) bears(req *http.Request) bool {
	scheme, got, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	want := r.Token()
	return want != "" && strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// certified gives the name in a verified certificate that may enter.
func (r *rules) certified(req *http.Request) (string, bool) {
	if !r.Certificates || req.TLS == nil || len(req.TLS.VerifiedChains) == 0 {
		return "", false
	}
	leaf := req.TLS.PeerCertificates[0]
	names := slices.Concat(leaf.DNSNames, leaf.EmailAddresses)
	if len(names) == 0 {
		names = []string{leaf.Subject.CommonName}
	}
	for _, n := range names {
		if len(r.Names) == 0 || slices.ContainsFunc(r.Names, func(own string) bool { return strings.EqualFold(own, n) }) {
			return n, true
		}
	}
	return "", false
}

// recover makes a fault of a page an answer and a line.
func (g *Guard) recover(w *writer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if g.Panic != nil {
		g.Panic()
	}
	g.Log.Error("a page failed", "path", path(r), "error", fmt.Sprint(p), "stack", string(debug.Stack()))
	if w.status == 0 {
		http.Error(w, "a fault of ours; the log has it", http.StatusInternalServerError)
	}
}
