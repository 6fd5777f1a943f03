package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter/audit"
	"sekimori/filter/mail"
)

type domainFlags struct {
	sourceFlags
	selectors []string
	json      bool
}

func newDomain() *cobra.Command {
	var f domainFlags
	c := &cobra.Command{
		Use:   "domain NAME",
		Short: "Audit the mail records of a domain for its owner",
		Long: `Reads what NAME publishes for mail, SPF with all that it includes, DKIM keys,
the DMARC policy in force and where its reports go, MX, and lists what is broken,
what is weak and what could be better, the worst first, each with the record to
publish instead where that can be known.

DKIM keys cannot be listed: without --selector the usual names are tried.

With --json it prints one object, whose field names stay: domain, rank (the worst:
broken, weak, advice or fine), findings (rank, area, code, name, text, publish), and
what was found, as spf (with its tree), dkim, dmarc (with its walk), mx and dns.

Exit status: 0; 1 if something is broken, or on trouble of ours; 2 for a wrong
command line.`,
		Example: `  sekimori domain example.com
  sekimori domain example.com --selector s2026 --selector s2025 --json
  sekimori domain example.com --zone new.zone`,
		Args: oneArg("NAME"),
		RunE: func(c *cobra.Command, args []string) error { return f.run(c.Context(), c.OutOrStdout(), args[0]) },
	}
	f.add(c)
	c.Flags().StringArrayVar(&f.selectors, "selector", nil, "`NAME` of a DKIM key that must be there; may be repeated")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	return c
}

func (f *domainFlags) run(ctx context.Context, out io.Writer, arg string) error {
	name, err := mail.ASCIIDomain(arg)
	if err != nil {
		return usageError{fmt.Errorf("%q is no domain name: %w", arg, err)}
	}
	o, err := f.options()
	if err != nil {
		return usageError{err}
	}
	source, err := f.source(config.Default())
	if err != nil {
		return err
	}
	// Enough for servers that answer slowly; silent ones are a finding.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r := audit.Domain(ctx, source, name, o)
	if err := f.print(out, r); err != nil {
		return err
	}
	broken := 0
	for _, finding := range r.Findings {
		if finding.Rank == audit.Broken {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%s: findings of rank broken: %d", name, broken)
	}
	return nil
}

func (f *domainFlags) options() (o audit.Options, err error) {
	if len(f.selectors) > audit.MaxSelectors {
		return o, fmt.Errorf("at most %d times --selector", audit.MaxSelectors)
	}
	for _, s := range f.selectors {
		ascii, err := mail.ASCIIDomain(s)
		if err != nil {
			return o, fmt.Errorf("--selector %q is no name: %w", s, err)
		}
		o.Selectors = append(o.Selectors, ascii)
	}
	return o, nil
}

func (f *domainFlags) print(out io.Writer, r audit.Report) error {
	if !f.json {
		return printAudit(out, r)
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
