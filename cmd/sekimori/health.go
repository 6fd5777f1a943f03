package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealth() *cobra.Command {
	var admin string
	var ready bool
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask a running proxy whether it lives",
		Long: `Asks the admin listener of a running 'sekimori serve' whether the process lives,
or with --ready whether mail would flow. For container health checks.

Exit status: 0 if so, 1 if not, 2 for a wrong command line.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			path := "/healthz"
			if ready {
				path = "/readyz"
			}
			return askAdmin(c.OutOrStdout(), "http://"+admin+path)
		},
	}
	c.Flags().StringVar(&admin, "admin", "127.0.0.1:9925", "`ADDRESS:PORT` of the admin listener")
	c.Flags().BoolVar(&ready, "ready", false, "ask whether mail would flow")
	return c
}

func askAdmin(out io.Writer, url string) error {
	client := http.Client{Timeout: 4 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	words := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return errors.New(words)
	}
	_, err = fmt.Fprintln(out, words)
	return err
}
