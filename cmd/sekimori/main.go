// Sekimori is an SMTP proxy that authenticates mail before the MTA gets it.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sekimori/config"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "dev"

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit codes of every command.
const (
	exitOK      = 0
	exitTrouble = 1 // ours, or what was to be checked is bad
	exitUsage   = 2 // the command line is wrong
)

// usageError is a wrong command line.
type usageError struct{ error }

func run(args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.Execute()
	var usage usageError
	var faults *config.Error
	var state status
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &state):
		return int(state)
	case errors.As(err, &usage):
		fmt.Fprintf(errs, "sekimori: %v\nTry 'sekimori --help'.\n", err)
		return exitUsage
	case errors.As(err, &faults): // names the file on each line
		fmt.Fprintln(errs, err)
		return exitTrouble
	}
	fmt.Fprintf(errs, "sekimori: %v\n", err)
	return exitTrouble
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sekimori",
		Short: "An SMTP proxy that authenticates mail before your MTA gets it",
		Long: `Sekimori stands before your MTA. It takes mail from the internet, checks SPF,
DKIM and DMARC, refuses or marks what is spoofed, and hands the rest on.

Start with 'sekimori demo': it needs no set-up and no network.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServe(), newReload(), newCheck(), newDomain(), newDemo(), newBench(), newConfig(), newPolicyCommand(), newImpact(), newAdmin(), newHealth(), newVersion())
	return root
}

// noArgs refuses arguments, unknown subcommands among them.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown argument %q for '%s'", args[0], c.CommandPath())}
	}
	return nil
}

// oneArg asks for exactly one.
func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("'%s' wants exactly one %s", c.CommandPath(), what)}
		}
		return nil
	}
}

// atMostOneArg takes one or none.
func atMostOneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError{fmt.Errorf("'%s' takes one %s at a time", c.CommandPath(), what)}
		}
		return nil
	}
}
