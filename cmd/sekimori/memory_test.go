package main

import (
	"io"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

func TestGroupMemory(t *testing.T) {
	const none = int64(math.MaxInt64)
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no groups": {nil, none},
		"version 2": {map[string]string{"proc/self/cgroup": "0::/mail.slice/sekimori.service\n", "sys/fs/cgroup/mail.slice/sekimori.service/memory.max": "536870912\n"}, 512 << 20},
		"the one above": {map[string]string{"proc/self/cgroup": "0::/mail.slice/sekimori.service\n",
			"sys/fs/cgroup/mail.slice/sekimori.service/memory.max": "max\n", "sys/fs/cgroup/mail.slice/memory.max": "1073741824\n"}, 1 << 30},
		"a container":                           {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "268435456\n"}, 256 << 20},
		"a container that sees the host's path": {map[string]string{"proc/self/cgroup": "0::/docker/abc\n", "sys/fs/cgroup/memory.max": "1000000\n"}, 1000000},
		"version 1":                             {map[string]string{"proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n", "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "134217728\n"}, 128 << 20},
		"version 1 without":                     {map[string]string{"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, none},
		"max":                                   {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, none},
		"nonsense":                              {map[string]string{"proc/self/cgroup": "0::/../../etc\n:::\n\n", "sys/fs/cgroup/memory.max": "-5\n", "sys/fs/cgroup/etc/memory.max": "x"}, none},
	} {
		files := fstest.MapFS{}
		for path, text := range c.files {
			files[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupMemory(files); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// The limit of the group is in force and said; one that the operator has set stays.
func TestFitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	group := fstest.MapFS{"proc/self/cgroup": {Data: []byte("0::/\n")}, "sys/fs/cgroup/memory.max": {Data: []byte("4000000000\n")}}
	var out strings.Builder
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	release := fitMemory(slog.New(slog.NewTextHandler(&out, nil)), group)
	if got := debug.SetMemoryLimit(-1); got != 3600000000 || !strings.Contains(out.String(), "memory_limit_bytes=3600000000") {
		t.Errorf("limit %d, said %q", got, out.String())
	}
	var m runtime.MemStats
	runtime.GC()
	if runtime.ReadMemStats(&m); m.HeapAlloc < floor || m.NextGC < 2*floor {
		t.Errorf("%d bytes in use, next collection at %d", m.HeapAlloc, m.NextGC)
	}
	release()
	debug.SetMemoryLimit(5000000000)
	t.Setenv("GOMEMLIMIT", "5000000000")
	fitMemory(slog.New(slog.NewTextHandler(io.Discard, nil)), group)()
	if got := debug.SetMemoryLimit(-1); got != 5000000000 {
		t.Errorf("limit %d in place of the operator's", got)
	}
}
