package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/sources"
)

// What the chapter for hosting companies prints is a configuration, and a list.
func TestREADMEForHosting(t *testing.T) {
	_, chapter, _ := strings.Cut(readme(t), "## For hosting companies\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	var configs, lists int
	for _, block := range regexp.MustCompile(`(?m)(?:^    .*\n|^\n)+`).FindAllString(chapter, -1) {
		text := strings.ReplaceAll(block, "\n    ", "\n")
		switch text = strings.TrimPrefix(text, "    "); {
		case strings.Contains(text, "[[protected.source]]"):
			configs++
			if _, err := config.Parse("README.md", []byte(text)); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		case strings.Contains(text, "[[allow]]"):
			lists++
			if n := readList(t, text); n != 3 {
				t.Errorf("%d entries in\n%s", n, text)
			}
		}
	}
	if configs != 4 || lists != 1 {
		t.Errorf("%d configurations and %d lists", configs, lists)
	}
}

// readList gives the number of entries of a customer's file.
func readList(t *testing.T, text string) int {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "acme.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	live := &filter.Live{}
	lists := sources.NewLists(sources.ListOptions{Customers: dir, MaxEntries: 10, MaxTotal: 10, Interval: time.Hour, Live: live, Log: slog.New(slog.DiscardHandler), Now: time.Now}, nil)
	lists.Start()
	lists.Stop()
	for _, s := range lists.Snapshot() {
		if s.Problem != "" {
			t.Error(s.Problem)
		}
	}
	return live.List("acme").Len()
}
