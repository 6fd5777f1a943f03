package dns

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"
)

// load is one question on its way to the Source.
type load struct {
	done   chan struct{}
	answer Answer
	panic  error
}

// begin makes a load that others can join, under the shard's lock.
func (s *shard) begin(q Question) *load {
	l := &load{done: make(chan struct{})}
	s.loads[q] = l
	return l
}

// result is what a finished load brought.
func (l *load) result() Answer {
	if l.panic != nil {
		panic(l.panic)
	}
	return l.answer
}

// load asks with a time of its own: the first who asked may leave while others
// wait.
func (c *Cache) load(s *shard, q Question, l *load) {
	defer close(l.done)
	defer func() {
		if p := recover(); p != nil {
			l.panic = fmt.Errorf("%v\n%s", p, debug.Stack())
		}
		c.settle(s, q, l)
	}()
	timeout := c.LoadTimeout
	if timeout <= 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	l.answer = c.Source.Query(ctx, q)
}

// Stats is what a cache holds and has done.
type Stats struct {
	Entries    int
	Bytes      int64 // of memory
	Evictions  int64 // answers that went before their time, for lack of room
	Prefetches int64 // renewals ahead of time
}

// Stats is a snapshot; it locks each part of the cache for an instant.
func (c *Cache) Stats() Stats {
	t := Stats{Prefetches: c.prefetches.Load()}
	for _, s := range c.shards {
		s.mu.RLock()
		t.Entries += len(s.entries)
		t.Bytes += s.used
		t.Evictions += s.evicted
		s.mu.RUnlock()
	}
	return t
}
