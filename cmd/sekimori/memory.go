package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// floor is memory that is never touched and so is none of the machine's. The
// collector counts it as in use: with the few megabytes that we need it would
// otherwise run dozens of times a second under load, a quarter of all our work.
const floor = 32 << 20

// fitMemory makes the runtime heed the memory that the control group allows, as
// it heeds its processors by itself. What the environment says (GOMEMLIMIT, GOGC)
// stands. The floor lasts until release is called.
func fitMemory(log *slog.Logger, fsys fs.FS) (release func()) {
	group := groupMemory(fsys)
	if os.Getenv("GOMEMLIMIT") == "" && group < math.MaxInt64 {
		debug.SetMemoryLimit(group / 10 * 9)
	}
	limit := debug.SetMemoryLimit(-1)
	attrs := []any{"processors", runtime.GOMAXPROCS(0)}
	if limit < math.MaxInt64 {
		attrs = append(attrs, "memory_limit_bytes", limit)
	}
	log.Info("limits of the runtime", attrs...)
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	kept := make([]byte, min(floor, limit/8))
	return func() { runtime.KeepAlive(kept) }
}

// groupMemory is the least limit of our control group and those above it, in
// bytes, of version 2 or 1; without any the largest number.
func groupMemory(fsys fs.FS) int64 {
	least := int64(math.MaxInt64)
	own, err := fs.ReadFile(fsys, "proc/self/cgroup")
	if err != nil {
		return least
	}
	for lines := bufio.NewScanner(bytes.NewReader(own)); lines.Scan(); {
		hierarchy, rest, _ := strings.Cut(lines.Text(), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case hierarchy == "0" && controllers == "":
			least = min(least, along(fsys, "sys/fs/cgroup", group, "memory.max"))
		case strings.Contains(","+controllers+",", ",memory,"):
			least = min(least, along(fsys, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	return least
}

// along gives the least number in the files of that name from a group up to the
// root. Within a container the group's own path may not be there, its root is.
func along(fsys fs.FS, root, group, file string) int64 {
	least := int64(math.MaxInt64)
	for at := filepath.Clean("/" + group); ; at = filepath.Dir(at) {
		text, err := fs.ReadFile(fsys, filepath.Join(root, at, file))
		// Version 2 says "max" where there is no limit, version 1 a number near
		// the largest.
		if n, perr := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && perr == nil && n > 0 && n < 1<<60 {
			least = min(least, n)
		}
		if at == "/" {
			return least
		}
	}
}
