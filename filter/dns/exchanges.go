package dns

import (
	"slices"
	"time"
)

// Exchange is one question of a session with its answer, for `check --trace`.
type Exchange struct {
	Purpose  string // of the session: "spf", "dkim"
	Question Question
	Answer   Answer
	Took     time.Duration
	Start    time.Time
}

// Source is where the answer came from: "network", "cache", or "stale" for an
// answer of the cache beyond its TTL.
func (e Exchange) Source() string {
	switch {
	case e.Answer.Stale != "":
		return "stale"
	case e.Answer.Cached:
		return "cache"
	}
	return "network"
}

// Questions counts the different questions among exchanges, those answered from
// a cache too.
func Questions(exchanges []Exchange) int {
	seen := make(map[Question]bool, len(exchanges))
	for _, e := range exchanges {
		seen[e.Question] = true
	}
	return len(seen)
}

// Elapsed is the time during which at least one question was under way: what
// the message waited for the DNS at most.
func Elapsed(exchanges []Exchange) time.Duration {
	sorted := slices.SortedFunc(slices.Values(exchanges), func(a, b Exchange) int { return a.Start.Compare(b.Start) })
	var total time.Duration
	var until time.Time
	for _, e := range sorted {
		from, end := e.Start, e.Start.Add(e.Took)
		if from.Before(until) {
			from = until
		}
		if end.After(from) {
			total += end.Sub(from)
			until = end
		}
	}
	return total
}
