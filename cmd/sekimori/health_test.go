package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestRanges(t *testing.T) {
	for _, c := range []struct {
		text      string
		fine, bad []float64
		wrong     bool
	}{
		{"10", []float64{0, 5, 10}, []float64{-1, 10.1}, false},
		{"10:", []float64{10, 1e9}, []float64{9.9, -1}, false},
		{"~:10", []float64{-1e9, 10}, []float64{10.1}, false},
		{"10:20", []float64{10, 15, 20}, []float64{9, 21}, false},
		{"@10:20", []float64{9, 21}, []float64{10, 15, 20}, false},
		{":5", []float64{0, 5}, []float64{-1, 6}, false},
		{"0", []float64{0}, []float64{0.1, -0.1}, false},
		{"", nil, nil, true}, {"x", nil, nil, true}, {"20:10", nil, nil, true}, {"1:2:3", nil, nil, true}, {"nan", nil, nil, true}, {"@", nil, nil, true},
	} {
		l, err := parseLimits(c.text)
		if (err != nil) != c.wrong {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for _, v := range c.fine {
			if l.alert(v) {
				t.Errorf("%q alerts at %v", c.text, v)
			}
		}
		for _, v := range c.bad {
			if !l.alert(v) {
				t.Errorf("%q does not alert at %v", c.text, v)
			}
		}
	}
}

func TestPluginLine(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	page := `# TYPE sekimori_build_info gauge
sekimori_build_info{version="dev"} 1
# TYPE sekimori_upstream_up gauge
sekimori_upstream_up{upstream="a"} 1
sekimori_upstream_up{upstream="b"} 0
# TYPE sekimori_outcomes_total counter
sekimori_outcomes_total{outcome="delivered"} 97
sekimori_outcomes_total{outcome="failed"} 1
sekimori_outcomes_total{outcome="upstream_failed"} 2
# TYPE sekimori_check_duration_seconds histogram
sekimori_check_duration_seconds_bucket{le="+Inf"} 4
sekimori_check_duration_seconds_sum 2
sekimori_check_duration_seconds_count 4
# TYPE sekimori_certificate_expiry_timestamp_seconds gauge
sekimori_certificate_expiry_timestamp_seconds{certificate="x"} 1.800864e+09
sekimori_certificate_expiry_timestamp_seconds{certificate="y"} 1.9e+09
`
	s, err := readSamples([]byte(page))
	if err != nil {
		t.Fatal(err)
	}
	warning, critical := usualThresholds()
	line, state := verdictLine(figures(s, now), warning, critical)
	want := "SEKIMORI WARNING - 1 of 2 hosts of the MTA answer, a certificate ends in 10 days|upstream=50%;100:;1: errors=3%;5;20 latency=0.5s;5;20 dns=U;10;50 spool=U;80;95 certificate=10;14:;3: sources=U;3600;86400"
	if line != want || state != stateWarning {
		t.Errorf("%v\n%s\n%s", state, line, want)
	}
	if err := critical.take([]string{"errors=2", "upstream=0:"}); err != nil {
		t.Error(err)
	}
	if line, state := verdictLine(figures(s, now), warning, critical); state != stateCritical || !strings.HasPrefix(line, "SEKIMORI CRITICAL - 3 of 100 messages failed, 1 of 2") {
		t.Errorf("%v %s", state, line)
	}
	for _, bad := range []string{"errors", "nothing=1", "errors=x"} {
		if warning.take([]string{bad}) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, page := range []string{"", "<html>", "sekimori_build_info{", "up 1\n"} {
		if _, err := readSamples([]byte(page)); err == nil {
			t.Errorf("%q is taken for a page of metrics", page)
		}
	}
}

var pluginLine = regexp.MustCompile(`^SEKIMORI (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+(\|([a-z]+=(U|-?[0-9.]+(%|s)?);[^; |]*;[^; |]*( |$))+)?$`)

// plugin runs 'sekimori health' as a monitoring system does.
func plugin(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(append([]string{"health"}, args...), strings.NewReader(""), &out, &errs)
	line := strings.TrimSuffix(out.String(), "\n")
	if !pluginLine.MatchString(line) || errs.Len() > 0 {
		t.Errorf("%q is no line of a plugin (%s)", line, errs.String())
	}
	return line, code
}

// The real daemon, whose MTA goes.
func TestPluginOfADaemon(t *testing.T) {
	mta, err := startDemoMTA()
	if err != nil {
		t.Fatal(err)
	}
	defer mta.close()
	d := startDaemon(t, mta.listen.Addr().String(), "upstream.probe_interval = \"1s\"\n")
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	if reply := d.send(t, "a@example.com", "user@example.net", strings.ReplaceAll(honest, ".\r\x20\n", "end\r\n")); !strings.HasPrefix(reply, "250") {
		t.Errorf("%q", reply)
	}
	if line, code := plugin(t, "--admin", d.admin, "--nagios"); code != 0 || !strings.HasPrefix(line, "SEKIMORI OK - 1 of 1 hosts of the MTA answer, 0 of 1 messages failed") || !strings.Contains(line, "|upstream=100%;100:;1: errors=0%;5;20 latency=0.") {
		t.Errorf("%d %s", code, line)
	}
	if line, code := plugin(t, "--url", "http://"+d.admin, "-w", "latency=@0:1000"); code != 1 || !strings.HasPrefix(line, "SEKIMORI WARNING - verdicts after") {
		t.Errorf("%d %s", code, line)
	}
	if line, code := plugin(t, "--admin", d.admin, "-c", "latency=much"); code != 3 || !strings.Contains(line, "is no range") {
		t.Errorf("%d %s", code, line)
	}
	mta.close()
	waitFor(t, "the MTA is gone", func() bool { return strings.HasPrefix(d.get("/readyz"), "503") })
	if line, code := plugin(t, "--admin", d.admin, "--nagios"); code != 2 || !strings.HasPrefix(line, "SEKIMORI CRITICAL - 0 of 1 hosts of the MTA answer") {
		t.Errorf("%d %s", code, line)
	}
	if line, code := plugin(t, "--admin", freeAddr(t), "--nagios"); code != 2 || !strings.Contains(line, "connection refused") {
		t.Errorf("%d %s", code, line)
	}
}

// The admin listener may want to know who asks; one that never answers is given up.
func TestHealthSaysWhoItIs(t *testing.T) {
	var who string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		who = name + ":" + password + r.Header.Get("X") + " " + r.Header.Get("Authorization")
		if r.URL.Path == "/metrics" {
			time.Sleep(time.Second)
		}
		_, _ = io.WriteString(w, "ok\n")
	}))
	defer server.Close()
	dir := t.TempDir()
	ca, password, token := filepath.Join(dir, "ca"), filepath.Join(dir, "password"), filepath.Join(dir, "token")
	for file, text := range map[string][]byte{ca: pemOf(server.Certificate().Raw), password: []byte("secret\n"), token: []byte("t0ken\n")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"health", "--url", server.URL, "--ca", ca, "--user", "op", "--password-file", password}, nil, &out, &errs); code != 0 || out.String() != "ok\n" || !strings.HasPrefix(who, "op:secret ") {
		t.Errorf("%d %s %s %q", code, out.String(), errs.String(), who)
	}
	t.Setenv("SEKIMORI_PASSWORD", "fromenv")
	if code := run([]string{"health", "--url", server.URL, "--ca", ca, "--user", "op"}, nil, &out, &errs); code != 0 || !strings.HasPrefix(who, "op:fromenv ") {
		t.Errorf("%d %q", code, who)
	}
	if code := run([]string{"health", "--url", server.URL, "--ca", ca, "--token-file", token}, nil, &out, &errs); code != 0 || who != ": Bearer t0ken" {
		t.Errorf("%d %q", code, who)
	}
	if code := run([]string{"health", "--url", server.URL}, nil, &out, &errs); code != 1 || !strings.Contains(errs.String(), "certificate") {
		t.Errorf("a stranger is believed: %d %s", code, errs.String())
	}
	if line, code := plugin(t, "--url", server.URL, "--ca", ca, "--nagios", "--timeout", "50ms"); code != 2 || !strings.Contains(line, "deadline exceeded") {
		t.Errorf("%d %s", code, line)
	}
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
