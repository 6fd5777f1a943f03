package main

import (
	"bytes"
	"encoding/json"
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
Nothing is sent. With --zone it needs no network. An address that the SMTP server
would not take is a verdict too, address_refused, and nothing else is asked then.

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
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
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
	if refused != nil {
		return f.print(c.OutOrStdout(), m, refused.verdict(m), nil)
	}
	judge, err := newFilter(cfg, source)
	if err != nil {
		return err
	}
	judge.Now = func() time.Time { return now }
	if judge.Live, err = lookLive(c.Context(), cfg, c.ErrOrStderr()); err != nil {
		return err
	}
	if err := together(judge, env.Rcpts); err != nil {
		return usageError{err}
	}
	v := judge.Check(c.Context(), m)
	if v.Fault != "" {
		return errors.New(v.Fault)
	}
	var second []dkim.Opinion
	if !f.json {
		second = dkim.SecondOpinion(c.Context(), dns.NewSession(source, len(v.Results.DKIM)), m)
	}
	return f.print(c.OutOrStdout(), m, v, second)
}

func (f *checkFlags) print(out io.Writer, m *mail.Message, v filter.Verdict, second []dkim.Opinion) error {
	told := append(routeNotes(f.from), notesOf(m, v.Results)...)
	if f.json {
		return printJSON(out, checkView{filter.NewView(m, v), told})
	}
	return explanation{second: second, notes: told, trace: f.trace}.print(out, m, v)
}

// routeNotes tell of what is gone by the time a message is judged.
func routeNotes(from string) []string {
	if !strings.HasPrefix(strings.TrimPrefix(from, "<"), "@") || !strings.Contains(from, ":") {
		return []string{}
	}
	return []string{"MAIL FROM has a source route (@a,@b:user@domain), which the SMTP server takes off; other programs may take the sender's domain from it: " + quoted([]byte(from))}
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

// checkView is what --json prints.
type checkView struct {
	filter.View
	Notes []string `json:"notes"`
}

func printJSON(out io.Writer, v checkView) error {
	b, err := json.MarshalIndent(v, "", "  ")
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
		env.MailFrom = f.from
		return env, err
	}
	for _, r := range f.rcpts {
		path, err := argPath("--rcpt", r)
		if err != nil {
			env.Rcpts = append(env.Rcpts, r)
			return env, err
		}
		env.Rcpts = append(env.Rcpts, path)
	}
	return env, nil
}

// refusal is an address that the SMTP server would not take.
type refusal struct {
	flag, address string
	why           error
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s %q: %v (the SMTP server would refuse it with 501)", r.flag, r.address, r.why)
}

// addressRefused is no reason of the policy: the message does not get that far.
const addressRefused filter.Reason = "address_refused"

// verdict is what the client gets to hear at MAIL or RCPT.
func (r *refusal) verdict(m *mail.Message) filter.Verdict {
	command, enhanced := "MAIL", "5.1.7"
	if r.flag == "--rcpt" {
		command, enhanced = "RCPT", "5.1.3"
	}
	return filter.Verdict{
		Action:      filter.Reject,
		Reason:      addressRefused,
		Explanation: fmt.Sprintf("Refused at %s, before there is a message: %v: %+.100q.", command, r.why, r.address),
		Reply:       filter.Reply{Code: 501, Enhanced: enhanced, Text: r.why.Error()},
		Results:     filter.Results{Author: m.Author()},
	}
}

// argPath reads an address as it is written in a command; it may stand in <>. A
// source route before it is taken off, as the SMTP server does (RFC 5321 appendix
// C). An address is a *refusal if it is one that the server would not take.
func argPath(flag, s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if s == "" {
		return "", nil
	}
	if !strings.Contains(s, "@") {
		return "", fmt.Errorf("%s %q is no address", flag, s)
	}
	mailbox := s
	if _, after, ok := strings.Cut(s, ":"); ok && s[0] == '@' {
		mailbox = after
	}
	path, err := mail.ParseMailbox(mailbox, true)
	if err != nil {
		return "", &refusal{flag, s, err}
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
	return readMail(env, data, cfg)
}

// textLines gives a text file the line ends of mail: LF throughout becomes
// CR LF; with any CR in it the bytes are a message as it came.
func textLines(data []byte) []byte {
	if bytes.IndexByte(data, '\r') >= 0 {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
}
