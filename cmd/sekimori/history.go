package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sekimori/config"
	"sekimori/filter/history"
	"sekimori/filter/metrics"
)

// historyEnd is how long a shutdown waits for rows to be written.
const historyEnd = 3 * time.Second

// historyState is what the metrics show. Where none is kept, nothing is wrong.
func (c *common) historyState() metrics.History {
	s := c.history.Stats()
	dropped := map[string]uint64{}
	for cause, n := range s.Dropped {
		dropped[string(cause)] = n
	}
	return metrics.History{
		Up:     !s.Enabled || s.Connected && s.LastError == "",
		Queued: s.Queued, Written: s.Written, Dropped: dropped, Errors: s.Errors, LastWrite: s.LastWrite, Size: s.Size,
	}
}

// historyOptions reads what the configuration says of the history.
func historyOptions(cfg config.Config) (history.Options, error) {
	h := cfg.History
	where, err := historyURL(h)
	if err != nil {
		return history.Options{}, err
	}
	name, _ := hostname(cfg) // "" where there is none: the door says so
	return history.Options{
		Path: h.Path, URL: where, Node: cmp.Or(h.Node, name), Retention: time.Duration(h.Retention),
		MaxSize: int64(h.MaxSize), Queue: int64(h.Queue), QueryTimeout: time.Duration(h.QueryTimeout),
	}, nil
}

// historyURL reads the file for secrets, if that is where the URL is.
func historyURL(h config.History) (string, error) {
	if h.URLFile == "" {
		return h.URL, nil
	}
	const most = 8 << 10
	b, err := os.ReadFile(h.URLFile)
	if err != nil {
		return "", err
	}
	where := strings.TrimSpace(string(b))
	if len(b) > most || !strings.HasPrefix(where, "postgres://") && !strings.HasPrefix(where, "postgresql://") {
		return "", fmt.Errorf("%s holds no URL of PostgreSQL", h.URLFile)
	}
	return where, nil
}

// checkHistory finds what only the program can know: a file without a URL, a URL
// that the driver does not take. Whether the database is there is no matter of the
// configuration: mail flows without it.
func checkHistory(cfg config.Config) []config.Problem {
	key := "history.url"
	if cfg.History.URLFile != "" {
		key = "history.url_file"
	}
	o, err := historyOptions(cfg)
	return problem(key, errors.Join(err, history.CheckURL(o)))
}

// keepHistory takes over what the configuration says of the history. The database
// is opened in the background.
func (c *common) keepHistory(cfg config.Config, log *slog.Logger) {
	o, err := historyOptions(cfg)
	o.Log = log
	if err = errors.Join(err, c.history.Configure(o)); err != nil {
		log.Error("the history stays as it was", "error", err.Error())
	}
}

func (c *common) endHistory() {
	ctx, cancel := context.WithTimeout(context.Background(), historyEnd)
	defer cancel()
	c.history.Close(ctx)
}

// demoHistory keeps what is played in a directory that forget takes away.
func demoHistory(s *stage) (forget func(), err error) {
	dir, err := os.MkdirTemp("", "sekimori-demo")
	if err != nil {
		return nil, err
	}
	cfg := config.Default()
	cfg.Hostname, cfg.History.Path = "mx.example.net", filepath.Join(dir, "history.db")
	s.house.common.keepHistory(cfg, slog.New(slog.DiscardHandler))
	return func() {
		s.house.common.endHistory()
		_ = os.RemoveAll(dir) // a temporary one
	}, nil
}
