package dns

import (
	"context"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxLines = 8 // sockets of one server at a time, chosen from at random

	firstDelay = 150 * time.Millisecond // before the next server is asked too, as long as nothing was measured
	leastDelay = 20 * time.Millisecond
	mostDelay  = time.Second

	firstProbe = 2 * time.Second // until a silent server is tried again beside others
	lastProbe  = time.Minute
)

// server is one resolver, with what we know of its health.
type server struct {
	address string
	folds   atomic.Bool // does not keep the case of letters

	lines sync.Mutex
	open  [maxLines]*line
	idle  idle

	mu     sync.Mutex
	mean   time.Duration // of the time to an answer, smoothed; 0: not measured
	spread time.Duration // its mean deviation
	silent int           // tries since the last answer
	probe  time.Time     // when a silent one is tried again
}

// ask puts a question by UDP, on one of the sockets.
func (s *server) ask(ctx context.Context, q *inquiry, random func([]byte)) (*line, *call, error) {
	for {
		l, err := s.line(ctx, random)
		if err != nil {
			return nil, nil, err
		}
		if c, err, ok := l.ask(q); ok {
			return l, c, err
		}
	}
}

// line picks a place at random, and opens a socket there if it has none that
// lives.
func (s *server) line(ctx context.Context, random func([]byte)) (*line, error) {
	var b [1]byte
	random(b[:])
	s.lines.Lock()
	defer s.lines.Unlock()
	at := int(b[0]) % maxLines
	if l := s.open[at]; l != nil && l.alive() {
		return l, nil
	}
	l, err := openLine(ctx, s.address, random)
	if err == nil {
		s.open[at] = l
	}
	return l, err
}

func (l *line) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.retired && l.count < lineQuestions
}

// close retires all sockets; later questions open new ones.
func (s *server) close() {
	s.lines.Lock()
	defer s.lines.Unlock()
	for i, l := range s.open {
		if l != nil {
			l.retire()
		}
		s.open[i] = nil
	}
	s.idle.close()
}

// answered notes the time to an answer (as RFC 6298 section 2 does).
func (s *server) answered(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	took = max(took, time.Microsecond)
	s.silent = 0
	if s.mean == 0 {
		s.mean, s.spread = took, took/2
		return
	}
	s.spread += ((took - s.mean).Abs() - s.spread) / 4
	s.mean += (took - s.mean) / 8
}

// unanswered notes a try without an answer, and when to try again beside others.
func (s *server) unanswered(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probe = now.Add(min(firstProbe<<min(s.silent, 10), lastProbe))
	s.silent++
}

// delay is how long the next server is not asked: most answers come within it.
func (s *server) delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mean == 0 {
		return firstDelay
	}
	return min(max(s.mean+4*s.spread, leastDelay), mostDelay)
}

// rank orders servers, the lowest first: those that answer before those that do
// not, by the magnitude of their times. Of equals, the operator's order holds.
func (s *server) rank() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent > 0 {
		return 100 + min(s.silent, 100)
	}
	// Below 8 ms there is no difference worth a change.
	return bits.Len64(uint64(s.mean / (8 * time.Millisecond)))
}

// due tells whether a silent server is to be tried again now, and takes the turn.
func (s *server) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent == 0 || now.Before(s.probe) {
		return false
	}
	s.probe = now.Add(lastProbe) // until it is known what came of it
	return true
}

// freshID is for a question on a connection of its own.
func freshID(random func([]byte)) uint16 {
	var b [2]byte
	random(b[:])
	return binary.BigEndian.Uint16(b[:])
}
