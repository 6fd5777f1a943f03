package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/sources"
)

func newPolicyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Look at the rules, and rehearse them",
		Long: `Rules are for recipients: [policy] for all, and what tenants lay over it. These
commands tell what holds for whom, and whether it does what you meant, before it
meets any mail.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newPolicyShow(), newPolicyTest())
	return c
}

type policyShowFlags struct {
	config string
	json   bool
}

func newPolicyShow() *cobra.Command {
	var f policyShowFlags
	c := &cobra.Command{
		Use:   "show RCPT",
		Short: "Print the rules for a recipient, and where each comes from",
		Long: `Prints what holds for mail to RCPT: whose customer he is, which tenants' rules lie
over each other, which lists are asked about senders, and every key of the policy
with its value and the line that sets it. Sources of protected domains and lists
are read once, as a start would read them.

Exit status: 0; 1 on trouble of ours; 2 for a wrong command line.`,
		Example: `  sekimori policy show info@example.net --config /etc/sekimori/sekimori.toml`,
		Args:    oneArg("RCPT"),
		RunE: func(c *cobra.Command, args []string) error {
			return f.run(c, args[0])
		},
	}
	c.Flags().StringVar(&f.config, "config", "/etc/sekimori/sekimori.toml", "configuration `FILE`")
	c.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	return c
}

func (f *policyShowFlags) run(c *cobra.Command, arg string) error {
	rcpt, err := argPath("RCPT", arg)
	if err != nil || rcpt == "" {
		return usageError{fmt.Errorf("%q is no recipient's address", arg)}
	}
	cfg, judge, err := rehearsed(c.Context(), f.config, c.ErrOrStderr())
	if err != nil {
		return err
	}
	data, err := os.ReadFile(f.config)
	if err != nil {
		return err
	}
	v := showPolicy(cfg, judge, rcpt, config.Lines(data))
	if f.json {
		return v.printJSON(c.OutOrStdout())
	}
	return v.print(c.OutOrStdout())
}

// rehearsed builds the core of a configuration as 'serve' would, with what the
// sources of protected domains and lists have now. What is wrong with those goes
// to errs.
func rehearsed(ctx context.Context, file string, errs io.Writer) (config.Config, *filter.Filter, error) {
	cfg, err := loadConfig(file)
	if err != nil {
		return cfg, nil, err
	}
	judge, err := newFilter(cfg, nil)
	if err != nil {
		return cfg, nil, err
	}
	judge.Live, err = lookLive(ctx, cfg, errs)
	return cfg, judge, err
}

// lookLive reads the sources and lists once and leaves no trace.
func lookLive(ctx context.Context, cfg config.Config, errs io.Writer) (*filter.Live, error) {
	live := &filter.Live{}
	o, err := sourceOptions(cfg)
	if err != nil {
		return nil, err
	}
	o.Copies, o.Live, o.Log = "", live, slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	domains, err := sources.Look(ctx, o, nil)
	if err != nil {
		return nil, fmt.Errorf("protected: %w", err)
	}
	once := feeds{}
	once.relieve(feeds{domains, newLists(cfg, live, o.Log, nil)})
	once.stop()
	return live, nil
}

// policyView is what 'policy show --json' prints.
type policyView struct {
	Recipient string          `json:"recipient"`
	Customer  string          `json:"customer"`  // "" if the domain is nobody's
	Protected string          `json:"protected"` // the protected domain that it is in
	Tenants   []layerView     `json:"tenants"`   // from the farthest to the nearest
	Lists     []string        `json:"lists"`     // in the order in which they are asked
	Policy    []policyKeyView `json:"policy"`
}

type layerView struct {
	Tenant string `json:"tenant"`
	By     string `json:"by"`
}

type policyKeyView struct {
	Key   string `json:"key"`
	Value string `json:"value"` // as a file has it
	From  string `json:"from"`  // "default", "[policy]", or the tenant
	Line  int    `json:"line"`  // of the file; 0 for a default
}

func showPolicy(cfg config.Config, judge *filter.Filter, rcpt string, lines map[string]int) policyView {
	v := policyView{Recipient: rcpt, Tenants: []layerView{}, Lists: append([]string{}, judge.Lists(rcpt)...)}
	v.Protected, v.Customer = judge.Owner(rcpt)
	var layers []int
	for _, l := range judge.Layers(rcpt) {
		layers = append(layers, l.Tenant)
		v.Tenants = append(v.Tenants, layerView{cfg.Tenants[l.Tenant].Name, l.By})
	}
	for _, s := range cfg.Settings(layers...) {
		one := policyKeyView{Key: s.Key, Value: s.Value, From: "default", Line: lines[s.Path()]}
		switch {
		case s.Tenant >= 0:
			one.From = "tenant " + cfg.Tenants[s.Tenant].Name
		case one.Line > 0:
			one.From = "[policy]"
		}
		v.Policy = append(v.Policy, one)
	}
	return v
}

func (v policyView) printJSON(out io.Writer) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", b)
	return err
}

func (v policyView) print(out io.Writer) error {
	fmt.Fprintf(out, "Mail to %s\n", word(v.Recipient))
	switch {
	case v.Protected == "":
		fmt.Fprintln(out, "  the domain is not among the protected ones")
	case v.Customer == "":
		fmt.Fprintf(out, "  protected domain %s, nobody's in particular\n", v.Protected)
	default:
		fmt.Fprintf(out, "  protected domain %s of customer %s\n", v.Protected, word(v.Customer))
	}
	if len(v.Tenants) == 0 {
		fmt.Fprintln(out, "  of no tenant: [policy] holds")
	}
	for _, l := range v.Tenants {
		fmt.Fprintf(out, "  tenant %s, by %s\n", l.Tenant, word(l.By))
	}
	for _, l := range v.Lists {
		fmt.Fprintf(out, "  list %s\n", word(l))
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tFROM")
	for _, k := range v.Policy {
		from := k.From
		if k.Line > 0 {
			from = fmt.Sprintf("%s, line %d", from, k.Line)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", k.Key, k.Value, from)
	}
	return w.Flush()
}
