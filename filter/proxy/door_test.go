package proxy

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// TestMain fails if anything still runs when all tests are over.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" { // fuzzing has goroutines of its own
		os.Exit(code)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			os.Exit(code)
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "%d goroutines at the end, %d at the start\n", runtime.NumGoroutine(), before)
	pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
	os.Exit(1)
}

// door is a Server on a real port before an MTA double.
type door struct {
	t       *testing.T
	server  *Server
	mta     *mta
	address string

	mu      sync.Mutex
	verdict func(*mail.Message) filter.Verdict
	seen    []string // the octets of the messages that Check saw
	records []filter.Record
	panics  int
	events  []string
}

const accepted = "250 2.0.0 Ok: queued as 4XYZ"

// patient is what the MTA double gets for a step where its slowness is not what a
// test is about: a busy machine may need much of it.
const patient = 10 * time.Second

func newDoor(t *testing.T, change ...func(*Server)) *door {
	t.Helper()
	d := &door{t: t, mta: newMTA(t)}
	d.verdict = func(*mail.Message) filter.Verdict { return filter.Verdict{Action: filter.Accept} }
	d.server = &Server{
		Hostname: "mx.example",
		Upstream: &Upstream{Address: d.mta.l.Addr().String(), Hostname: "mx.example", Times: Times{
			Connect: patient, Greeting: patient, Command: patient, Data: patient, Final: patient,
		}},
		Check:  d.check,
		Done:   d.done,
		Events: Events{Panic: d.panicked, Opened: func(string) { d.event("opened") }, Accepted: func(string) { d.event("accepted") }, Limited: func(_ string, what Limit) { d.event("limited " + string(what)) }, Refused: func(_ string, why Refusal) { d.event("refused " + string(why)) }, TLS: func(v string) { d.event("tls " + v) }, Upstream: func(k Trouble) { d.event("upstream " + string(k)) }},
	}
	d.server.Spool.Directory = t.TempDir()
	for _, f := range change {
		f(d.server)
	}
	eventually(t, func() bool { return d.server.Upstream.Probe(t.Context()) == nil }) // some are impatient
	eventually(t, func() bool { return slices.Contains(d.mta.heard(), "QUIT") })      // the probe's
	d.mta.mu.Lock()
	d.mta.commands, d.mta.opened = nil, 0
	d.mta.mu.Unlock()
	d.serve()
	return d
}

func (d *door) serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	d.address = l.Addr().String()
	d.serveAs("test", l)
}

// serveAs serves one more listener until the end of the test.
func (d *door) serveAs(name string, l net.Listener) {
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(context.Background(), name, l) }()
	d.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		d.server.Shutdown(ctx)
		if err := <-served; err != nil {
			d.t.Error("Serve:", err)
		}
	})
}

func (d *door) check(_ context.Context, m *mail.Message) filter.Verdict {
	b := make([]byte, m.Size())
	m.Section(0, m.Size()).Read(b)
	d.mu.Lock()
	d.seen = append(d.seen, string(b))
	f := d.verdict
	d.mu.Unlock()
	return f(m)
}

func (d *door) judge(f func(*mail.Message) filter.Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.verdict = f
}

func (d *door) done(r filter.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records = append(d.records, r)
}

func (d *door) panicked() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.panics++
}

func (d *door) event(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, s)
}

func (d *door) happened(event string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		if e == event {
			return true
		}
	}
	return false
}

// record waits for the n-th record, from 1, and makes sure that there are no more.
func (d *door) record(n int) filter.Record {
	d.t.Helper()
	var all []filter.Record
	eventually(d.t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		all = append([]filter.Record(nil), d.records...)
		return len(all) >= n
	})
	if len(all) != n {
		d.t.Fatalf("%d records, want %d", len(all), n)
	}
	return all[n-1]
}

// eventually waits for something that others do.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("it did not happen")
}

// client speaks SMTP line by line.
type client struct {
	t *testing.T
	c net.Conn
	r *bufio.Reader
}

func (d *door) dial() *client {
	d.t.Helper()
	return d.call("tcp", d.address)
}

func (d *door) call(network, address string) *client {
	d.t.Helper()
	c, err := net.Dial(network, address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { c.Close() })
	k := &client{t: d.t, c: c, r: bufio.NewReader(c)}
	k.c.SetDeadline(time.Now().Add(20 * time.Second))
	return k
}

// hear gives one whole reply, lines divided by "|"; "" at the end.
func (k *client) hear() string {
	var lines []string
	for {
		line, err := k.r.ReadString('\n')
		if err != nil {
			return strings.Join(lines, "|")
		}
		line = strings.TrimRight(line, "\r\n")
		lines = append(lines, line)
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, "|")
		}
	}
}

func (k *client) raw(s string) { k.c.Write([]byte(s)) }

// say sends a line and wants a reply that begins with want.
func (k *client) say(line, want string) string {
	k.t.Helper()
	k.raw(line + "\r\n")
	return k.want(want, line)
}

func (k *client) want(want, after string) string {
	k.t.Helper()
	got := k.hear()
	if !strings.HasPrefix(got, want) {
		k.t.Fatalf("after %.60q: %q, want %q", after, got, want)
	}
	return got
}

// over wants the connection to have ended.
func (k *client) over() {
	k.t.Helper()
	k.c.SetReadDeadline(time.Now().Add(3 * time.Second))
	if b, err := k.r.ReadByte(); err == nil {
		rest, _ := k.r.Peek(k.r.Buffered())
		k.t.Fatalf("the connection goes on: %q", string(b)+string(rest))
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		k.t.Fatal("the connection is still open")
	}
}

// ready goes up to EHLO.
func (k *client) ready() *client {
	k.t.Helper()
	k.want("220 ", "connecting")
	k.say("EHLO client.example", "250")
	return k
}

// envelope goes up to the 354.
func (k *client) envelope() *client {
	k.t.Helper()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.say("DATA", "354")
	return k
}

const letterText = "From: a@sender.example\r\nSubject: hello\r\n\r\nthe text\r\n"

// send sends one message and gives the final reply.
func (k *client) send(text string) string {
	k.t.Helper()
	k.envelope()
	k.raw(text + ".\r\n")
	return k.hear()
}
