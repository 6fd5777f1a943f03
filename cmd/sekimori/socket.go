package main

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// socket listens for as long as the program runs. The houses that come and go
// behind it accept from it, each from a side of its own.
type socket struct {
	name     string // of the listener in Records
	place    string // where it listens, as configured
	listener net.Listener
	began    time.Time
	turned   atomic.Int64 // when somebody last came to accept: nanoseconds after began
}

// turn is how long one look for a connection lasts, and so how late a side may
// notice that it was closed.
const turn = 200 * time.Millisecond

func newSocket(name string, l net.Listener) *socket {
	return &socket{name: name, listener: l, began: time.Now()}
}

// quiet is how long nobody has come to accept. It is the monotonic clock's: a
// jump of the time of day is no silence.
func (s *socket) quiet() time.Duration {
	return time.Since(s.began) - time.Duration(s.turned.Load())
}

func (s *socket) side() *side { return &side{socket: s} }

// side is one house's way to accept from a socket. Closing it leaves the socket
// open. A connection that comes meanwhile is given to it or to another side,
// never lost.
type side struct {
	*socket
	mu     sync.Mutex
	closed bool
}

// Accept implements net.Listener.
func (s *side) Accept() (net.Conn, error) {
	for {
		if err := s.look(); err != nil {
			return nil, err
		}
		c, err := s.listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
	}
}

// look begins a turn.
func (s *side) look() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.turned.Store(int64(time.Since(s.began)))
	return s.until(time.Now().Add(turn))
}

func (s *side) until(t time.Time) error {
	if l, ok := s.listener.(interface{ SetDeadline(time.Time) error }); ok {
		return l.SetDeadline(t)
	}
	return nil
}

// Close implements net.Listener. Accept may notice only at the end of its turn.
func (s *side) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.until(time.Now())
}

// Addr implements net.Listener.
func (s *side) Addr() net.Addr { return s.listener.Addr() }
