package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sekimori/filter"
	"sekimori/filter/mail"
)

const spoof = "From: ceo@bank.example\r\nSubject: spoofed\r\n\r\npay\r\n"

func (l *life) spoof() string {
	l.t.Helper()
	return l.dial().send("x@attacker.example", []string{"user@example.net"}, []byte(spoof))
}

// reload is 'sekimori reload' as its users call it.
func (l *life) reload() (out string, ok bool) {
	l.t.Helper()
	b, err := exec.Command("sekimori", "reload", "--control", l.control()).CombinedOutput()
	return string(b), err == nil
}

func (l *life) page() string { return (&daemon{admin: l.admin}).get("/metrics") + "\n" }

func TestReload(t *testing.T) {
	l := newLife(t)
	p := l.start(nil)
	if got := l.spoof(); !strings.HasPrefix(got, "550 5.7.26 ") {
		t.Fatalf("reply %q", got)
	}

	t.Run("a message in flight keeps its rules, a new connection has the new ones", func(t *testing.T) { reloadInFlight(t, l) })
	t.Run("by SIGHUP", func(t *testing.T) { reloadBySignal(t, l, p) })
	t.Run("a bad file changes nothing", func(t *testing.T) { reloadBadFile(t, l) })
	t.Run("the admin page stays where it is", func(t *testing.T) { reloadAdmin(t, l) })
	t.Run("listeners come and go", func(t *testing.T) { reloadListeners(t, l) })
	t.Run("an address that is taken", func(t *testing.T) { reloadTaken(t, l) })
	p.signal(syscall.SIGTERM)
	if got := p.wait(0); got != "late" && got != "exit status 0" {
		t.Error(got)
	}
	waitFor(t, "it ends", func() bool { return p.wait(0) == "exit status 0" })
	if _, err := os.Stat(l.control()); !os.IsNotExist(err) {
		t.Errorf("the control socket stays: %v", err)
	}
	if out, ok := l.reload(); ok || !strings.HasPrefix(out, "sekimori: asking the running proxy: ") {
		t.Errorf("%v, %q", ok, out)
	}
}

func reloadInFlight(t *testing.T, l *life) {
	old := l.dial()
	for _, line := range []string{"MAIL FROM:<x@attacker.example>", "RCPT TO:<user@example.net>", "DATA"} {
		old.command("%s", line)
	}
	l.write("policy.mode = \"shadow\"\nlistener.max_recipients = 7\n")
	out, ok := l.reload()
	want := "reloaded\n  listener.max_recipients: 100 -> 7\n  policy.mode: \"enforce\" -> \"shadow\"\n"
	if !ok || out != want {
		t.Errorf("%v, %q", ok, out)
	}
	if got := l.spoof(); !positive(got) {
		t.Errorf("by the new rules: %q", got)
	}
	if got := old.data2(spoof); !strings.HasPrefix(got, "550 5.7.26 ") {
		t.Errorf("by the old rules: %q", got)
	}
}

func reloadBySignal(t *testing.T, l *life, p *process) {
	l.write("log.level = \"debug\"\n")
	p.signal(syscall.SIGHUP)
	waitFor(t, "the log tells the change", func() bool {
		return strings.Contains(p.log.String(), `log.level: \"info\" -> \"debug\"`)
	})
	if got := l.spoof(); !strings.HasPrefix(got, "550 5.7.26 ") {
		t.Errorf("reply %q", got)
	}
}

func reloadBadFile(t *testing.T, l *life) {
	l.write("policy.mode = \"shadowy\"\nlog.level = \"warn\"\n")
	out, ok := l.reload()
	if ok || !strings.Contains(out, "not reloaded, the old configuration stays") || !strings.Contains(out, `sekimori.toml:7:15: policy.mode: "shadowy"`) {
		t.Errorf("%v, %q", ok, out)
	}
	if got := l.spoof(); !strings.HasPrefix(got, "550 5.7.26 ") {
		t.Errorf("reply %q", got)
	}
	if page := l.page(); !strings.Contains(page, "sekimori_reloads_total{result=\"ok\"} 2\n") || !strings.Contains(page, "sekimori_reloads_total{result=\"failed\"} 1\n") ||
		!strings.Contains(page, "sekimori_config_loaded_timestamp_seconds 1.") {
		t.Error(page)
	}
}

