package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Server is the front door. Its fields are set before the first Serve and not
// changed after it.
type Server struct {
	Hostname string // said in the greeting, in Received fields and to nobody else
	Upstream *Upstream

	// Check judges a message within ctx, which ends when the server must.
	Check func(ctx context.Context, m *mail.Message) filter.Verdict

	// Done gets the Record of each transaction that reached DATA, once, before
	// the client gets the reply. May be nil.
	Done func(filter.Record)

	// Prefetch is called beside the transaction, at MAIL without a header and
	// when the header is whole. ctx ends with the transaction. May be nil.
	Prefetch func(ctx context.Context, env mail.Envelope, h *mail.Header)

	// ClientName asks the DNS for the names of a client, for an MTA that wants to
	// hear them and will not ask for itself. May be nil.
	ClientName func(ctx context.Context, client netip.Addr) ClientName

	// Rules tells of a recipient by which rules its mail is judged. Those for
	// whom it differs are taken in messages of their own. May be nil.
	Rules func(rcpt string) string

	// Listeners say how clients are received, by the name that Serve is given. On
	// others there are just TLS, for STARTTLS, and Limits.
	Listeners map[string]Listener
	TLS       *tls.Config
	Limits    Limits

	Spool  mail.Options // MaxSize and OnHeader are the server's own
	Events Events
	Log    *slog.Logger     // what is about no single message; nil: nowhere
	Now    func() time.Time // time.Now by default
	NewID  func() string    // unique, [0-9A-Za-z-], at most 64 octets; random by default

	once   sync.Once
	log    *slog.Logger
	now    func() time.Time
	newID  func() string
	base   context.Context // of all sessions
	cancel context.CancelFunc
	quit   chan struct{} // closed when draining begins

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*conn]struct{}
	gates     map[string]*gate
	draining  bool
	empty     chan struct{} // closed when draining has come to its end
}

// expelTime is what connections get to say 421 after the time of Shutdown is up.
const expelTime = time.Second

func (s *Server) setUp() {
	s.log, s.now, s.newID = s.Log, s.Now, s.NewID
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.newID == nil {
		s.newID = randomID
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.listeners = map[net.Listener]struct{}{}
	s.conns = map[*conn]struct{}{}
	s.gates = map[string]*gate{}
	s.quit = make(chan struct{})
	s.empty = make(chan struct{})
}

// Serve takes connections from l, which is named in Records and Events, until
// ctx ends or Shutdown is called. Then it closes l and returns nil. Trouble with
// accepting, such as too many open files, is waited out. Several listeners may
// be served at once.
func (s *Server) Serve(ctx context.Context, name string, l net.Listener) error {
	s.once.Do(s.setUp)
	if !s.track(l) {
		return errors.Join(net.ErrClosed, l.Close())
	}
	defer s.forget(l)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	at := s.gate(name)
	var pause time.Duration
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(at, c)
		case ctx.Err() != nil || s.isDraining():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %s: %w", name, err)
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Warn("cannot accept a connection", "listener", name, "error", err.Error(), "pause", pause.String())
			sleep(ctx, pause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.listeners[l] = struct{}{}
	}
	return !s.draining
}

func (s *Server) forget(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
	_ = l.Close()
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func (s *Server) emptied() {
	select {
	case <-s.empty:
	default:
		close(s.empty)
	}
}

// commandLine is how long a command may be. RFC 5321 section 4.5.3.1.4: 512
// octets, and more with extensions.
const commandLine = 2 << 10

// smtpServer makes the SMTP server of one connection.
func (s *Server) smtpServer(g *conn) *smtp.Server {
	lib := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		x, err := newSession(s, g.gate.name, c)
		if err != nil {
			return nil, err
		}
		return x, nil
	}))
	lib.Domain = s.Hostname
	lib.AllowInsecureAuth = true // so that AUTH comes to session.Auth
	lib.MaxLineLength = commandLine
	s.mirror(lib, g)
	lib.ErrorLog = libraryLog{s.log}
	return lib
}

// libraryLog takes what the library has to say of its own.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, v ...any) {
	l.log.Warn("smtp library", "text", fmt.Sprintf(format, v...))
}

func (l libraryLog) Println(v ...any) { l.log.Warn("smtp library", "text", fmt.Sprint(v...)) }

// single is a listener with one connection to give.
type single struct{ conn net.Conn }

func (l *single) Accept() (net.Conn, error) {
	c := l.conn
	if l.conn = nil; c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return nil }

// Shutdown stops accepting, sends away who has no transaction open, lets the
// others finish, and returns nil when the last one has. When ctx ends before
// that, they are told 421 and cut off, and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.setUp)
	defer s.Upstream.close()
	defer s.cancel()
	for _, g := range s.startDraining() {
		g.drain()
	}
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	for _, g := range s.open() {
		g.expel()
	}
	late := time.NewTimer(expelTime)
	defer late.Stop()
	select {
	case <-s.empty:
	case <-late.C:
		for _, g := range s.open() {
			_ = g.Conn.Close() // the socket itself: nobody is waited for
		}
	}
	return ctx.Err()
}

func (s *Server) startDraining() []*conn {
	s.mu.Lock()
	if !s.draining {
		close(s.quit)
	}
	s.draining = true
	for l := range s.listeners {
		_ = l.Close()
	}
	if len(s.conns) == 0 {
		s.emptied()
	}
	s.mu.Unlock()
	return s.open()
}

func (s *Server) open() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for g := range s.conns {
		all = append(all, g)
	}
	return all
}

// contain takes note of a panic that was caught.
func (s *Server) contain(v any) {
	s.Events.panicked()
	s.log.Error("panic", "value", fmt.Sprint(v), "stack", string(debug.Stack()))
}

// troubled takes note of trouble with the MTA.
func (s *Server) troubled(e *linkError) {
	s.Events.upstream(e.kind)
	s.log.Warn("trouble with the MTA", "kind", string(e.kind), "step", e.step, "error", e.err.Error())
}
