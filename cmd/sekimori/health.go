package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthFlags are the command line of 'health'.
type healthFlags struct {
	admin, url                    string
	user, passwordFile, tokenFile string
	ca, cert, key                 string
	ready, plugin                 bool
	warning, critical             []string
	timeout                       time.Duration
}

func newHealth() *cobra.Command {
	f := &healthFlags{}
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a running proxy how it is",
		Long: `Asks the admin listener of a running 'sekimori serve' whether the process lives,
or with --ready whether mail would flow. For container health checks.
Exit status: 0 if so, 1 if not, 2 for a wrong command line.

With --nagios, --warning or --critical it is a plugin for Nagios, Icinga and NRPE:
one line with performance data; exit status 0, 1, 2 or 3 for OK, WARNING, CRITICAL
and UNKNOWN. It looks at /metrics. Each NAME has a RANGE as the Monitoring Plugins
write it, outside of which it alerts:

  upstream     hosts of the MTA that answer, in %          -w 100:  -c 1:
  errors       messages that failed for us or the MTA, %   -w 5     -c 20
  latency      seconds from the final dot to the verdict,  -w 5     -c 20
               on average
  dns          questions without an answer, in %           -w 10    -c 50
  spool        of spool.memory_total in use, in %          -w 80    -c 95
  certificate  days until the first one ends               -w 14:   -c 3:
  sources      seconds since the oldest source was read    -w 3600  -c 86400

errors, latency and dns are over all since the start of the process. The password
may also stand in the environment as SEKIMORI_PASSWORD.`,
		Example: "  sekimori health --ready\n  sekimori health --warning errors=2 --critical certificate=7:",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
			defer cancel()
			if f.plugin || len(f.warning)+len(f.critical) > 0 {
				return f.check(ctx, c.OutOrStdout())
			}
			return f.ask(ctx, c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.admin, "admin", "127.0.0.1:9925", "`ADDRESS:PORT` of the admin listener")
	flags.StringVar(&f.url, "url", "", "`URL` of the admin listener, in place of --admin: https://mx.example.net:9925")
	flags.BoolVar(&f.ready, "ready", false, "ask whether mail would flow")
	flags.BoolVar(&f.plugin, "nagios", false, "be a monitoring plugin with the usual thresholds")
	flags.StringArrayVarP(&f.warning, "warning", "w", nil, "`NAME=RANGE` outside of which it is a WARNING; may be repeated")
	flags.StringArrayVarP(&f.critical, "critical", "c", nil, "`NAME=RANGE` outside of which it is CRITICAL; may be repeated")
	flags.DurationVar(&f.timeout, "timeout", 4*time.Second, "how long it may take")
	flags.StringVar(&f.user, "user", "", "`NAME` of a user of the admin listener")
	flags.StringVar(&f.passwordFile, "password-file", "", "`FILE` with the password")
	flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` with the token for /metrics")
	flags.StringVar(&f.ca, "ca", "", "`FILE` of authorities for the listener's certificate")
	flags.StringVar(&f.cert, "cert", "", "`FILE` with a certificate to show")
	flags.StringVar(&f.key, "key", "", "`FILE` with its key")
	return c
}

// ask prints what a page for machines says, or fails with it.
func (f *healthFlags) ask(ctx context.Context, out io.Writer) error {
	path := "/healthz"
	if f.ready {
		path = "/readyz"
	}
	body, err := f.get(ctx, path, 4096)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, strings.TrimSpace(string(body)))
	return err
}

// check is the plugin. Whatever keeps it from knowing is UNKNOWN.
func (f *healthFlags) check(ctx context.Context, out io.Writer) error {
	line, state, err := f.judge(ctx)
	if err != nil {
		line, state = "SEKIMORI UNKNOWN - "+plainWords(err.Error()), stateUnknown
		var down *silentError
		if errors.As(err, &down) {
			line, state = "SEKIMORI CRITICAL - "+plainWords(err.Error()), stateCritical
		}
	}
	if _, err := fmt.Fprintln(out, line); err != nil {
		return err
	}
	if state == stateOK {
		return nil
	}
	return state
}

func (f *healthFlags) judge(ctx context.Context) (string, status, error) {
	warning, critical := usualThresholds()
	if err := errors.Join(warning.take(f.warning), critical.take(f.critical)); err != nil {
		return "", stateUnknown, err
	}
	page, err := f.get(ctx, "/metrics", 16<<20)
	if err != nil {
		return "", stateUnknown, err
	}
	m, err := readSamples(page)
	if err != nil {
		return "", stateUnknown, err
	}
	line, state := verdictLine(figures(m, time.Now()), warning, critical)
	return line, state, nil
}

// silentError: nobody listens where Sekimori should.
type silentError struct{ error }

// get reads a page of at most limit bytes.
func (f *healthFlags) get(ctx context.Context, path string, limit int64) ([]byte, error) {
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	base := strings.TrimRight(f.url, "/")
	if base == "" {
		base = "http://" + f.admin
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, err
	}
	if err := f.authorize(req); err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, &silentError{err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(orWords(strings.TrimSpace(string(body[:min(len(body), 500)])), resp.Status))
	}
	return body, nil
}

func orWords(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (f *healthFlags) client() (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pool, err := readCA(f.ca)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	if f.cert != "" {
		pair, err := tls.LoadX509KeyPair(f.cert, f.key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: conf, Proxy: nil, DisableKeepAlives: true}}, nil
}

func (f *healthFlags) authorize(req *http.Request) error {
	if f.tokenFile != "" {
		token, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if f.user == "" {
		return nil
	}
	password := os.Getenv("SEKIMORI_PASSWORD")
	if f.passwordFile != "" {
		b, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return err
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	req.SetBasicAuth(f.user, password)
	return nil
}
