package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// shift is a house on duty: from when it begins to accept connections until its
// last one has ended. A connection belongs to one house from its greeting to its
// end, whatever is reloaded meanwhile.
type shift struct {
	house *house

	stop   context.CancelFunc // accepts no more
	served sync.WaitGroup     // the loops that accept

	hurried sync.Once
	hurry   chan struct{}      // closed: who has nothing in flight is sent away
	cut     context.CancelFunc // what is in flight is cut off
	limit   context.Context
	gone    chan struct{} // closed when all is over
}

// Times of a house that goes off duty.
const (
	// graceTime is what clients get to end their sessions by themselves after a
	// reload, before they are told 421 between two messages.
	graceTime = time.Minute
	// flightTime is what a message in flight gets after that. The MTA alone may
	// take 10 minutes for its reply (RFC 5321 section 4.5.3.2.6).
	flightTime = 15 * time.Minute
	// partingTime is what clients get at a shutdown in place of graceTime.
	partingTime = time.Second
)

// begin puts a house on duty. fail is told when a socket cannot be served.
func begin(h *house, sockets []*socket, fail func(error), log *slog.Logger) *shift {
	s := &shift{house: h, hurry: make(chan struct{}), gone: make(chan struct{})}
	s.limit, s.cut = context.WithCancel(context.Background())
	accepting, stop := context.WithCancel(s.limit)
	s.stop = stop
	go h.probing(accepting, log)
	h.awaitProbe(probeTime)
	for _, at := range sockets {
		s.served.Go(func() { fail(h.server.Serve(accepting, at.name, at.side())) })
	}
	return s
}

// leave takes the house off duty: nothing more is accepted, and what has come in
// gets so much time to end. It returns when all is over.
func (s *shift) leave(grace, flight time.Duration, log *slog.Logger) {
	defer close(s.gone)
	defer s.cut()
	s.accepted()
	s.await(grace)
	limit, cancel := context.WithTimeout(s.limit, flight)
	defer cancel()
	if err := s.house.server.Shutdown(limit); err != nil {
		log.Warn("connections were cut off", "error", err.Error())
	}
}

// accepted ends the accepting. What was accepted is served: it returns when
// nothing comes any more.
func (s *shift) accepted() {
	s.stop()
	s.served.Wait()
}

// await waits until no connection is left, or as long as grace.
func (s *shift) await(grace time.Duration) {
	limit := time.NewTimer(grace)
	defer limit.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for s.house.open.Load() > 0 {
		select {
		case <-s.hurry:
			return
		case <-s.limit.Done():
			return
		case <-limit.C:
			return
		case <-look.C:
		}
	}
}

// hasten ends the grace.
func (s *shift) hasten() { s.hurried.Do(func() { close(s.hurry) }) }