func reloadAdmin(t *testing.T, l *life) {
	was := l.admin
	l.admin = freeAddr(t)
	l.write("")
	now := l.admin
	l.admin = was
	want := fmt.Sprintf("  needs a restart: admin.address: %q -> %q\n", was, now)
	for range 2 { // as often as it is asked for
		if out, ok := l.reload(); !ok || !strings.HasSuffix(out, want) {
			t.Errorf("%v, %q", ok, out)
		}
	}
	l.write("")
	if out, ok := l.reload(); !ok || out != "reloaded, nothing has changed\n" {
		t.Errorf("%v, %q", ok, out)
	}
}

func reloadListeners(t *testing.T, l *life) {
	more, unix := freeAddr(t), filepath.Join(filepath.Dir(l.file), "smtp.sock")
	first := l.dial()
	l.write(fmt.Sprintf("[[listener]]\naddress = %q\n[[listener]]\naddress = %q\n[[listener]]\naddress = %q\nsocket_mode = \"0600\"\n", l.addr, more, "unix:"+unix))
	l.unlisted(t)
	if out, ok := l.reload(); !ok {
		t.Fatal(out)
	}
	info, err := os.Stat(unix)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	for _, at := range [][2]string{{"tcp", l.addr}, {"tcp", more}, {"unix", unix}} {
		if got := greeting(at[0], at[1]); !strings.HasPrefix(got, "220 ") {
			t.Errorf("%v: %q", at, got)
		}
	}
	l.write("")
	if out, ok := l.reload(); !ok || !strings.Contains(out, "listener[1].address: \""+more+"\" ->") {
		t.Errorf("%v, %q", ok, out)
	}
	waitFor(t, "it is closed", func() bool { return refused(more) })
	if got := first.command("NOOP"); !positive(got) {
		t.Errorf("who came before two reloads: %q", got)
	}
}

func reloadTaken(t *testing.T, l *life) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	l.write(fmt.Sprintf("[[listener]]\naddress = %q\n[[listener]]\naddress = %q\n", l.addr, taken.Addr()))
	l.unlisted(t)
	if out, ok := l.reload(); ok || !strings.Contains(out, "address already in use") {
		t.Errorf("%v, %q", ok, out)
	}
	if got := l.spoof(); !strings.HasPrefix(got, "550 5.7.26 ") {
		t.Errorf("reply %q", got)
	}
}

