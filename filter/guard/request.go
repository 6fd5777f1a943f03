package guard

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// client is whose connection it is. What headers say of it is not believed.
func client(r *http.Request) netip.Addr { return address(r.RemoteAddr) }

// local is the address of ours that was called.
func local(r *http.Request) netip.Addr {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer)
	if !ok {
		return netip.Addr{}
	}
	return address(a.String())
}

// address is that of an address and port, or the zero Addr.
func address(s string) netip.Addr {
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}

// own tells whether this host calls itself: it takes the address it calls as its
// own source. Nobody else can, for the answers to his SYN would not reach him.
func own(from, local netip.Addr) bool {
	return from.IsLoopback() || from.IsValid() && from == local
}

// near tells whether a client may ask for more than probes.
func (r *rules) near(from netip.Addr) bool {
	return len(r.Networks) == 0 || slices.ContainsFunc(r.Networks, func(p netip.Prefix) bool { return p.Contains(from) })
}

// network is what counts as one client: an IPv4 address, an IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero prefix for the zero address
	return p
}

// knows tells whether a Host field (RFC 9110 section 7.2) names a listener on
// loopback. A web page that has its own name resolve to 127.0.0.1 to get around
// the same-origin policy still sends its own name.
func (r *rules) knows(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		name = host[:i]
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return a.Unmap().IsLoopback() || r.lists(a.String())
	}
	return name == "localhost" || r.lists(name)
}

func (r *rules) lists(name string) bool {
	for _, h := range r.Hosts {
		if strings.EqualFold(h, name) {
			return true
		}
	}
	return false
}

// fromElsewhere tells a request that a page of another site made by itself: an
// image, a frame, a script's, one ahead of a click. It could not read the answer,
// but have us work for it, in the name of who looks at it. Somebody who follows a
// link comes with a navigation of the whole window (Fetch Metadata of the W3C).
// Without these fields it is no browser, or one that is older than 2023.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document" || r.Header.Get("Sec-Purpose") != ""
}

// protect tells the browser to do nothing with a page but show it.
func protect(h http.Header, r *http.Request) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	} {
		h.Set(name, value)
	}
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000") // RFC 6797 section 7.2: never without TLS
	}
}

// refusedLines is how many refusals the log gets, so that nobody can fill it.
const refusedLines = 60 // a minute

// note writes the audit line. Of the question only its path is kept: what is
// searched for may be somebody's address. What machines ask for all day long is
// told to who debugs, unless it is refused.
func (g *Guard) note(r *http.Request, a Audience, who string, status int, took time.Duration) {
	level := slog.LevelInfo
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusMethodNotAllowed:
		if _, ok := g.lines.take(netip.Prefix{}, rate{refusedLines, time.Minute}, g.Now()); !ok {
			return
		}
		level = slog.LevelWarn
	case a != People:
		level = slog.LevelDebug
	}
	g.Log.Log(r.Context(), level, "admin access", "who", who, "client", client(r).String(), "method", method(r), "path", path(r),
		"status", status, "seconds", took.Seconds())
}

func path(r *http.Request) string { return r.URL.Path[:min(len(r.URL.Path), maxPath)] }

func method(r *http.Request) string { return r.Method[:min(len(r.Method), 20)] }

// writer remembers the status.
type writer struct {
	http.ResponseWriter
	status int
}

func (w *writer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
