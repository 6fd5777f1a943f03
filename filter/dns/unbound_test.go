package dns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/testdata/peer"
)

// startUnbound runs a real Unbound that knows one zone and asks nobody.
func startUnbound(t *testing.T) netip.AddrPort {
	t.Helper()
	const program = "/usr/sbin/unbound"
	_, err := os.Stat(program)
	peer.Require(t, err == nil, "Unbound is not installed (Debian: apt-get install unbound)")
	addr := netip.MustParseAddrPort(unusedPort(t))
	dir := t.TempDir()
	long := strings.Repeat("k", 250)
	file := filepath.Join(dir, "unbound.conf")
	conf := fmt.Sprintf(`server:
	interface: 127.0.0.1@%d
	do-daemonize: no
	chroot: ""
	username: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: %q
	verbosity: 0
	do-ip6: no
	module-config: "iterator"
	local-zone: "test." static
	local-data: "test. 300 IN SOA ns.test. host.test. 1 60 60 60 60"
	local-data: 'a.test. 300 IN TXT "v=spf1 -all"'
	local-data: "a.test. 300 IN MX 10 mx.test."
	local-data: "mx.test. 300 IN A 192.0.2.1"
	local-data: "mx.test. 300 IN AAAA 2001:db8::1"
	local-data: "1.2.0.192.in-addr.arpa. 300 IN PTR mx.test."
`, addr.Port(), dir, filepath.Join(dir, "log"))
	for i := range 12 {
		conf += fmt.Sprintf("\tlocal-data: 'big.test. 300 IN TXT \"%d%s\"'\n", i, long)
	}
	conf += "remote-control:\n\tcontrol-enable: no\nforward-zone:\n\tname: \".\"\n\tforward-addr: 127.0.0.1@9\n"
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-d", "-c", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return addr
}

// A real resolver: every kind of answer, by UDP and TCP, in mixed letters, many
// at a time.
func TestUnbound(t *testing.T) {
	client := &Client{Servers: []netip.AddrPort{startUnbound(t)}, Timeout: 5 * time.Second, MixCase: true}
	defer client.Close()
	until(t, "Unbound answers", func() bool {
		return client.Query(t.Context(), Question{"a.test", TXT}).Outcome == Found
	})
	for _, c := range []struct {
		q    Question
		want Outcome
		text string
	}{
		{Question{"a.test", TXT}, Found, "[v=spf1 -all] [] [] []"},
		{Question{"a.test", MX}, Found, "[] [] [{10 mx.test}] []"},
		{Question{"mx.test", A}, Found, "[] [192.0.2.1] [] []"},
		{Question{"mx.test", AAAA}, Found, "[] [2001:db8::1] [] []"},
		{Question{"1.2.0.192.in-addr.arpa", PTR}, Found, "[] [] [] [mx.test]"},
		{Question{"a.test", AAAA}, NoData, "[] [] [] []"},
		{Question{"none.test", TXT}, NXDomain, "[] [] [] []"},
		{Question{"a@b \"\\.none.test", TXT}, NXDomain, "[] [] [] []"},
		{Question{"elsewhere.example", TXT}, ServFail, "[] [] [] []"},
	} {
		a := client.Query(t.Context(), c.q)
		if got := fmt.Sprint(a.TXT, a.Addrs, a.MX, a.Names); a.Outcome != c.want || got != c.text {
			t.Errorf("%s: %s %s (%v), want %s %s", c.q, a.Outcome, got, a.Err, c.want, c.text)
		}
		if a.Outcome == NXDomain && a.TTL != time.Minute {
			t.Errorf("%s: TTL %v, want the SOA's minimum", c.q, a.TTL)
		}
	}
	for range 2 { // the second on the same connection
		if a := client.Query(t.Context(), Question{"big.test", TXT}); a.Outcome != Found || len(a.TXT) != 12 {
			t.Errorf("by TCP: %s, %d texts (%v)", a.Outcome, len(a.TXT), a.Err)
		}
	}
	if client.servers()[0].folds.Load() {
		t.Error("Unbound keeps the case of letters, but is taken for one that does not")
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for j := range 50 {
				if a := client.Query(context.Background(), Question{fmt.Sprintf("n%d-%d.test", i, j), TXT}); a.Outcome != NXDomain {
					t.Errorf("%s %v", a.Outcome, a.Err)
				}
			}
		})
	}
	wg.Wait()
}
