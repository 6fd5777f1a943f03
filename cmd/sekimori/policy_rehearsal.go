package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
)

type policyTestFlags struct {
	sourceFlags
	config string
}

func newPolicyTest() *cobra.Command {
	var f policyTestFlags
	c := &cobra.Command{
		Use:   "test FILE",
		Short: "Hold a configuration against a table of what should become of which mail",
		Long: `Judges each [[case]] of FILE by the configuration, as 'serve' would, and tells where
the verdict is another one than expected: the rehearsal before a change. Nothing
is sent, no proxy need run, and no DNS is asked but by cases that say so.

A case is facts, of which a message and its DNS are made, or a message:

  [[case]]
  name = "the newsletter service of our customer"
  to = "info@customer.example"       # or a list
  author = "news@customer.example"   # the address in From
  display_name = "Customer Inc."     # what stands before it
  mail_from = "b@service.example"    # default: author; "" is the null sender
  client = "192.0.2.10"              # default: 203.0.113.9
  helo = "mx.service.example"        # default: mx.sender.example
  spf = "pass"                       # of mail_from's domain, for the client; default: none
  dkim = ["service.example"]         # domains that sign, with keys that are there
  dmarc = "v=DMARC1; p=reject"       # record of the author's domain; default: no such name
  reverse_name = false               # whether the client has one; default: true
  sender_domain = "null_mx"          # of mail_from, or "nxdomain"; default: it takes mail
  action = "accept"                  # expected: accept, tag, quarantine, reject, defer
  reason = "listed_sender"           # expected, as the ones below; none need be there
  shadow = false                     # let through, though action says otherwise
  reply = "5.7.26"                   # stands in the reply

  [[case]]
  name = "what they sent us in March"
  message = "march.eml"              # beside FILE; in place of author, dkim and dmarc
  zone = "march.zone"                # its DNS, beside FILE; default: the real one
  to = "info@customer.example"
  mail_from = "a@example.org"
  client = "192.0.2.1"
  time = 2026-03-01T12:00:00Z        # the clock; default: now
  action = "quarantine"

Exit status: 0 if all is as expected; 1 if not, or on trouble of ours; 2 for a wrong
command line.`,
		Example: `  sekimori policy test /etc/sekimori/rehearsal.toml --config new.toml`,
		Args:    oneArg("FILE"),
		RunE:    func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	f.add(c)
	c.Flags().StringVar(&f.config, "config", "/etc/sekimori/sekimori.toml", "configuration `FILE`")
	return c
}

func (f *policyTestFlags) run(c *cobra.Command, file string) error {
	scenes, err := loadScenes(file)
	if err != nil {
		return err
	}
	cfg, judge, err := rehearsed(c.Context(), f.config, c.ErrOrStderr())
	if err != nil {
		return err
	}
	outside, err := f.source(cfg)
	if err != nil {
		return err
	}
	r := rehearsal{cfg: cfg, judge: judge, outside: outside, dir: filepath.Dir(file)}
	wrong, err := r.playAll(c.Context(), scenes, c.OutOrStdout())
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d of %d cases are not as expected", wrong, len(scenes))
	}
	return err
}

// rehearsal plays scenes before the core of a configuration.
type rehearsal struct {
	cfg     config.Config
	judge   *filter.Filter
	outside dns.Source // for messages without a zone
	dir     string     // of the table
}

// playAll prints a row a scene and counts those that went wrong.
func (r *rehearsal) playAll(ctx context.Context, scenes []scene, out io.Writer) (wrong int, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\tCASE\tVERDICT\tREASON")
	var told []string
	for _, s := range scenes {
		v, err := r.play(ctx, s)
		if err != nil {
			return 0, fmt.Errorf("case %q: %w", s.Name, err)
		}
		mark := "ok"
		if all := s.differences(v); len(all) > 0 {
			mark, wrong = "DIFFERS", wrong+1
			told = append(told, fmt.Sprintf("%s: %s\n  %s", s.Name, strings.Join(all, "; "), v.Explanation))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", mark, word(s.Name), verdictWords(v), v.Reason)
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	for _, t := range told {
		fmt.Fprintf(out, "\n%s\n", t)
	}
	return wrong, nil
}

func verdictWords(v filter.Verdict) string {
	if v.Shadow {
		return "accept (shadow: " + v.Action.String() + ")"
	}
	return v.Action.String()
}

// play judges one scene.
func (r *rehearsal) play(ctx context.Context, s scene) (filter.Verdict, error) {
	env, err := s.envelope()
	if err != nil {
		return filter.Verdict{}, err
	}
	if err := together(r.judge, env.Rcpts); err != nil {
		return filter.Verdict{}, err
	}
	data, source, err := s.world(r.dir, r.outside)
	if err != nil {
		return filter.Verdict{}, err
	}
	m, err := readMail(env, data, r.cfg)
	if err != nil {
		return filter.Verdict{}, err
	}
	defer m.Close()
	judge := *r.judge
	judge.Resolver = source
	judge.Now = s.clock
	v := judge.Check(ctx, m)
	if v.Fault != "" {
		return v, errors.New(v.Fault)
	}
	return v, nil
}

// differences tells where a verdict is not what the scene expects.
func (s *scene) differences(v filter.Verdict) []string {
	var all []string
	differ := func(what, want, got string) {
		if want != "" && want != got {
			all = append(all, fmt.Sprintf("%s is %s, expected %s", what, got, want))
		}
	}
	differ("action", s.Action, v.Action.String())
	differ("reason", s.Reason, string(v.Reason))
	if s.Shadow != nil && *s.Shadow != v.Shadow {
		all = append(all, fmt.Sprintf("shadow is %v, expected %v", v.Shadow, *s.Shadow))
	}
	if reply := replyWords(v); s.Reply != "" && !strings.Contains(reply, s.Reply) {
		all = append(all, fmt.Sprintf("the reply is %q, expected %q in it", reply, s.Reply))
	}
	return all
}

// replyWords is what the client would hear of the verdict.
func replyWords(v filter.Verdict) string {
	if v.Enforced().Delivers() {
		return ""
	}
	return fmt.Sprintf("%d %s %s", v.Reply.Code, v.Reply.Enhanced, v.Reply.Text)
}

func (s *scene) clock() time.Time {
	if s.Time.IsZero() {
		return time.Now()
	}
	return s.Time
}

// expectations that a table may have.
func actionWords() []string {
	var all []string
	for _, a := range []filter.Action{filter.Accept, filter.Tag, filter.Quarantine, filter.Reject, filter.Defer} {
		all = append(all, a.String())
	}
	return all
}

func (s *scene) expects() error {
	switch {
	case s.Action == "" && s.Reason == "" && s.Shadow == nil && s.Reply == "":
		return errors.New("nothing is expected: it needs action, reason, shadow or reply")
	case s.Action != "" && !slices.Contains(actionWords(), s.Action):
		return fmt.Errorf("action %q is none of %s", s.Action, strings.Join(actionWords(), ", "))
	case s.Reason != "" && !slices.Contains(reasons(), s.Reason):
		return fmt.Errorf("there is no reason %q", s.Reason)
	}
	return nil
}
