package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"sekimori/filter/sources"
)

// postmap runs Postfix's program for lookup tables: without a shell, with nothing
// of our environment but what Postfix looks at, and with bounds on its output.
func postmap(program string) sources.Postmap {
	return func(ctx context.Context, table string, limit int64) ([]byte, error) {
		cmd := exec.CommandContext(ctx, program, "-s", table)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
		if dir, set := os.LookupEnv("MAIL_CONFIG"); set {
			cmd.Env = append(cmd.Env, "MAIL_CONFIG="+dir)
		}
		cmd.WaitDelay = time.Second
		out := &bounded{limit: limit}
		words := &bounded{limit: 4096}
		cmd.Stdout, cmd.Stderr = out, words
		switch err := cmd.Run(); {
		case out.over:
			return nil, fmt.Errorf("%s: %w", program, errTooMuch)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%s did not end in time: %w", program, ctx.Err())
		case err != nil:
			said, _, _ := strings.Cut(words.kept.String(), "\n")
			return nil, fmt.Errorf("%w: %.300q", err, said)
		}
		return out.kept.Bytes(), nil
	}
}

var errTooMuch = errors.New("printed too much")

// bounded keeps so much of what is written and fails beyond. The buffer is no
// embedded one: that would offer io.Copy a way past the bound.
type bounded struct {
	kept  bytes.Buffer
	limit int64
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.kept.Len()+len(p)) > b.limit {
		b.over = true
		return 0, errTooMuch
	}
	return b.kept.Write(p)
}
