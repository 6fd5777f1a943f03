package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"sekimori/config"
)

// tokenFile is a file with a secret that may change.
type tokenFile struct {
	path string

	mu     sync.Mutex
	read   time.Time
	secret string
}

// tokenEvery is how often the file is looked at.
const tokenEvery = 5 * time.Second

// token is "" while there is no usable one: then nobody has it.
func (t *tokenFile) token() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read.IsZero() || time.Since(t.read) >= tokenEvery {
		t.read = time.Now()
		t.secret, _ = readToken(t.path)
	}
	return t.secret
}

// checkToken is for the start and a reload: what is wrong later lets nobody in.
func checkToken(c config.Admin) error {
	if c.MetricsTokenFile == "" {
		return nil
	}
	if _, err := readToken(c.MetricsTokenFile); err != nil {
		return fmt.Errorf("admin.metrics_token_file: %w", err)
	}
	return nil
}

// maxToken bounds a token; minToken keeps guessing it out of reach.
const minToken, maxToken = 16, 256

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToken+3))
	if err != nil {
		return "", err
	}
	s := strings.TrimRight(string(b), "\r\n")
	if len(s) < minToken || len(s) > maxToken || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s has no token of %d to %d ASCII characters without spaces", path, minToken, maxToken)
	}
	return s, nil
}
