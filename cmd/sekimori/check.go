package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dkim"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// checkFlags are what a client would have said around the message.
type checkFlags struct {
	sourceFlags
	config, ip, helo, from, time string
	rcpts                        []string
	json, trace                  bool
}

func newCheck() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check [FILE|-]",
		Short: "Judge one message without sending it, and explain the verdict",
		Long: `Reads a message from FILE (or standard input), judges it as 'serve' would, and
explains itself: what each method found, what the DNS said, which rule decided.
Nothing is sent. With --zone it needs no network.

A file with LF line ends throughout is read as text and converted to CR LF; any
other file is judged byte for byte.

Exit status: 0 when it judged, whatever the verdict; 1 on trouble of ours (a file
that cannot be read, say); 2 for a wrong command line.`,
		Example: `  sekimori check --ip 192.0.2.1 --helo mx.example.org --from a@example.org mail.eml
  sekimori check --ip 192.0.2.1 --from a@example.org --zone example.zone --json mail.eml`,
		Args: atMostOneArg("message"),
		RunE: func(c *cobra.Command, args []string) error {
			name := "-"
			if len(args) == 1 {
				name = args[0]
			}
			return f.run(c, name)
		},
	}
	f.add(c)
	fl := c.Flags()
	fl.StringVar(&f.config, "config", "", "configuration `FILE` whose policy decides (default: every key at its default)")
	fl.StringVar(&f.ip, "ip", "", "`ADDRESS` of the client; without it SPF has nothing to check")
	fl.StringVar(&f.helo, "helo", "", "`NAME` that the client gave in EHLO")
	fl.StringVar(&f.from, "from", "", "`ADDRESS` of MAIL FROM; empty is the null sender")
	fl.StringArrayVar(&f.rcpts, "rcpt", nil, "`ADDRESS` of a recipient; may be repeated")
	fl.StringVar(&f.time, "time", "", "clock for expiry dates, as `RFC3339` (default: now)")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	fl.BoolVar(&f.trace, "trace", false, "show the conversation with the DNS: who answered, how fast, for how long")
	return c
}

func (f *checkFlags) run(c *cobra.Command, name string) error {
	env, err := f.envelope()
	if err != nil {
		return usageError{err}
	}
	now, err := f.clock()
	if err != nil {
		return usageError{err}
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	source, err := f.source(cfg)
	if err != nil {
		return err
	}
	m, err := readMessage(c.InOrStdin(), name, env, cfg)
	if err != nil {
		return err
	}
	defer m.Close()
	judge, err := newFilter(cfg, source)
	if err != nil {
		return err
	}
	judge.Now = func() time.Time { return now }
	if err := together(judge, env.Rcpts); err != nil {
		return usageError{err}
	}
	v := judge.Check(c.Context(), m)
	switch {
	case v.Fault != "":
		return errors.New(v.Fault)
	case f.json:
		return printJSON(c.OutOrStdout(), filter.NewView(m, v))
	}
	second := dkim.SecondOpinion(c.Context(), dns.NewSession(source, len(v.Results.DKIM)), m)
	return explanation{second: second, trace: f.trace}.print(c.OutOrStdout(), m, v)
}

// together refuses recipients whom the SMTP server would not take in one message.
func together(judge *filter.Filter, rcpts []string) error {
	for _, r := range rcpts {
		if judge.Effect(r) != judge.Effect(rcpts[0]) {
			return fmt.Errorf("other rules hold for --rcpt %s than for %s: the SMTP server would take it in a message of its own (452)", r, rcpts[0])
		}
	}
	return nil
}

func printJSON(out io.Writer, v filter.View) error {
	b, err := v.JSON()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", b)
	return err
}

func (f *checkFlags) envelope() (mail.Envelope, error) {
	env := mail.Envelope{Helo: f.helo, ESMTP: true, SMTPUTF8: true}
	if f.ip != "" {
		ip, err := netip.ParseAddr(f.ip)
		if err != nil {
			return env, fmt.Errorf("--ip %q is no IP address", f.ip)
		}
		env.Client = ip.Unmap().WithZone("")
	}
	var err error
	if env.MailFrom, err = argPath("--from", f.from); err != nil {
		return env, err
	}
	for _, r := range f.rcpts {
		path, err := argPath("--rcpt", r)
		if err != nil {
			return env, err
		}
		env.Rcpts = append(env.Rcpts, path)
	}
	return env, nil
}

// argPath reads an address as it is written in a command; it may stand in <>.
func argPath(flag, s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if s == "" {
		return "", nil
	}
	path, err := mail.ParseMailbox(s, true)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w (the SMTP server would refuse it with 501)", flag, s, err)
	}
	return path, nil
}

func (f *checkFlags) clock() (time.Time, error) {
	if f.time == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, f.time)
	if err != nil {
		return t, fmt.Errorf("--time %q is not RFC 3339, like 2026-11-01T12:00:00Z", f.time)
	}
	return t, nil
}

func (f *checkFlags) load() (config.Config, error) {
	if f.config == "" {
		return config.Default(), nil
	}
	return loadConfig(f.config)
}

// readMessage takes a message from a file, or from standard input for "-".
func readMessage(in io.Reader, name string, env mail.Envelope, cfg config.Config) (*mail.Message, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	limit := int64(cfg.Listeners[0].MaxMessageSize)
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	return mail.Read(env, bytes.NewReader(textLines(data)), spoolOptions(cfg))
}

// textLines gives a text file the line ends of mail: LF throughout becomes
// CR LF; with any CR in it the bytes are a message as it came.
func textLines(data []byte) []byte {
	if bytes.IndexByte(data, '\r') >= 0 {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
}
