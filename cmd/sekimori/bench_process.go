package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// usage is what the process holds. Zero is unknown: there is no /proc.
type usage struct {
	RSS        int64 `json:"rss_bytes"`
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"file_descriptors"`
}

// What memory may end above its beginning: the larger of the two. The Go runtime
// keeps fragments, stacks and tables that it will use again. Goroutines and files
// have no slack.
const (
	slackRSS        = 8 << 20
	slackRSSPercent = 25
)

// beyond tells what u holds beyond the begin and its slack.
func (u usage) beyond(begin usage) []string {
	var all []string
	if limit := begin.limitRSS(); u.RSS > limit {
		all = append(all, fmt.Sprintf("memory did not come back: %s at the end, %s at the beginning, slack up to %s",
			octets(u.RSS), octets(begin.RSS), octets(limit)))
	}
	if u.Goroutines > begin.Goroutines {
		all = append(all, fmt.Sprintf("goroutines did not come back: %d at the end, %d at the beginning", u.Goroutines, begin.Goroutines))
	}
	if u.Files > begin.Files {
		all = append(all, fmt.Sprintf("file descriptors did not come back: %d at the end, %d at the beginning", u.Files, begin.Files))
	}
	return all
}

func (u usage) limitRSS() int64 {
	return u.RSS + max(slackRSS, u.RSS*slackRSSPercent/100)
}

func (u usage) max(v usage) usage {
	return usage{max(u.RSS, v.RSS), max(u.Goroutines, v.Goroutines), max(u.Files, v.Files)}
}

func currentUsage() usage {
	return usage{RSS: residentBytes(), Goroutines: runtime.NumGoroutine(), Files: openFiles()}
}

// settleTime is what a process gets to come to rest after its load: closed
// connections linger, probes are under way.
const settleTime = 10 * time.Second

// settled waits until goroutines and files have stood still for half a second,
// and are not beyond begin if one is given, gives unused memory back, and
// measures.
func settled(begin usage) usage {
	const pause, calm = 50 * time.Millisecond, 10
	last, still := currentUsage(), 0
	for end := time.Now().Add(settleTime); time.Now().Before(end) && still < calm; time.Sleep(pause) {
		now := currentUsage()
		still++
		above := begin.Goroutines > 0 && (now.Goroutines > begin.Goroutines || now.Files > begin.Files)
		if now.Goroutines != last.Goroutines || now.Files != last.Files || above {
			still = 0
		}
		last = now
	}
	debug.FreeOSMemory()
	return currentUsage()
}

// cpuTime is the time that all processors have worked for this process.
func cpuTime() time.Duration {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	// The second field is a name in parentheses, which may hold anything; utime
	// and stime are the 14th and 15th, in hundredths of a second.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / 100
}

func residentBytes() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// openFiles counts without the descriptor that it needs for that.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries) - 1
}