// unlisted takes the one listener out of the configuration that has a list.
func (l *life) unlisted(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(l.file)
	if err == nil {
		_, rest, _ := strings.Cut(string(b), "listener.address")
		_, rest, _ = strings.Cut(rest, "\n")
		err = os.WriteFile(l.file, []byte("hostname = \"mx.example.net\"\n"+rest), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func greeting(network, addr string) string {
	c, err := net.Dial(network, addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return newSender(c).read()
}

// data2 sends what follows the 354.
func (s *sender) data2(text string) string {
	if _, err := s.conn.Write(stuffed([]byte(text))); err != nil {
		return err.Error()
	}
	return s.read()
}

// While mail flows, one reload follows the other: no message is lost, refused or
// doubled.
func TestReloadUnderLoad(t *testing.T) {
	l := newLife(t)
	p := l.start(nil)
	flow := &flow{life: l, stop: make(chan struct{})}
	flow.start(t, 4)
	for i := range 6 {
		before := l.mta.received()
		l.write(fmt.Sprintf("listener.max_recipients = %d\n", 50+i))
		if out, ok := l.reload(); !ok {
			t.Error(out)
		}
		waitFor(t, "mail flows on", func() bool { return l.mta.received() > before+5 })
	}
	flow.end()
	if n := l.mta.received(); n != flow.sent {
		t.Errorf("%d messages were taken, the MTA has %d", flow.sent, n)
	}
	p.signal(syscall.SIGTERM)
	if got := p.wait(10 * 1e9); got != "exit status 0" {
		t.Error(got)
	}
}

// The socket is its owner's from its first moment, and a process takes away
// only its own.
func TestControlSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	ctx, cancel := timed(t)
	defer cancel()
	log := &lockedBuffer{}
	old := &service{control: path, log: newLog(log, "info")}
	remove := old.listenControl(ctx)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", info, err)
	}
	next := &service{control: path, log: newLog(log, "info"), ending: true, common: newCommonForTest()}
	removeNext := next.listenControl(ctx)
	remove()
	var out bytes.Buffer
	if err := askControl(ctx, path, nil, &out); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("not the one that came after: %v", err)
	}
	removeNext()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it stays: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	broken := &service{control: filepath.Join(path, "none", "c"), log: newLog(log, "info")}
	broken.listenControl(ctx)()
	if !strings.Contains(log.String(), "no control socket") {
		t.Errorf("log %s", log)
	}
}

// A panic costs its message one try and nobody else anything.
func TestPanicOfOneMessage(t *testing.T) {
	l := newLife(t)
	cfg, err := loadConfig(l.file)
	if err != nil {
		t.Fatal(err)
	}
	common := newCommon(cfg)
	log := &lockedBuffer{}
	h, err := common.build(cfg, newLog(log, "info"))
	if err != nil {
		t.Fatal(err)
	}
	check := h.server.Check
	h.server.Check = func(ctx context.Context, m *mail.Message) filter.Verdict {
		if bytes.Contains(m.Header.Raw, []byte("X-Boom")) {
			panic("planted")
		}
		return check(ctx, m)
	}
	s := &service{common: common, log: newLog(log, "info")}
	if err := s.open(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := timed(t)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, cfg, h) }()
	other := l.dial()
	other.half(t)
	client := l.dial()
	rcpts := []string{"user@example.net"}
	if got := client.send("a@example.com", rcpts, []byte("X-Boom: 1\r\n"+letterHead)); !strings.HasPrefix(got, "451 4.3.0") {
		t.Errorf("reply %q", got)
	}
	if got := client.send("a@example.com", rcpts, []byte(letterHead)); !positive(got) {
		t.Errorf("the next message of the same connection: %q", got)
	}
	if got := other.rest(t); !positive(got) {
		t.Errorf("the message of another client: %q", got)
	}
	if page := l.page(); !strings.Contains(page, "sekimori_panics_total 1\n") || !strings.Contains(page, "sekimori_spool_memory_bytes 0\n") {
		t.Error(page)
	}
	if n := l.mta.received(); n != 2 {
		t.Errorf("the MTA has %d messages", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// spool.memory_total and spool.disk_total bound all messages, also after a reload.
func TestSpoolTotals(t *testing.T) {
	l := newLife(t)
	l.write("spool.memory_total = \"1MiB\"\n")
	l.start(nil)
	rcpts := []string{"user@example.net"}
	large := []byte(strings.Repeat("X: "+strings.Repeat("x", 900)+"\r\n", 700) + letterHead) // a header has no place but memory
	if got := l.dial().send("a@example.com", rcpts, large); !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("reply %q", got)
	}
	if got := l.dial().send("a@example.com", rcpts, []byte(letterHead)); !positive(got) {
		t.Errorf("reply %q", got)
	}
	l.write("spool.disk_total = \"1MiB\"\n")
	if out, ok := l.reload(); !ok {
		t.Fatal(out)
	}
	if got := l.dial().send("a@example.com", rcpts, large); !positive(got) {
		t.Errorf("reply %q", got)
	}
	body := append([]byte(letterHead), bytes.Repeat([]byte("0123456789\r\n"), 150_000)...)
	if got := l.dial().send("a@example.com", rcpts, body); !strings.HasPrefix(got, "452 4.3.1 ") {
		t.Errorf("reply %q", got)
	}
	waiting := l.dial()
	waiting.half(t)
	waitFor(t, "the page tells it", func() bool {
		return strings.Contains(l.page(), "sekimori_spool_memory_bytes 8192\n") && strings.Contains(l.page(), "sekimori_spool_disk_bytes 0\n")
	})
	if got := waiting.rest(t); !positive(got) {
		t.Errorf("reply %q", got)
	}
	waitFor(t, "it was given back", func() bool { return strings.Contains(l.page(), "sekimori_spool_memory_bytes 0\n") })
}
