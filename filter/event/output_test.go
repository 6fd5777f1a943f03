package event

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// line is one as the program writes it.
func line(n int) []byte {
	return fmt.Appendf(nil, `{"@timestamp":"2026-11-22T04:05:06.000000Z","log.level":"info","event.dataset":"sekimori.message","message":"n%d"}`+"\n", n)
}

// place is a sink that does what a test wants.
type place struct {
	mu     sync.Mutex
	got    []byte
	calls  int
	behave func(call int, lines []byte) (int, error)
}

func (p *place) Write(lines []byte) (n int, err error) {
	p.mu.Lock()
	p.calls++
	call := p.calls
	p.mu.Unlock()
	n = len(lines)
	if p.behave != nil {
		n, err = p.behave(call, lines)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, lines[:n]...)
	return n, err
}

func (p *place) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.got)
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func failing(o *Output) bool {
	_, err := o.State()
	return err != nil
}

// Nothing is lost at the end, nothing is doubled, and the order stays.
func TestOutputEndsInOrder(t *testing.T) {
	p := &place{}
	o := (&Output{}).ToWriter(p)
	var want strings.Builder
	for i := range 5000 {
		o.Write(line(i))
		want.Write(line(i))
	}
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
	if p.text() != want.String() {
		t.Errorf("%d bytes of %d", len(p.text()), want.Len())
	}
	if p.calls > 500 {
		t.Errorf("%d writes for 5000 lines", p.calls)
	}
	o.Write(line(1)) // too late: no panic
}

