package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/testdata"
)

type demoFlags struct {
	once          bool
	listen, admin string
	every         time.Duration
}

func newDemo() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play spoofs and honest mail through a real proxy, in one process",
		Long: `Runs the real proxy on a real port, before a receiving MTA and with a DNS zone
of its own, all in this process: no network, no set-up. A sender plays cases
through it, spoofs, lists, forwarders and honest mail, and a table tells what
became of each. Then the proxy goes on serving, for mail of your own, until it is
interrupted; the cases go on coming, so that the console has something to show.

Exit status: 0; with --once 1 if a case did not go as expected; 2 for a wrong
command line.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return f.run(ctx, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&f.once, "once", false, "play the cases and end")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:2525", "`ADDRESS:PORT` for mail of your own")
	c.Flags().StringVar(&f.admin, "admin", "127.0.0.1:9925", "`ADDRESS:PORT` for the console and /metrics")
	c.Flags().DurationVar(&f.every, "every", 2*time.Second, "`TIME` between two of the cases that go on being played; 0 plays them once")
	return c
}

func (f *demoFlags) run(ctx context.Context, out io.Writer) error {
	if !config.Local(f.admin) {
		return usageError{fmt.Errorf("--admin %s: the demo asks nobody for a password, so it is for this host alone", f.admin)}
	}
	cases, err := testdata.Load(testdata.Demo, "demo")
	if err != nil {
		return err
	}
	zone, err := dns.ParseZone("demo/common.zone", strings.NewReader(string(cases[0].Zone)))
	if err != nil {
		return err
	}
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	s, err := openStage(ctx, cfg, zone, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer s.close()
	forget, err := demoHistory(s)
	if err != nil {
		return err
	}
	defer forget()
	if err := protectDemo(s.house.common.live); err != nil {
		return err
	}
	wrong, err := playAll(s, cases, out)
	if err != nil {
		return err
	}
	if f.once {
		if wrong > 0 {
			return fmt.Errorf("%d of %d cases did not go as expected", wrong, len(cases))
		}
		fmt.Fprintf(out, "\nAll %d cases went as expected.\n", len(cases))
		return nil
	}
	if f.every > 0 {
		again, err := openStageIn(ctx, s.house.common, cfg, zone, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer again.close()
		go again.repeat(ctx, cases, f.every)
	}
	return f.serve(ctx, s, out)
}

// protectDemo makes the victims of the cases ours.
func protectDemo(live *filter.Live) error {
	d, err := filter.NewDomains(map[string]string{"bank.example": "bank", "shop.example": "shop", "news.example": "", "example.com": ""})
	live.SetDomains(d)
	return err
}

// repeat plays one case after the other until ctx ends, spoofs as often as the
// rest. What comes of them was told already.
func (s *stage) repeat(ctx context.Context, cases []testdata.Case, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = s.play(cases[i%len(cases)])
		}
	}
}

// playAll prints a row a case and counts those that went wrong.
func playAll(s *stage, cases []testdata.Case, out io.Writer) (wrong int, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CASE\tVERDICT\tREASON\tSMTP REPLY\tTHE MTA GOT")
	var differences []string
	for _, c := range cases {
		p, err := s.play(c)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", c.Name, err)
		}
		verdict, reason := "-", "-"
		if p.view != nil {
			verdict, reason = p.view.Verdict.Action, p.view.Verdict.Reason
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.Title, verdict, reason, short(p.reply, 44), p.kept())
		if len(p.differences) > 0 {
			wrong++
			differences = append(differences, c.Name+": "+strings.Join(p.differences, "; "))
		}
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	for _, d := range differences {
		fmt.Fprintln(out, "NOT AS EXPECTED:", d)
	}
	return wrong, nil
}

// kept tells what the MTA got.
func (p played) kept() string {
	switch {
	case p.got == nil:
		return "nothing"
	case p.view != nil && len(p.view.Edit.Drop) > 0:
		return fmt.Sprintf("the message, %d forged fields dropped", len(p.view.Edit.Drop))
	case p.view != nil && p.view.Verdict.Action == "quarantine":
		return "the message, marked"
	}
	return "the message"
}

// short is the first line of a reply, as much as fits a table.
func short(reply string, n int) string {
	line, _, _ := strings.Cut(reply, "\n")
	if len(line) > n {
		line = line[:n-3] + "..."
	}
	return line
}

// serve goes on until ctx ends.
func (f *demoFlags) serve(ctx context.Context, s *stage, out io.Writer) error {
	door, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("%w (choose another port with --listen)", err)
	}
	admin, err := net.Listen("tcp", f.admin)
	if err != nil {
		return errors.Join(fmt.Errorf("%w (choose another port with --admin)", err), door.Close())
	}
	host, port, _ := net.SplitHostPort(door.Addr().String())
	fmt.Fprintf(out, `
The proxy goes on serving. Send it mail of your own for user@example.net:

    swaks --server %[1]s --port %[2]s --helo mx.example.org --from you@example.org --to user@example.net

or write a message into a file and let it explain itself:

    sekimori check --ip 203.0.113.9 --helo mx.example.org --from you@example.org FILE

Console: http://%[3]s/
Metrics: http://%[3]s/metrics   Health: http://%[3]s/readyz
Ctrl-C ends it.
`, host, port, admin.Addr())
	return s.house.run(ctx, door, admin, 5*time.Second, slog.New(slog.DiscardHandler))
}
