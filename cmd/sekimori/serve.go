package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newServe() *cobra.Command {
	var file, control string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the proxy",
		Long: `Runs the proxy until SIGTERM or SIGINT: then it takes no more connections,
finishes the messages in flight within shutdown_timeout, and ends. A second signal
ends it at once.

SIGHUP makes it read FILE again: a good file is in force from the next connection
on, a bad one changes nothing. With --control, 'sekimori reload' does the same and
tells what came of it.

Sockets that systemd passes (sekimori.socket) are used for the addresses that they
are bound to; systemd is told when the proxy is ready, reloads and stops, and its
watchdog is fed as long as connections are accepted.

The log is JSON, one line a message, on standard error or wherever log.outputs
says. Metrics and health are on the admin listener.

Exit status: 0 after a shutdown, 1 on trouble (a bad configuration, a port in
use), 2 for a wrong command line.`,
		Example: "  sekimori serve --config /etc/sekimori/sekimori.toml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("serve wants --config FILE; deploy/sekimori.toml is a sample")}
			}
			book := newLogbook(c.OutOrStdout(), c.ErrOrStderr())
			s := &service{file: file, control: control, book: book, log: book.logger()}
			signal.Ignore(syscall.SIGPIPE) // who reads our log may go: mail does not
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			defer signal.Stop(hangups)
			s.hangups = hangups
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // from then on a signal does what it does by itself
			defer fitMemory(s.log, os.DirFS("/"))()
			return s.serve(ctx)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	c.Flags().StringVar(&control, "control", "", "`SOCKET` to make for 'sekimori reload'")
	return c
}
