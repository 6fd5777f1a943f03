// Package history keeps what became of each message for as long as the operator
// wants: rows in SQLite or in a PostgreSQL that many nodes share. Records go in,
// and never wait for the database; rows, their explanations and sums come out.
//
// What is stored is what the Record says: whoever hands it over has masked it
// as the operator's choice about personal data demands.
package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/filter"
)

// Options say where the rows are kept, and how many. The zero value keeps none.
type Options struct {
	Path         string        // of a SQLite file, in a directory that exists; "" for none
	URL          string        // of a PostgreSQL, used where Path is ""; "" for none
	Node         string        // our name in rows that many nodes share
	Retention    time.Duration // how long a row stays; 0: for ever
	MaxSize      int64         // bytes of SQLite in use, beyond which the oldest rows go; 0: no limit
	Queue        int64         // bytes of rows that wait to be written; 0: 64 MiB
	QueryTimeout time.Duration // of one question; 0: 5 s
	Log          *slog.Logger  // told when the database goes and comes; nil: nobody
}

// enabled tells whether rows are kept at all.
func (o Options) enabled() bool { return o.Path != "" || o.URL != "" }

func (o Options) queryTimeout() time.Duration {
	if o.QueryTimeout <= 0 {
		return 5 * time.Second
	}
	return o.QueryTimeout
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// Store is a history that lasts as long as the process, while its Options and
// the database behind it come and go. It is safe for concurrent use.
type Store struct {
	now func() time.Time

	wish    atomic.Pointer[Options]
	changed chan struct{} // has one when wish is new
	intake  chan filter.Record
	queue   queue
	db      atomic.Pointer[database] // nil: not open
	stats   stats

	begin   sync.Once
	finish  sync.Once
	stop    chan struct{} // closed when Close begins
	base    context.Context
	cancel  context.CancelFunc // when Close's time is over
	workers sync.WaitGroup
}

// ErrOff is what questions get where no history is kept.
var ErrOff = errors.New("no history is kept")

// ErrUnavailable is what questions get while there is no database; Stats tells why.
var ErrUnavailable = errors.New("the history database is not available")

// intakeSize is how many records wait to be made into rows: more than one
// moment's worth, for that takes microseconds.
const intakeSize = 1024

// New begins a history that is off until Configure. now is the clock of day.
func New(now func() time.Time) *Store {
	s := &Store{
		now:     now,
		changed: make(chan struct{}, 1),
		intake:  make(chan filter.Record, intakeSize),
		stop:    make(chan struct{}),
	}
	s.queue.arrived = make(chan struct{}, 1)
	s.wish.Store(&Options{})
	s.base, s.cancel = context.WithCancel(context.Background())
	return s
}

// Configure is in force at once; the database is opened in the background, again
// and again until it can be. The error is of an URL that does not parse, and then
// nothing has changed.
func (s *Store) Configure(o Options) error {
	if err := CheckURL(o); err != nil {
		return err
	}
	if *s.wish.Load() == o {
		return nil
	}
	s.queue.resize(o.Queue)
	s.wish.Store(&o)
	wake(s.changed)
	if o.enabled() {
		s.begin.Do(func() {
			s.workers.Go(s.sort)
			s.workers.Go(s.write)
		})
	}
	return nil
}

// Enabled tells whether a history is kept.
func (s *Store) Enabled() bool { return s.wish.Load().enabled() }

// Add takes a record, and never waits: where there is no room, it is dropped and
// counted.
func (s *Store) Add(r filter.Record) {
	select {
	case <-s.stop:
		return
	default:
	}
	if !s.Enabled() {
		return
	}
	select {
	case s.intake <- r:
		s.stats.added.Add(1)
	default:
		s.stats.drop(QueueFull, 1)
	}
}

// sort makes records into rows of a bounded size, off the mail's way.
func (s *Store) sort() {
	for {
		select {
		case r := <-s.intake:
			s.enqueue(r)
		case <-s.stop:
			s.sortRest()
			return
		}
	}
}

func (s *Store) sortRest() {
	for {
		select {
		case r := <-s.intake:
			s.enqueue(r)
		default:
			s.queue.end()
			return
		}
	}
}

func (s *Store) enqueue(r filter.Record) {
	if !s.queue.put(newEntry(r, s.wish.Load().Node)) {
		s.stats.drop(QueueFull, 1)
		s.stats.done.Add(1)
	}
}

// Flush returns when all that was added before is written or dropped, or with
// ctx's error.
func (s *Store) Flush(ctx context.Context) error {
	const pause = 2 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for until := s.stats.added.Load(); s.stats.done.Load() < until; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// Close writes what waits until ctx ends, and drops the rest. It returns soon
// after ctx, even where the database does not.
func (s *Store) Close(ctx context.Context) {
	s.finish.Do(func() { close(s.stop) })
	defer context.AfterFunc(ctx, s.cancel)()
	ended := make(chan struct{})
	go func() { s.workers.Wait(); close(ended) }()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
}

// wake leaves one word in a channel that has room for one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
