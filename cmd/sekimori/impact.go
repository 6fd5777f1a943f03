package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type impactFlags struct {
	logs           []string
	since          string
	tenant, reason string
	top            int
	json           bool
}

func newImpact() *cobra.Command {
	var f impactFlags
	c := &cobra.Command{
		Use:   "impact",
		Short: "Tell from the message log what enforcing would change",
		Long: `Reads the message log and counts what shadow mode and rollouts have let through:
by tenant and reason, what would have been done, to how many messages, in whose
name, and how many of them show papers of somebody's (SPF pass or a DKIM signature
that passes). Those with papers are the ones to look at before a rule is
enforced: lists, forwarders and services of honest senders are among them.

The log is JSON lines, of one or of many hosts; what stands before the object in
a line, as syslog has it, is skipped. It is read once and nothing of it is kept.

A message for several tenants counts for each. An answer is only as good as the
time that it looks back on: a monthly newsletter needs a month.

Exit status: 0; 1 if the log holds no message of that time, or on trouble of ours;
2 for a wrong command line.`,
		Example: `  sekimori impact --log /var/log/sekimori/messages.log --since 7d
  journalctl -u sekimori -o cat | sekimori impact --tenant customer-1
  zcat -f /var/log/sekimori/messages.log* | sekimori impact --since 30d --reason spf_fail --json`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.InOrStdin(), c.OutOrStdout(), time.Now()) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.logs, "log", nil, "`FILE` of the message log; may be repeated (default: standard input)")
	fl.StringVar(&f.since, "since", "7d", "how far to look back, as `TIME`: 90m, 36h, 7d")
	fl.StringVar(&f.tenant, "tenant", "", "only what this tenant's rules decided, by `NAME`; - is recipients of no tenant")
	fl.StringVar(&f.reason, "reason", "", "only what was decided for this `REASON`, like dmarc_fail_reject")
	fl.IntVar(&f.top, "top", 3, "how many domains to name in each row")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
	return c
}

func (f *impactFlags) run(in io.Reader, out io.Writer, now time.Time) error {
	back, err := parseSpan(f.since)
	if err != nil {
		return usageError{fmt.Errorf("--since: %w", err)}
	}
	if f.top < 0 {
		return usageError{errors.New("--top is a number of domains, 0 or more")}
	}
	if f.reason != "" && !knownReason(f.reason) {
		return usageError{fmt.Errorf("--reason %q is no reason: README's table \"What is decided\" lists them", f.reason)}
	}
	tally := &impact{from: now.Add(-back), to: now, tenant: f.tenant, reason: f.reason, rows: map[impactKey]*impactRow{}}
	if err := f.read(in, tally); err != nil {
		return err
	}
	if tally.messages == 0 {
		return fmt.Errorf("the log holds no message since %s (%d lines read, %d of them no line of ours)",
			tally.from.Format(time.RFC3339), tally.lines, tally.strange)
	}
	if f.json {
		return tally.printJSON(out, f.top)
	}
	return tally.print(out, f.top)
}

func (f *impactFlags) read(in io.Reader, tally *impact) error {
	if len(f.logs) == 0 {
		return tally.read("standard input", in)
	}
	for _, name := range f.logs {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = tally.read(name, file)
		file.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// parseSpan reads a duration that may be in days.
func parseSpan(s string) (time.Duration, error) {
	span, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		if n > 36500 {
			err = errors.New("that long ago there was no mail")
		}
		span = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || span <= 0 {
		return 0, fmt.Errorf("%q is no time to look back, like 36h or 7d", s)
	}
	return span, nil
}

func knownReason(word string) bool {
	for _, r := range reasons() {
		if r == word {
			return true
		}
	}
	return false
}
