package main

import (
	mathbits "math/bits"
	"strings"
	"sync"
	"time"
)

// tally counts what became of a load. Its memory does not grow with the load.
type tally struct {
	mu          sync.Mutex
	phases      map[string]*histogram
	replies     map[string]*replyCount
	messages    int
	accepted    int
	bytes       int64 // of what was accepted
	connections int
}

// replyCount is how often a message ended with a code.
type replyCount struct {
	Code     string `json:"code"`
	Messages int    `json:"messages"`
	Example  string `json:"example"` // the first one
}

// Codes of what was no reply.
const (
	codeLost = "lost" // the connection, in the middle
	codeNone = "none" // there was no connection
)

// benchPhases are the phases in the order of a message.
func benchPhases() []string { return []string{"connect", "MAIL", "RCPT", "DATA", "whole"} }

func newTally() *tally {
	t := &tally{phases: map[string]*histogram{}, replies: map[string]*replyCount{}}
	for _, p := range benchPhases() {
		t.phases[p] = &histogram{}
	}
	return t
}

func (t *tally) connected() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.connections++
}

func (t *tally) phase(name string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phases[name].add(d)
}

// message counts one that is over, with its last reply.
func (t *tally) message(reply string, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages++
	if positive(reply) {
		t.accepted++
		t.bytes += int64(size)
	}
	code := replyCode(reply)
	if t.replies[code] == nil {
		t.replies[code] = &replyCount{Code: code, Example: printable(reply)}
	}
	t.replies[code].Messages++
}

// sofar is for those who watch.
func (t *tally) sofar() (messages, accepted int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.messages, t.accepted
}

func replyCode(reply string) string {
	switch {
	case strings.HasPrefix(reply, "no connection"):
		return codeNone
	case len(reply) < 3 || reply[0] < '1' || reply[0] > '9':
		return codeLost
	}
	return reply[:3]
}

const (
	histogramFine = 6  // each power of two is divided into 1<<6 buckets
	histogramBits = 38 // microseconds: three days
)

// histogram counts durations, exact to within 1.6 %, in memory of fixed size.
type histogram struct {
	counts  [(histogramBits - histogramFine + 1) << histogramFine]uint64
	total   uint64
	longest time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(d)]++
	h.total++
	h.longest = max(h.longest, d)
}

// bucket of a duration: below 1<<6 microseconds each has its own, from there on
// the first seven bits count.
func bucket(d time.Duration) int {
	us := min(uint64(max(d, 0).Microseconds()), 1<<histogramBits-1)
	shift := max(0, mathbits.Len64(us)-histogramFine-1)
	return shift<<histogramFine + int(us>>shift)
}

// ceiling is the longest duration of a bucket.
func ceiling(bucket int) time.Duration {
	shift := max(0, bucket>>histogramFine-1)
	us := uint64(bucket-shift<<histogramFine+1)<<shift - 1
	return time.Duration(us+1) * time.Microsecond
}

// quantile is the time within which a part of all were done.
func (h *histogram) quantile(part float64) time.Duration {
	rank := uint64(part*float64(h.total) + 0.5)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return min(ceiling(i), h.longest)
		}
	}
	return 0
}
