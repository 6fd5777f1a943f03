package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/metrics"
	"sekimori/filter/sources"
)

// feeds are what puts the protected domains and the lists into the filter: one
// for the process, made anew at a reload, whatever house is on duty.
type feeds struct {
	domains *sources.Keeper
	lists   *sources.Lists
}

// openFeeds reads all sources; what those before know serves where one is broken.
// Nothing is in force yet.
func openFeeds(ctx context.Context, cfg config.Config, live *filter.Live, log *slog.Logger, before feeds) (feeds, error) {
	o, err := sourceOptions(cfg)
	if err != nil {
		return feeds{}, err
	}
	o.Live, o.Log = live, log
	domains, err := sources.Open(ctx, o, before.domains)
	if err != nil {
		return feeds{}, fmt.Errorf("protected: %w", err)
	}
	return feeds{domains, newLists(cfg, live, log, before.lists)}, nil
}

func newLists(cfg config.Config, live *filter.Live, log *slog.Logger, before *sources.Lists) *sources.Lists {
	return sources.NewLists(sources.ListOptions{
		Customers: cfg.Lists.Customers, Shared: cfg.Lists.Shared,
		MaxEntries: cfg.Lists.MaxEntries, MaxTotal: cfg.Lists.MaxTotal, Interval: time.Duration(cfg.Lists.Interval),
		Live: live, Log: log, Now: time.Now,
	}, before)
}

// relieve puts next in place of f.
func (f *feeds) relieve(next feeds) {
	f.stop()
	*f = next
	f.domains.Start()
	f.lists.Start()
}

// stop leaves what is in force as it is.
func (f *feeds) stop() {
	f.domains.Stop()
	f.lists.Stop()
}

func sourceOptions(cfg config.Config) (sources.Options, error) {
	p := cfg.Protected
	o := sources.Options{
		Inline: p.Domains, Copies: p.StateDirectory, RemovalDelay: time.Duration(p.RemovalDelay),
		Postmap: postmap(p.Postmap), Now: time.Now,
	}
	for i, s := range p.Sources {
		url, err := databaseURL(s)
		if err != nil {
			return o, fmt.Errorf("%s: %w", config.SourceKey(i, "url_file"), err)
		}
		o.Sources = append(o.Sources, sources.Source{
			Name: s.Name, Kind: kindOf(s.Kind), Paths: s.Paths, Database: url, Query: s.Query,
			Interval: time.Duration(s.Interval), Timeout: time.Duration(s.Timeout),
		})
	}
	return o, nil
}

func kindOf(word string) sources.Kind {
	if word == "plesk" {
		return sources.List // its tools print domains line by line
	}
	return sources.Kind(word)
}

func databaseURL(s config.Source) (string, error) {
	if s.URLFile == "" {
		return s.URL, nil
	}
	f, err := os.Open(s.URLFile)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 4096))
	return strings.TrimSpace(string(text)), errors.Join(err, f.Close())
}

// checkProtected finds domains that are none, tables that cannot be listed and
// databases without an address. Whether sources can be read is not asked here:
// that changes, and a proxy that knows what they had goes on without them.
func checkProtected(c config.Config) []config.Problem {
	var all []config.Problem
	for i, d := range c.Protected.Domains {
		_, err := sources.Domain(d)
		if err != nil {
			err = fmt.Errorf("%q is no domain to protect: %w", d, err)
		}
		all = append(all, problem(fmt.Sprintf("protected.domains[%d]", i), err)...)
	}
	for i, s := range c.Protected.Sources {
		if s.Kind == "postfix" {
			for j, table := range s.Paths {
				_, _, err := sources.SplitTable(table)
				all = append(all, problem(fmt.Sprintf("%s[%d]", config.SourceKey(i, "paths"), j), err)...)
			}
		}
		if s.Kind != "sql" {
			continue
		}
		url, err := databaseURL(s)
		all = append(all, problem(config.SourceKey(i, "url_file"), err)...)
		if err == nil {
			key := "url"
			if s.URLFile != "" {
				key = "url_file"
			}
			all = append(all, problem(config.SourceKey(i, key), sources.CheckDatabase(url))...)
		}
	}
	return all
}

// trySources reads all sources as a start would and tells what of them. It is an
// error where a start would fail.
func trySources(cfg config.Config, out io.Writer) error {
	o, err := sourceOptions(cfg)
	if err != nil {
		return err
	}
	o.Log = slog.New(slog.DiscardHandler)
	k, err := sources.Look(context.Background(), o, nil)
	if err != nil {
		return err
	}
	for _, s := range k.Snapshot() {
		fmt.Fprintf(out, "source %s: %d domains\n", s.Name, s.Domains)
		for _, l := range s.Lines {
			fmt.Fprintf(out, "  left out: %s\n", l)
		}
		if s.Problem != "" {
			fmt.Fprintf(out, "  broken, its earlier domains serve: %s\n", s.Problem)
		}
	}
	return nil
}

// states is for the metrics.
func (f feeds) states() []metrics.Source {
	var all []metrics.Source
	for _, s := range append(f.domains.Snapshot(), f.lists.Snapshot()...) {
		all = append(all, metrics.Source{Name: s.Name, Up: s.Problem == "", Loaded: s.Good, Entries: s.Domains, Errors: s.Errors})
	}
	return all
}

// acceptTime is how long a source may be read before an operator's word is given
// up.
const acceptTime = 20 * time.Second

// accept lets go what sources have lost.
func (s *service) accept(ctx context.Context, names []string) (words string, err error) {
	if len(names) == 0 {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, acceptTime)
	defer cancel()
	s.mu.Lock()
	domains := s.common.feeds.domains
	s.mu.Unlock()
	for _, name := range names {
		if err := domains.Accept(ctx, name); err != nil {
			return words, err
		}
		words += fmt.Sprintf("  source %s is believed\n", name)
	}
	return words, nil
}
