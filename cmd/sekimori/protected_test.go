package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guarded is a daemon whose protected domains come from a file, under load.
type guarded struct {
	*daemon
	t    *testing.T
	file string
	flow *flow
}

const guardedDomains = 2000

func startGuarded(t *testing.T) *guarded {
	t.Helper()
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mta.close)
	dir := t.TempDir()
	g := &guarded{t: t, file: filepath.Join(dir, "userdomains")}
	g.write(g.domains(guardedDomains))
	g.daemon = startDaemon(t, mta.listen.Addr().String(), fmt.Sprintf(`
listener.max_connections_per_client = 100
[protected]
domains = ["inline.example"]
removal_delay = "1s"
state_directory = %q
[[protected.source]]
name = "cpanel"
kind = "cpanel"
paths = [%q]
`, filepath.Join(dir, "state"), g.file))
	waitFor(t, "ready", func() bool { return g.get("/readyz") == "200 ready" })
	g.flow = &flow{life: &life{t: t, addr: g.addr}, stop: make(chan struct{})}
	g.flow.start(t, 4)
	return g
}

func (g *guarded) domains(n int) string {
	b := &strings.Builder{}
	b.WriteString("*: nobody\n")
	for i := range n {
		fmt.Fprintf(b, "customer%d.example: user%d\n", i, i%100)
	}
	return b.String()
}

func (g *guarded) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guarded) protects(domain string) bool {
	_, _, ok := g.service.common.live.Domains().Owner(domain)
	return ok
}

// refuses sends a spoof. The domain publishes nothing, so that it is refused only
// because it is protected.
func (g *guarded) refuses(domain string) bool {
	g.t.Helper()
	reply := g.send(g.t, "", "user@example.net", "From: boss@"+domain+"\r\nSubject: pay\r\n\r\npay\r\n")
	return strings.HasPrefix(reply, "550 5.7.26")
}

func (g *guarded) page() string { return g.get("/metrics") + "\n" }

// allStand holds that no domain of the source has lost its protection.
func (g *guarded) allStand(after string) {
	g.t.Helper()
	for i := range guardedDomains {
		if d := fmt.Sprintf("customer%d.example", i); !g.protects(d) {
			g.t.Fatalf("%s: %s is not protected", after, d)
		}
	}
	if !g.protects("inline.example") || !g.refuses("inline.example") || !g.refuses("sub.customer7.example") {
		g.t.Errorf("%s: a spoof was let through", after)
	}
}

func TestSourceUnderLoad(t *testing.T) {
	g := startGuarded(t)
	g.allStand("the start")
	first, err := dialSender(g.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()

	if g.refuses("added.example") {
		t.Fatal("added.example is protected already")
	}
	start := time.Now()
	f, err := os.OpenFile(g.file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("added.example: alice\n")
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a domain that is added", func() bool { return g.refuses("added.example") })
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if !strings.Contains(g.page(), `sekimori_source_up{source="cpanel"} 1`+"\n") || !strings.Contains(g.page(), `sekimori_source_entries{source="cpanel"} 2001`+"\n") {
		t.Error(g.page())
	}

	whole := g.domains(guardedDomains) + "added.example: alice\n"
	for _, harm := range []struct {
		name, told string
		do         func() error
	}{
		{"half written", "has only", func() error { return os.WriteFile(g.file, []byte(whole[:len(whole)/3]), 0o600) }},
		{"emptied", "has only 0 of its 2001 domains left", func() error { return os.Truncate(g.file, 0) }},
		{"binary", "has NUL bytes", func() error { return os.WriteFile(g.file, []byte("SQLite format 3\x00"+whole), 0o600) }},
		{"unreadable", "is no file", func() error {
			if err := os.Remove(g.file); err != nil {
				return err
			}
			return os.Mkdir(g.file, 0o700) // permissions do not keep root from reading
		}},
	} {
		if err := harm.do(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, harm.name+": it is told", func() bool {
			return strings.Contains(g.log.String(), harm.told) && strings.Contains(g.page(), `sekimori_source_up{source="cpanel"} 0`+"\n")
		})
		time.Sleep(1500 * time.Millisecond) // longer than removal_delay
		g.allStand(harm.name)
		if g.get("/readyz") != "200 ready" {
			t.Errorf("%s: %s", harm.name, g.get("/readyz"))
		}
	}
	if _, err := g.service.reload(); err != nil { // it knows what the source had
		t.Error(err)
	}
	g.allStand("a reload")
	if err := os.Remove(g.file); err != nil {
		t.Fatal(err)
	}
	g.write(whole)
	waitFor(t, "it is right again", func() bool { return strings.Contains(g.page(), `sekimori_source_up{source="cpanel"} 1`+"\n") })

	g.acceptsLoss()
	if got := first.command("NOOP"); !positive(got) {
		t.Errorf("the connection from the start: %q", got)
	}
	g.flow.end() // which has failed the test for any reply but 250
	if g.flow.sent < 20 {
		t.Errorf("%d messages are no load", g.flow.sent)
	}
}

// acceptsLoss: only an operator's word lets most domains go.
func (g *guarded) acceptsLoss() {
	g.t.Helper()
	g.write("left.example: bob\n")
	waitFor(g.t, "the loss is told", func() bool {
		return strings.Contains(g.log.String(), "has only 0 of its 2001 domains left, all of which stay protected. If that is right, run: sekimori reload --accept cpanel")
	})
	g.allStand("a loss")
	if _, err := g.service.accept(context.Background(), []string{"other"}); err == nil {
		g.t.Error("a source of another name was accepted")
	}
	words, err := g.service.accept(context.Background(), []string{"cpanel"})
	if err != nil || words != "  source cpanel is believed\n" {
		g.t.Errorf("%q, %v", words, err)
	}
	if g.protects("customer1.example") || !g.protects("left.example") || !g.protects("inline.example") {
		g.t.Error("the loss was not accepted")
	}
}

// 'config check' reads the sources and leaves no trace.
func TestConfigCheckReadsSources(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sekimori.toml")
	list := filepath.Join(dir, "list")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, fmt.Sprintf("hostname = \"mx.example.net\"\nprotected.state_directory = %q\n[[protected.source]]\nname = \"ours\"\npaths = [%q]\n", dir, list))
	out, err := runCommand("config", "check", file)
	if err == nil || !strings.Contains(err.Error(), "source ours is broken, and nothing is known of what it had") {
		t.Errorf("%v\n%s", err, out)
	}
	write(list, "example.com\nexample..net\n")
	out, err = runCommand("config", "check", file)
	if err != nil || !strings.Contains(out, "source ours: 1 domains\n  left out: "+list+": line 2: \"example..net\"") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("it left %v", left)
	}
}

func runCommand(args ...string) (string, error) {
	var out strings.Builder
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}
