package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

// defaultControl is where the unit file puts the control socket.
const defaultControl = "/run/sekimori/control.sock"

func newReload() *cobra.Command {
	var path string
	var accept []string
	c := &cobra.Command{
		Use:   "reload",
		Short: "Let a running proxy read its configuration again",
		Long: `Asks a running 'sekimori serve --control SOCKET' to read its configuration file
again, and tells what has changed, what needs a restart, or what is wrong with the
file. A file that is wrong changes nothing. Open connections end under the rules
under which they began.

SIGHUP does the same and tells the log alone.

A source of protected domains that has lost more than half of them keeps them
all, for it may be broken. --accept NAME says that this source is right.

Exit status: 0 if the file is in force, 1 if not, 2 for a wrong command line.`,
		Example: "  sekimori reload --control " + defaultControl,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return askControl(c.Context(), path, accept, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&path, "control", defaultControl, "`SOCKET` of the running proxy")
	c.Flags().StringArrayVar(&accept, "accept", nil, "`NAME` of a source whose lost domains are to go; may be given again")
	return c
}

// controlTime is what a reload may take: it waits for the MTA a little.
const controlTime = time.Minute

func askControl(ctx context.Context, path string, accept []string, out io.Writer) error {
	var d net.Dialer
	client := http.Client{Timeout: controlTime, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", path)
		},
	}}
	if ctx == nil {
		ctx = context.Background()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://sekimori/reload?"+url.Values{"accept": accept}.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the running proxy: %w", err)
	}
	defer resp.Body.Close()
	words, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("asking the running proxy: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(string(bytes.TrimSpace(words)))
	}
	_, err = out.Write(words)
	return err
}

// listenControl serves the control socket until last ends. Without it the proxy
// works, so that trouble with it is just logged. What it gives removes it.
func (s *service) listenControl(last context.Context) (remove func()) {
	if s.control == "" {
		return func() {}
	}
	l, err := listenUnix(s.control, 0o600)
	if err != nil {
		s.log.Warn("no control socket: 'sekimori reload' will not reach us, SIGHUP will", "error", err.Error())
		return func() {}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		c, err := s.reload()
		if err != nil {
			http.Error(w, "not reloaded, the old configuration stays:\n"+err.Error(), http.StatusConflict)
			return
		}
		words, err := s.accept(r.Context(), r.URL.Query()["accept"])
		if err != nil {
			http.Error(w, c.String()+words+err.Error(), http.StatusConflict)
			return
		}
		_, _ = io.WriteString(w, c.String()+words)
	})
	server := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: controlTime, MaxHeaderBytes: 4 << 10}
	context.AfterFunc(last, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(l); err != http.ErrServerClosed {
			s.log.Warn("the control socket failed", "error", err.Error())
		}
	}()
	ours, err := os.Stat(s.control)
	return func() {
		if now, nerr := os.Stat(s.control); err == nil && nerr == nil && os.SameFile(ours, now) {
			_ = os.Remove(s.control) // not the one of a process that came after us
		}
	}
}

// listenUnix opens a unix socket that nobody can reach before it has its mode,
// in place of one that is left over.
func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	inside := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: inside, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(inside, mode), os.Rename(inside, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
