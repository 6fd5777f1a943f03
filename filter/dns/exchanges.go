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
	type span struct{ from, end time.Time }
	spans := make([]span, 0, 16) // as many as most messages have
	for _, e := range exchanges {
		spans = append(spans, span{e.Start, e.Start.Add(e.Took)})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var total time.Duration
	var until time.Time
	for _, s := range spans {
		if s.from.Before(until) {
			s.from = until
		}
		if s.end.After(s.from) {
			total += s.end.Sub(s.from)
			until = s.end
		}
	}
	return total
}
