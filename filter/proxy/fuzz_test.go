package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// pipeConn is one end of an in-memory connection with a buffer in between.
type pipeConn struct {
	net.Conn
	client *strings.Reader // what the client sends; then the end
	mu     sync.Mutex
	said   strings.Builder // what we say
}

func (p *pipeConn) Read(b []byte) (int, error) { return p.client.Read(b) }
func (p *pipeConn) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.Write(b)
}
func (p *pipeConn) Close() error                     { return nil }
func (p *pipeConn) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 25} }
func (p *pipeConn) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 25} }
func (p *pipeConn) SetDeadline(time.Time) error      { return nil }
func (p *pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (p *pipeConn) SetWriteDeadline(time.Time) error { return nil }

// oneListener gives one connection and then waits for its Close.
type oneListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *oneListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *oneListener) Close() error   { l.once.Do(func() { close(l.conns) }); return nil }
func (l *oneListener) Addr() net.Addr { return &net.TCPAddr{} }

// FuzzConnection: whatever a client sends, nothing panics, each 250 for a message
// is one of the MTA's, no message is there without its Record, and none that
// the octets had no end for.
func FuzzConnection(f *testing.F) {
	const start = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
	f.Add(start + "DATA\r\nFrom: a@b.example\r\n\r\ntext\r\n.\r\nQUIT\r\n")
	f.Add(start + "BDAT 12 LAST\r\nFrom: a@b\r\n\r\nQUIT\r\n")
	f.Add(start + "BDAT 4\r\nFromRSET\r\n" + start + "DATA\r\n.\r\n")
	f.Add(start + "DATA\r\nx\r\r\n.\r\nMAIL FROM:<>\r\n")
	f.Add(start + "DATA\r\nno end")
	f.Add(start + "BDAT 100 LAST\r\nno end")
	f.Add("HELO x\r\nMAIL FROM:<\"a\\\"b\"@c.example> SIZE=1 BODY=7BIT\r\nMAIL FROM:<>\r\nRSET\r\nSTARTTLS\r\n")
	f.Add("\x00\xff\r\n\n\r.\r\nBDAT\r\nBDAT 99999999999 LAST\r\nAUTH x\r\n")
	m := &mta{misdeeds: map[string]misdeed{}, conns: map[net.Conn]bool{}, offers: []string{"SIZE", "8BITMIME"}}
	f.Fuzz(func(t *testing.T, octets string) {
		if len(octets) > 1<<16 {
			return // too long to be quick
		}
		m.mu.Lock()
		m.letters, m.commands, m.lines = nil, nil, nil
		m.mu.Unlock()
		connect(t, m, octets)
	})
}

func connect(t *testing.T, m *mta, octets string) {
	var mu sync.Mutex
	delivered, panics := 0, 0
	dialed := func() net.Conn {
		ours, theirs := net.Pipe()
		go m.serve(theirs)
		return ours
	}
	s := &Server{
		Hostname: "mx.example",
		Upstream: &Upstream{Address: "mta", Hostname: "mx.example", dial: func(context.Context) (net.Conn, error) { return dialed(), nil }},
		Check: func(context.Context, *mail.Message) filter.Verdict {
			return filter.Verdict{Action: filter.Accept}
		},
		Done: func(r filter.Record) {
			mu.Lock()
			defer mu.Unlock()
			if r.Outcome == filter.Delivered {
				delivered++
			}
			if r.Outcome == filter.Failed {
				t.Errorf("record %+v", r)
			}
		},
		Events: Events{Panic: func() { mu.Lock(); defer mu.Unlock(); panics++ }},
	}
	l := &oneListener{conns: make(chan net.Conn, 1)}
	p := &pipeConn{client: strings.NewReader(octets)}
	l.conns <- p
	served := make(chan error)
	go func() { served <- s.Serve(context.Background(), "fuzz", l) }()
	for { // the connection ends by itself with the octets
		s.once.Do(s.setUp)
		if len(l.conns) == 0 && len(s.open()) == 0 {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error("the connection does not end:", err)
	}
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	letters := m.got()
	if panics > 0 || len(letters) != delivered {
		t.Errorf("%d panics, %d messages, %d records of one", panics, len(letters), delivered)
	}
	if told := strings.Count(p.said.String(), "Ok: queued as 4XYZ"); told > len(letters) {
		t.Errorf("the client was told of %d messages, there are %d", told, len(letters))
	}
	if len(letters) > 0 && !strings.Contains(octets, ".\r\n") && !strings.Contains(strings.ToUpper(octets), "LAST") {
		t.Errorf("a message without an end: %+v", letters)
	}
}

// FuzzReply: whatever an MTA says is one whole reply of a sane code in lines
// without control characters, or none.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "250\r\n", "550-x\r\n250 y\r\n", "2", "250 \x00\x1b\r\n", "999 x\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := readReply(bufio.NewReader(io.LimitReader(strings.NewReader(s), 1<<20)))
		if err != nil {
			return
		}
		if r.code < 200 || r.code > 599 || len(r.lines) == 0 || len(r.lines) > replyLines {
			t.Fatalf("%+v", r)
		}
		for _, line := range r.lines {
			if strings.ContainsAny(line, "\r\n\x00\x1b") || len(line) > replyOctets {
				t.Fatalf("%q", line)
			}
		}
	})
}

// FuzzPath: what goes out as a path is one path.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a@b.example", "a b@c.example", "a>@b.example", "\"@b.example", "a@[192.0.2.1]", "\u3042@b.example", "@", "a@b@c"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, mailbox string, international bool) {
		p, refused := path(mailbox, international, "5.1.7")
		if refused.code != 0 {
			return
		}
		at := strings.LastIndexByte(p, '@')
		if at < 0 {
			t.Fatalf("%q from %q", p, mailbox)
		}
		local, domain := p[:at], p[at+1:]
		if local == "" || domain == "" || strings.ContainsAny(p, "\r\n\x00\t") || strings.ContainsAny(domain, "<>@\" ") {
			t.Fatalf("%q from %q", p, mailbox)
		}
		if !strings.HasPrefix(local, `"`) && strings.ContainsAny(local, "<>@\" \\") {
			t.Fatalf("%q from %q", p, mailbox)
		}
	})
}
