package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekimori/config"
)

func newServe() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the proxy",
		Long: `Runs the proxy until SIGTERM or SIGINT: then it takes no more connections,
finishes the messages in flight within shutdown_timeout, and ends.

The log is JSON on standard error, one line a message. Metrics and health are on
the admin listener.

Exit status: 0 after a shutdown, 1 on trouble (a bad configuration, a port in
use), 2 for a wrong command line.`,
		Example: "  sekimori serve --config /etc/sekimori/sekimori.toml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if file == "" {
				return usageError{errors.New("serve wants --config FILE; deploy/sekimori.toml is a sample")}
			}
			cfg, err := loadConfig(file)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return serve(ctx, cfg, newLog(c.ErrOrStderr(), cfg.Log.Level))
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	return c
}

// serve runs a house until ctx ends.
func serve(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	source, err := newResolver(cfg)
	if err != nil {
		return err
	}
	h, err := newHouse(cfg, source, log)
	if err != nil {
		return err
	}
	door, err := net.Listen("tcp", cfg.Listener.Address)
	if err != nil {
		return fmt.Errorf("listener.address: %w", err)
	}
	admin, err := listenAdmin(cfg.Admin.Address)
	if err != nil {
		door.Close()
		return err
	}
	log.Info("listening", "version", version, "address", door.Addr().String(), "upstream", cfg.Upstream.Address, "mode", cfg.Policy.Mode)
	return h.run(ctx, door, admin, time.Duration(cfg.ShutdownTimeout), log)
}

// listenAdmin gives nil where the page is switched off.
func listenAdmin(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin.address: %w", err)
	}
	return l, nil
}

// run serves both listeners until ctx ends, and then shuts down within the
// time. The admin page outlives the door, so that the end can be watched.
func (h *house) run(ctx context.Context, door, admin net.Listener, timeout time.Duration, log *slog.Logger) error {
	page, stopPage := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPage()
	ended := make(chan error, 2)
	if admin != nil {
		go func() { ended <- serveAdmin(page, admin, newAdmin(h.health, h.metrics.Handler())) }()
	}
	go h.probing(ctx, log)
	go func() { ended <- h.server.Serve(ctx, "smtp", door) }()
	h.health.listening.Store(true)

	var err error
	select {
	case <-ctx.Done():
		log.Info("shutting down: finishing what is in flight", "timeout", timeout.String())
	case err = <-ended:
	}
	h.health.listening.Store(false)
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	if late := h.server.Shutdown(limit); late != nil {
		log.Warn("connections were cut off at the end of the shutdown timeout", "error", late.Error())
	}
	log.Info("ended")
	return err
}