// Lines come by themselves, without further ones and without an end.
func TestOutputIsNotHeldBack(t *testing.T) {
	p := &place{}
	o := (&Output{Delay: time.Millisecond}).ToWriter(p)
	defer o.Close(soon(t))
	o.Write(line(1))
	await(t, "the line", func() bool { return p.text() == string(line(1)) })
	patient := &place{}
	late := (&Output{Delay: time.Hour}).ToWriter(patient)
	late.Write(line(2))
	if err := late.Flush(soon(t)); err != nil || patient.text() != string(line(2)) {
		t.Errorf("%v %q", err, patient.text())
	}
	if err := late.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

// A place that takes nothing costs no time, a bounded memory, and lines that are
// counted and told of later.
func TestOutputThatHangs(t *testing.T) {
	free := make(chan struct{})
	p := &place{behave: func(_ int, lines []byte) (int, error) { <-free; return len(lines), nil }}
	var missed atomic.Int64
	o := (&Output{Name: "x", Limit: 10 * len(line(10)), Delay: time.Nanosecond,
		Missed: func(_ string, n int) { missed.Add(int64(n)) }}).ToWriter(p)
	start := time.Now()
	const all = 1000
	for range all {
		o.Write(line(10))
	}
	if time.Since(start) > 5*time.Second {
		t.Error("it waits")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := o.Flush(ctx); err == nil {
		t.Error("it says that all is there")
	}
	close(free)
	if err := o.Flush(soon(t)); err != nil {
		t.Error(err)
	}
	o.Write(line(1))
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
	came := int64(strings.Count(p.text(), "\n"))
	n, _ := o.State()
	if dropped := int64(n); dropped == 0 || missed.Load() != dropped || came != all+1-dropped {
		t.Errorf("%d dropped, %d told, %d came", dropped, missed.Load(), came)
	}
}

// The end waits for a dead place as long as it may, and counts what is lost.
func TestOutputEndsThoughItHangs(t *testing.T) {
	p := &place{behave: func(int, []byte) (int, error) { return 0, errors.New("dead") }}
	o := (&Output{Name: "x", Pause: time.Millisecond}).ToWriter(p)
	o.Write(line(1))
	await(t, "it fails", func() bool { return failing(o) })
	o.Write(line(2))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := o.Close(ctx)
	if n, _ := o.State(); err == nil || !strings.Contains(err.Error(), "dead") || n != 1 {
		t.Errorf("%v, %d dropped", err, n)
	}
	select {
	case <-o.done:
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
}

// A disk that is full in the middle of a line: later the whole line is there, and
// who reads the file meets one torn line at most.
func TestOutputPartOfALine(t *testing.T) {
	p := &place{}
	p.behave = func(call int, lines []byte) (int, error) {
		if call == 1 {
			return len(line(1)) + 7, errors.New("no space left on device")
		}
		return len(lines), nil
	}
	var states []error
	var mu sync.Mutex
	o := (&Output{Pause: time.Millisecond, Changed: func(_ string, err error) { mu.Lock(); states = append(states, err); mu.Unlock() }}).ToWriter(p)
	o.Write(append(append(line(1), line(2)...), line(3)...))
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
	if want := string(line(1)) + string(line(2)[:7]) + "\n" + string(line(2)) + string(line(3)); p.text() != want {
		t.Errorf("%q", p.text())
	}
	if mu.Lock(); len(states) != 2 || states[0] == nil || states[1] != nil {
		t.Errorf("told %v", states)
	}
	mu.Unlock()
}

func TestOutputToFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	o, err := (&Output{Delay: time.Millisecond}).ToFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o.Write(line(1))
	if err := o.Flush(soon(t)); err != nil {
		t.Error(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	o.Write(line(2)) // still into the old one
	if err := o.Flush(soon(t)); err != nil {
		t.Error(err)
	}
	o.Reopen()
	o.Write(line(3))
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
	old, _ := os.ReadFile(path + ".1")
	present, _ := os.ReadFile(path)
	if string(old) != string(line(1))+string(line(2)) || string(present) != string(line(3)) {
		t.Errorf("old %q\nnew %q", old, present)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := (&Output{}).ToFile(filepath.Join(path, "none")); err == nil {
		t.Error("a file that cannot be is taken")
	}
}

// The real thing: a device on which every write ends with ENOSPC.
func TestOutputToFullDisk(t *testing.T) {
	o, err := (&Output{Name: "full", Pause: time.Millisecond}).ToFile("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	o.Write(line(1))
	await(t, "it fails", func() bool { return failing(o) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := o.Close(ctx); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
}

// receiver reads octet-counted messages (RFC 6587).
type receiver struct {
	net.Listener
	mu   sync.Mutex
	got  []string
	open []net.Conn
}

func receive(t *testing.T, l net.Listener) *receiver {
	r := &receiver{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.open = append(r.open, c)
			r.mu.Unlock()
			go r.read(c)
		}
	}()
	return r
}

func (r *receiver) read(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		length, err := in.ReadString(' ')
		n, bad := strconv.Atoi(strings.TrimSpace(length))
		if err != nil || bad != nil {
			return
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(in, b); err != nil {
			return
		}
		r.mu.Lock()
		r.got = append(r.got, string(b))
		r.mu.Unlock()
	}
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

const wantSyslog = `<22>1 2026-11-22T04:05:06.000000Z mx.example.net sekimori 42 message - {"@timestamp":`

func TestOutputToSyslogThatGoesAndComes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	r := receive(t, l)
	o := (&Output{Delay: time.Millisecond, Pause: time.Millisecond}).ToSyslog(Syslog{Network: "tcp", Address: addr, Facility: Facility("mail"), Host: "mx.example.net", PID: 42})
	o.Write(line(1))
	await(t, "the first", func() bool { return r.count() == 1 })
	if !strings.HasPrefix(r.got[0], wantSyslog) || !strings.HasSuffix(r.got[0], `"message":"n1"}`) {
		t.Errorf("%q", r.got[0])
	}
	l.Close()
	r.mu.Lock()
	for _, c := range r.open {
		c.Close()
	}
	r.mu.Unlock()
	sink := o.sink.(*syslogSink)
	await(t, "it notices", func() bool { return sink.gone.Load() })
	for i := range 100 {
		o.Write(line(i))
	}
	await(t, "it fails", func() bool { return failing(o) })
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r = receive(t, again)
	await(t, "all that waited", func() bool { return r.count() == 100 })
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

func TestOutputToSyslogOverTLS(t *testing.T) {
	pair, pool := certificate(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	r := receive(t, l)
	s := Syslog{Network: "tcp", Address: l.Addr().String(), TLS: &tls.Config{RootCAs: pool, ServerName: "logs.example.net"}, Timeout: 5 * time.Second}
	o := (&Output{}).ToSyslog(s)
	o.Write(line(1))
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
	await(t, "the line", func() bool { return r.count() == 1 })
	s.TLS = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "logs.example.net"}
	stranger := (&Output{Pause: time.Millisecond}).ToSyslog(s)
	stranger.Write(line(2))
	await(t, "it refuses", func() bool { return failing(stranger) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := stranger.Close(ctx); err == nil || !strings.Contains(err.Error(), "certificate") || r.count() != 1 {
		t.Errorf("%v", err)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"logs.example.net"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(own)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// datagrams gives a socket and what comes in on it.
func datagrams(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		b := make([]byte, 1<<20)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := c.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestOutputToSyslogSocket(t *testing.T) {
	path, next := datagrams(t)
	o := (&Output{}).ToSyslog(Syslog{Network: "unix", Address: path, Facility: 2, Host: "mx.example.net", PID: 42})
	o.Write(append(line(1), line(2)...))
	if one, two := next(), next(); !strings.HasPrefix(one, wantSyslog) || !strings.HasSuffix(two, `n2"}`) {
		t.Errorf("%q %q", one, two)
	}
	if err := o.Close(soon(t)); err != nil {
		t.Error(err)
	}
}

func TestOutputToJournal(t *testing.T) {
	path, next := datagrams(t)
	o := (&Output{}).ToJournal(path)
	defer o.Close(soon(t))
	r := full()
	r.Verdict.Fault = "panic\nline 2"
	o.Write(Format{Host: "mx.example.net"}.Message(nil, &r))
	entry := "\n" + next()
	for _, want := range []string{
		"\nPRIORITY=3\n", "\nSYSLOG_IDENTIFIER=sekimori\n", "\nMESSAGE=delivered: accept dmarc_pass", "\nEVENT_ACTION=accept\n", "\nSOURCE_IP=192.0.2.1\n", "\nSOURCE_PORT=4711\n",
		"\nTIMESTAMP=2026-11-22T", "\nSEKIMORI_AUTHOR_DOMAINS=a.example\n", "\nSEKIMORI_AUTHOR_DOMAINS=b.example\n", "\nSEKIMORI_DKIM={\"result\":\"pass\"",
		"\nERROR_STACK_TRACE\n\x0c\x00\x00\x00\x00\x00\x00\x00panic\nline 2\n",
	} {
		if !strings.Contains(entry, want) {
			t.Errorf("no %q in %q", want, entry)
		}
	}
	// What is too long for any datagram comes without its longest fields.
	r.Envelope.Rcpts = make([]string, maxRcpts)
	for i := range r.Envelope.Rcpts {
		r.Envelope.Rcpts[i] = strings.Repeat("x", maxName)
	}
	o.Write(Format{}.Message(nil, &r))
	if entry := next(); !strings.Contains(entry, "SEKIMORI_RECIPIENTS=100\n") {
		t.Errorf("%.200q", entry)
	}
}

func TestHeadOf(t *testing.T) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		o := Format{Host: `a"b`}.open(nil, time.Unix(0, 0), level, "sekimori.program")
		h, err := headOf(append(o.b, '}'))
		if err != nil || string(h.level) != level || string(h.dataset) != "program" || len(h.time) != 27 || !json.Valid(append(o.b, '}')) {
			t.Errorf("%s: %q %v", level, h, err)
		}
	}
	if _, err := headOf([]byte(`{"@timestamp":"x`)); err == nil {
		t.Error("half a line is taken")
	}
}

func BenchmarkOutput(b *testing.B) {
	o := (&Output{Limit: 1 << 30}).ToWriter(io.Discard)
	one := line(1)
	b.ReportAllocs()
	for b.Loop() {
		o.Write(one)
	}
	_ = o.Close(context.Background())
}
