package dns

import (
	"sync"
	"sync/atomic"
	"time"
)

// shard is a part of a Cache with a lock and a bound of its own. What has to go
// for lack of room is chosen by SIEVE: a hit leaves a mark and moves nothing,
// so that readers do not wait for one another.
type shard struct {
	capacity int64 // bytes

	mu      sync.RWMutex
	entries map[Question]*entry
	loads   map[Question]*load
	used    int64
	evicted int64
	newest  *entry
	oldest  *entry
	hand    *entry // where the search for room goes on
}

// entry is one remembered answer.
type entry struct {
	question Question
	answer   Answer
	expires  time.Time
	lifetime time.Duration
	memo     Memo
	shard    *shard

	marked atomic.Bool  // was used since the hand passed
	asked  atomic.Int32 // how often, up to hotAsks
	ahead  atomic.Bool  // a new answer was asked for before the end

	// Under the shard's lock.
	bytes        int64
	linked       bool
	newer, older *entry
	retry        time.Time // not to be asked for again before, for that has failed
	failure      Outcome   // how
}

func newShard(capacity int64) *shard {
	return &shard{capacity: capacity, entries: map[Question]*entry{}, loads: map[Question]*load{}}
}

// remember puts an entry in, in place of one of the same question.
func (s *shard) remember(e *entry) {
	if old := s.entries[e.question]; old != nil {
		s.drop(old)
	}
	if e.bytes > s.capacity {
		return
	}
	s.makeRoom(e.bytes)
	s.entries[e.question] = e
	e.older, e.linked = s.newest, true
	if s.newest != nil {
		s.newest.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
	s.used += e.bytes
}

// makeRoom lets entries go until there are so many bytes.
func (s *shard) makeRoom(bytes int64) {
	for s.used+bytes > s.capacity {
		e := s.hand
		if e == nil {
			e = s.oldest
		}
		for n := len(s.entries); n > 0 && e.marked.Swap(false); n-- {
			if e = e.newer; e == nil {
				e = s.oldest
			}
		}
		s.hand = e.newer
		s.drop(e)
		s.evicted++
	}
}

func (s *shard) drop(e *entry) {
	if s.hand == e {
		s.hand = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	e.newer, e.older, e.linked = nil, nil, false
	delete(s.entries, e.question)
	s.used -= e.bytes
}

// room: a value of so many bytes may be kept in the entry's memo. What would
// take a great part of the shard is made anew each time.
func (e *entry) room(bytes int) bool { return int64(bytes) <= e.shard.capacity/8 }

// grow counts what the entry's memo has got.
func (e *entry) grow(bytes int) {
	s := e.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	if !e.linked {
		return
	}
	e.bytes += int64(bytes)
	s.used += int64(bytes)
	s.makeRoom(0)
}

// The memory of an entry beside its data: itself, its place in the map, and
// what an allocation loses by its size class.
const (
	entryBytes  = 640
	recordBytes = 32
)

// weight is the memory that an answer takes.
func weight(q Question, a Answer) int64 {
	n := entryBytes + len(q.Name) + len(a.Alias) + recordBytes*(len(a.TXT)+len(a.Addrs)+len(a.MX)+len(a.Names))
	for _, s := range a.TXT {
		n += len(s)
	}
	for _, mx := range a.MX {
		n += len(mx.Host)
	}
	for _, s := range a.Names {
		n += len(s)
	}
	if a.Err != nil {
		n += 2 * len(a.Err.Error())
	}
	return int64(n)
}
