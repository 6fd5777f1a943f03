package dns

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"
)

const (
	failureTTL = 5 * time.Second // RFC 9520 section 3.2 has one second to five minutes
	// failureRecheck: RFC 8767 section 5, how long a failed renewal is not tried
	// again while a stale answer stands in.
	failureRecheck = 30 * time.Second
	staleTTL       = 30 * time.Second // RFC 8767 section 4
	patience       = 1800 * time.Millisecond

	hotAsks  = 3               // so often asked for, an answer is renewed before its end
	hotLeast = 5 * time.Second // lifetimes below are not worth it
	maxAhead = 32              // such renewals at once

	maxShards  = 64
	shardBytes = 1 << 20 // the least that a shard of many has
)

// Cache remembers another Source's answers for their TTL, failures for five
// seconds, within a bound of memory. A question that is being asked is not asked
// twice: all wait for the one answer, which comes and stays even if those who
// wanted it have left.
//
// Answers are shared: their slices must not be modified.
type Cache struct {
	Source      Source
	Now         func() time.Time // the clock; time.Now
	LoadTimeout time.Duration    // of one question to Source; 15 s

	// Stale is how long after its TTL a found answer may still be given when
	// asking anew fails (RFC 8767); 0: never. The absence of something is never
	// stretched.
	Stale    time.Duration
	Patience time.Duration // what one waits for a new answer before a stale one is given; 1.8 s
	Prefetch bool          // answers that are asked for often are renewed in the last tenth of their TTL
	Cut      bool          // below a name that provenly (Answer.Secure) does not exist there is nothing (RFC 8020)

	seed       maphash.Seed
	shards     []*shard
	places     chan struct{} // of renewals ahead of time
	prefetches atomic.Int64
}

// NewCache remembers what fits into so many bytes.
func NewCache(s Source, bytes int64) *Cache {
	n := int64(1)
	for n < maxShards && bytes >= 2*n*shardBytes {
		n *= 2
	}
	c := &Cache{Source: s, seed: maphash.MakeSeed(), places: make(chan struct{}, maxAhead)}
	for range n {
		c.shards = append(c.shards, newShard(bytes/n))
	}
	return c
}

// shard is where all questions about a name are.
func (c *Cache) shard(name string) *shard {
	if len(c.shards) == 1 {
		return c.shards[0]
	}
	return c.shards[maphash.String(c.seed, name)&uint64(len(c.shards)-1)]
}

// Query answers from memory, else waits for the Source as long as ctx lasts. A
// panic of the Source reaches all who wait.
func (c *Cache) Query(ctx context.Context, q Question) Answer {
	q.Name = canonical(q.Name)
	s := c.shard(q.Name)
	s.mu.RLock()
	e := s.entries[q]
	a, ok := c.recall(e)
	s.mu.RUnlock()
	if ok {
		c.used(e, a)
		return a
	}
	if a, ok := c.denied(q.Name); ok {
		return a
	}
	a, e, l := c.join(s, q)
	if l == nil {
		return a
	}
	return c.await(ctx, l, e)
}

// recall gives what an entry says by itself, under the shard's lock: a fresh
// answer, or a stale one that has lately proved to be the best there is.
func (c *Cache) recall(e *entry) (Answer, bool) {
	if e == nil {
		return Answer{}, false
	}
	now := c.now()
	if left := e.expires.Sub(now); left > 0 {
		a := e.answer
		a.TTL, a.Cached = left, true
		return a, true
	}
	if c.standsIn(e, now) && now.Before(e.retry) {
		return e.stale(e.failure), true
	}
	return Answer{}, false
}

// standsIn: the entry may be given when asking anew fails.
func (c *Cache) standsIn(e *entry, now time.Time) bool {
	return e != nil && e.answer.Outcome == Found && now.Before(e.expires.Add(c.Stale))
}

// stale is the entry's answer beyond its time, with how asking anew has ended.
func (e *entry) stale(failure Outcome) Answer {
	a := e.answer
	a.TTL, a.Cached, a.Stale = staleTTL, true, failure
	return a
}

// used marks an entry, and has it renewed when it is in demand and near its end.
func (c *Cache) used(e *entry, a Answer) {
	if !e.marked.Load() {
		e.marked.Store(true)
	}
	n := e.asked.Load()
	if n < hotAsks {
		n = e.asked.Add(1)
	}
	switch {
	case !c.Prefetch || n < hotAsks || a.Stale != "":
	case a.Outcome != Found || e.lifetime < hotLeast || a.TTL > e.lifetime/10:
	case e.ahead.CompareAndSwap(false, true):
		c.renew(e)
	}
}

