package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/testdata"
	"sekimori/testdata/peer"
)

// promServer is a real Prometheus that scrapes a daemon every second with the
// files of deploy/prometheus.
type promServer struct {
	url string
	out *lockedBuffer
}

// wholeConfig is prometheus.yml in the folder itself.
func wholeConfig(t *testing.T, dir string) string {
	t.Helper()
	copyFolder(t, "../../deploy/prometheus", dir)
	text, err := os.ReadFile(filepath.Join(dir, "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// printedConfig is what the README says to add where there is a Prometheus
// already, with the folder where the README has it copied to.
func printedConfig(t *testing.T, dir string) string {
	t.Helper()
	text := readme(t)
	if !strings.Contains(text, "\n    cp -r deploy/prometheus /etc/prometheus/sekimori\n") {
		t.Fatal("the README copies deploy/prometheus to elsewhere")
	}
	copyFolder(t, "../../deploy/prometheus", filepath.Join(dir, "sekimori"))
	block := regexp.MustCompile(`(?m)(^ {6,}rule_files:\n(?: {6,}.*\n|\n {6,}.*\n)+)`).FindString(text)
	if !strings.Contains(block, "scrape_configs:") {
		t.Fatalf("the README prints no configuration for Prometheus: %q", block)
	}
	return "global: {scrape_interval: 15s, evaluation_interval: 15s}\n" + regexp.MustCompile(`(?m)^ {7}`).ReplaceAllString(block, "")
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// startPrometheus changes nothing of a configuration but the address and the times.
func startPrometheus(t *testing.T, target string, config func(*testing.T, string) string, features ...string) *promServer {
	t.Helper()
	_, err := exec.LookPath("prometheus")
	peer.Require(t, err == nil, "Prometheus is not installed (Debian: apt-get install prometheus)")
	dir, addr := t.TempDir(), freeAddr(t)
	file := filepath.Join(dir, "prometheus.yml")
	text := strings.NewReplacer("127.0.0.1:9925", target, "15s", "1s").Replace(config(t, dir))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &promServer{url: "http://" + addr, out: &lockedBuffer{}}
	cmd := exec.Command("prometheus", "--config.file="+file, "--web.listen-address="+addr,
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--enable-feature="+strings.Join(append(features, "exemplar-storage"), ","))
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return p
}

// ask puts a question to the HTTP API and reads what is in "data".
func (p *promServer) ask(path string, args url.Values, data any) error {
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + args.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}

// promSample is one of the series that a query gave.
type promSample struct {
	Metric    map[string]string
	Value     [2]any
	Histogram [2]any
}

// query gives the series that have a number.
func (p *promServer) query(expr string) ([]promSample, error) {
	var data struct{ Result []promSample }
	if err := p.ask("query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	var all []promSample
	for _, s := range data.Result {
		if s.Value[1] != "NaN" {
			all = append(all, s)
		}
	}
	return all, nil
}

// dashboardQueries are the queries of all panels, by dashboard and panel, with
// all of each variable chosen.
func dashboardQueries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	fill := strings.NewReplacer("$__rate_interval", "15s", "$__range", "1m", "$instance", ".*", "$tenant", ".*", "$domain", ".*")
	err := filepath.WalkDir("../../deploy/grafana/dashboards", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".json") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var b struct {
			Panels []struct {
				Title   string
				Targets []struct{ RefID, Expr string }
			}
		}
		if err := json.Unmarshal(text, &b); err != nil {
			return err
		}
		for _, p := range b.Panels {
			for _, q := range p.Targets {
				all[filepath.Base(path)+": "+p.Title+" "+q.RefID] = fill.Replace(q.Expr)
			}
		}
		return nil
	})
	if err != nil || len(all) < 60 {
		t.Fatalf("%d queries (%v)", len(all), err)
	}
	return all
}

// watched is a daemon with something of everything that the dashboards show.
func watched(t *testing.T, cases []testdata.Case) *daemon {
	t.Helper()
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mta.close)
	dir := t.TempDir()
	cert, key := localhostPair(t, dir)
	list := filepath.Join(dir, "domains")
	if err := os.WriteFile(list, []byte("shop.example customer-1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startDaemonOn(t, string(cases[0].Zone), mta.listen.Addr().String(), fmt.Sprintf(`
listener.proxy_protocol.trusted = ["127.0.0.1"]
listener.tls_certificate = %q
listener.tls_key = %q
[protected]
domains = ["bank.example"]
state_directory = ""
[[protected.source]]
name = "panel"
paths = [%q]
[history]
path = %q
[policy.iprev]
enabled = true
[[tenant]]
name = "customer-1"
recipients = ["customer.example"]
[tenant.policy]
mode = "shadow"
`, cert, key, list, filepath.Join(dir, "history.db")))
}

// keepSending plays the cases of the demo again and again, to the tenant too.
func keepSending(t *testing.T, d *daemon, cases []testdata.Case) {
	stop := make(chan struct{})
	var sending sync.WaitGroup
	t.Cleanup(func() { close(stop); sending.Wait() })
	sending.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			c := cases[i%len(cases)]
			s, err := dialSender(d.addr, netip.MustParseAddr(c.ClientIP), c.Helo)
			if err != nil {
				continue // where the daemon ends, or a case is refused for its HELO
			}
			for _, rcpts := range [][]string{c.Rcpts, {"user@customer.example"}} {
				s.send(c.MailFrom, rcpts, c.EML)
			}
			s.close()
		}
	})
}

// Every panel shows something once mail flows, and every rule can be evaluated,
// by a real Prometheus, from the files as they are copied: with classic buckets
// and with native ones.
func TestDashboardsShowData(t *testing.T) {
	cases, err := testdata.Load(testdata.Demo, "demo")
	if err != nil {
		t.Fatal(err)
	}
	d := watched(t, cases)
	classic, native := startPrometheus(t, d.admin, wholeConfig), startPrometheus(t, d.admin, printedConfig, "native-histograms")
	for _, p := range []*promServer{classic, native} {
		// What is asked of the DNS comes once: it must find the counters seen at 0.
		waitFor(t, "Prometheus has scraped", func() bool {
			got, err := p.query("sekimori_build_info")
			return err == nil && len(got) == 1
		})
	}
	keepSending(t, d, cases)
	for name, p := range map[string]*promServer{"classic": classic, "native": native} {
		empty := dashboardQueries(t)
		deadline := time.Now().Add(time.Minute)
		for len(empty) > 0 && time.Now().Before(deadline) {
			for panel, expr := range empty {
				if got, err := p.query(expr); err == nil && len(got) > 0 {
					delete(empty, panel)
				}
			}
			time.Sleep(200 * time.Millisecond)
		}
		for panel, expr := range empty {
			_, err := p.query(expr)
			t.Errorf("%s: no data in %s (%v):\n%s", name, panel, err, expr)
		}
		checkRules(t, name, p)
		if t.Failed() {
			t.Logf("%s\n%s", name, p.out.String())
		}
	}
	checkHistograms(t, classic, native)
}

// checkRules wants each rule loaded and evaluated without an error.
func checkRules(t *testing.T, name string, p *promServer) {
	t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.ask("rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("%s: rule %s is %s: %s", name, r.Name, r.Health, r.LastError)
			}
		}
	}
	if n < 40 {
		t.Errorf("%s: %d rules were loaded", name, n)
	}
}

// checkHistograms wants the kinds of histograms that each server was told to
// take, and the message behind a point.
func checkHistograms(t *testing.T, classic, native *promServer) {
	t.Helper()
	const metric = "sekimori_check_duration_seconds"
	if got, err := native.query(metric); err != nil || len(got) == 0 || got[0].Histogram[1] == nil {
		t.Errorf("no native histogram: %+v %v", got, err)
	}
	if got, err := classic.query(metric + `_bucket{le="2.5"}`); err != nil || len(got) == 0 {
		t.Errorf("no classic histogram: %+v %v", got, err)
	}
	var data []struct {
		Exemplars []struct{ Labels map[string]string }
	}
	now := time.Now()
	args := url.Values{"query": {metric + "_bucket"}, "start": {now.Add(-time.Minute).Format(time.RFC3339)}, "end": {now.Add(time.Minute).Format(time.RFC3339)}}
	if err := classic.ask("query_exemplars", args, &data); err != nil || len(data) == 0 || len(data[0].Exemplars[0].Labels["message_id"]) != 16 {
		t.Errorf("no message behind a point: %+v %v", data, err)
	}
}
