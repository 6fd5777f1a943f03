package history

import (
	"sync"
	"sync/atomic"
	"time"
)

// Cause is why a row was dropped.
type Cause string

// The closed set of causes.
const (
	QueueFull Cause = "queue_full" // the database was away or slow for too long
	Unfit     Cause = "unfit"      // the database takes others, but not this one
	Ended     Cause = "ended"      // the program ended, or the history was switched off, before it was written
)

// Causes lists them all.
func Causes() []Cause { return []Cause{QueueFull, Unfit, Ended} }

// Stats is a history at one moment.
type Stats struct {
	Enabled   bool
	Kind      string // "sqlite" or "postgresql"; "" where it is off
	Connected bool   // the database is open, as far as we know
	Queued    int    // rows that wait
	Bytes     int64  // of them
	Written   uint64
	Dropped   map[Cause]uint64
	Deleted   uint64 // rows that were too old, or too many
	Errors    uint64 // of the database
	LastError string // "" once it works again
	LastWrite time.Time
	Oldest    time.Time // the oldest row there is; zero if none is, or nobody looked yet
	Size      int64     // bytes that the database uses for all of it, as last looked at
}

// stats are the counters behind Stats.
type stats struct {
	added, done       atomic.Uint64 // taken in; written or dropped after that
	written, errors   atomic.Uint64
	deleted           atomic.Uint64
	full, unfit, late atomic.Uint64

	mu        sync.Mutex
	lastError string
	lastWrite time.Time
	oldest    time.Time
	size      int64
}

func (s *stats) drop(c Cause, n int) {
	switch c {
	case QueueFull:
		s.full.Add(uint64(n))
	case Unfit:
		s.unfit.Add(uint64(n))
	default:
		s.late.Add(uint64(n))
	}
}

// failed keeps an error, and tells whether it is a new one.
func (s *stats) failed(err error) bool {
	s.errors.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	text := clip(err.Error(), 500)
	if s.lastError == text {
		return false
	}
	s.lastError = text
	return true
}

// recovered tells whether there was trouble before.
func (s *stats) recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	trouble := s.lastError != ""
	s.lastError = ""
	return trouble
}

func (s *stats) wrote(n int, at time.Time) {
	s.written.Add(uint64(n))
	s.done.Add(uint64(n))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastWrite = at
}

func (s *stats) measured(oldest time.Time, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest, s.size = oldest, size
}

// Stats asks no database.
func (s *Store) Stats() Stats {
	o := s.wish.Load()
	queued, bytes, _ := s.queue.size()
	t := &s.stats
	t.mu.Lock()
	defer t.mu.Unlock()
	return Stats{
		Enabled: o.enabled(), Kind: kind(*o), Connected: s.db.Load() != nil,
		Queued: queued + len(s.intake), Bytes: bytes,
		Written: t.written.Load(), Deleted: t.deleted.Load(), Errors: t.errors.Load(),
		Dropped:   map[Cause]uint64{QueueFull: t.full.Load(), Unfit: t.unfit.Load(), Ended: t.late.Load()},
		LastError: t.lastError, LastWrite: t.lastWrite, Oldest: t.oldest, Size: t.size,
	}
}

func kind(o Options) string {
	switch {
	case o.Path != "":
		return "sqlite"
	case o.URL != "":
		return "postgresql"
	}
	return ""
}