// renew asks for an entry before its end, if there is a place for that.
func (c *Cache) renew(e *entry) {
	select {
	case c.places <- struct{}{}:
	default:
		e.ahead.Store(false)
		return
	}
	s := e.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loads[e.question] != nil {
		<-c.places
		return
	}
	l := s.begin(e.question)
	c.prefetches.Add(1)
	go func() {
		defer func() { <-c.places }()
		c.load(s, e.question, l)
	}()
}

// denied: RFC 8020 section 2, where DNSSEC proves it. Other servers may deny a
// name that has no records but names below it: who asks for _domainkey.example.com
// by the way of his MAIL FROM would take that domain's keys away from all. The
// name itself is asked for by every type: some deny a name when they do not know
// the type (RFC 4074 section 4.2).
func (c *Cache) denied(name string) (Answer, bool) {
	if !c.Cut {
		return Answer{}, false
	}
	for parent := range parents(name) {
		s := c.shard(parent)
		s.mu.RLock()
		for _, t := range [...]Type{TXT, A, AAAA, MX, PTR, SPF} {
			e := s.entries[Question{parent, t}]
			if e == nil || e.answer.Outcome != NXDomain || !e.answer.Secure || e.answer.Alias != "" {
				continue
			}
			if a, ok := c.recall(e); ok {
				s.mu.RUnlock()
				a.Err = fmt.Errorf("%s does not exist", present(parent))
				a.memo = nil
				return a, true
			}
		}
		s.mu.RUnlock()
	}
	return Answer{}, false
}

// join gives the load that will bring an answer, or the answer that has come
// meanwhile; and the old entry.
func (c *Cache) join(s *shard, q Question) (Answer, *entry, *load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[q]
	if a, ok := c.recall(e); ok {
		return a, e, nil
	}
	l := s.loads[q]
	if l == nil {
		l = s.begin(q)
		go c.load(s, q, l)
	}
	return Answer{}, e, l
}

// await gives what the load brings, or the old entry if that fails or takes
// long (RFC 8767 section 5).
func (c *Cache) await(ctx context.Context, l *load, old *entry) Answer {
	if !c.standsIn(old, c.now()) {
		select {
		case <-l.done:
			return l.result()
		case <-ctx.Done():
			return Answer{Outcome: Timeout, Err: context.Cause(ctx)}
		}
	}
	late := time.NewTimer(c.patience())
	defer late.Stop()
	select {
	case <-l.done:
		if a := l.result(); !failed(a.Outcome) {
			return a
		} else {
			return old.stale(a.Outcome)
		}
	case <-late.C:
		old.putOff(Timeout, c.now())
	case <-ctx.Done():
	}
	return old.stale(Timeout)
}

// putOff notes that asking anew has failed: for a while nobody waits for it.
func (e *entry) putOff(failure Outcome, now time.Time) {
	e.shard.mu.Lock()
	defer e.shard.mu.Unlock()
	e.failure, e.retry = failure, now.Add(failureRecheck)
}

// settle ends a load and remembers its answer. A failure takes nothing away.
func (c *Cache) settle(s *shard, q Question, l *load) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.loads, q)
	now := c.now()
	old := s.entries[q]
	switch {
	case l.panic != nil:
	case failed(l.answer.Outcome) && (c.standsIn(old, now) || old != nil && conclusive(old.answer.Outcome) && now.Before(old.expires)):
		old.failure, old.retry = l.answer.Outcome, now.Add(failureRecheck)
	case lifetime(l.answer) > 0:
		e := &entry{question: q, answer: l.answer, lifetime: lifetime(l.answer), bytes: weight(q, l.answer), shard: s}
		e.expires, e.memo.entry = now.Add(e.lifetime), e
		e.answer.memo = &e.memo
		l.answer.memo = &e.memo
		s.remember(e)
	case old != nil:
		s.drop(old)
	}
}

// failed: the answer says nothing of the name.
func failed(o Outcome) bool { return !conclusive(o) }

func (c *Cache) patience() time.Duration {
	if c.Patience <= 0 {
		return patience
	}
	return c.Patience
}

func (c *Cache) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// lifetime is how long an answer is remembered.
func lifetime(a Answer) time.Duration {
	switch a.Outcome {
	case Found:
		return min(a.TTL, maxTTL)
	case NXDomain, NoData:
		return min(a.TTL, maxNegativeTTL)
	case ServFail, Refused, Timeout:
		return failureTTL
	case Malformed:
		if !errors.Is(a.Err, ErrName) { // those cost nothing to answer again
			return failureTTL
		}
	}
	return 0
}
