package main

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

func localSocket(t *testing.T) *socket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return newSocket("test", l)
}

// Sides come and go while clients connect: each connection reaches one of them.
func TestSidesLoseNoConnection(t *testing.T) {
	s := localSocket(t)
	var accepting sync.WaitGroup
	serve := func(d *side) {
		accepting.Go(func() {
			for {
				c, err := d.Accept()
				if err != nil {
					if !errors.Is(err, net.ErrClosed) {
						t.Error(err)
					}
					return
				}
				c.Write([]byte("x"))
				c.Close()
			}
		})
	}
	present := s.side()
	serve(present)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 300 {
			c, err := net.Dial("tcp", s.listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			if n, err := c.Read(make([]byte, 1)); n != 1 {
				t.Error(err)
			}
			c.Close()
		}
	}()
	for over := false; !over; {
		next := s.side()
		serve(next)
		present.Close()
		present = next
		select {
		case <-done:
			over = true
		case <-time.After(5 * time.Millisecond):
		}
	}
	present.Close()
	accepting.Wait()
	if c, err := net.Dial("tcp", s.listener.Addr().String()); err != nil {
		t.Errorf("the socket itself is closed: %v", err)
	} else {
		c.Close()
	}
}

// A loop that no longer comes to accept is found out, one that has nothing to
// accept is not.
func TestQuiet(t *testing.T) {
	s := localSocket(t)
	d := s.side()
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := d.Accept(); err != nil {
				ended <- err
				return
			}
		}
	}()
	for end := time.Now().Add(2*turn + turn/2); time.Now().Before(end); time.Sleep(turn / 10) {
		if q := s.quiet(); q > turn+turn/2 {
			t.Errorf("quiet for %v while accepting", q)
		}
	}
	d.Close()
	<-ended
	before := s.quiet()
	time.Sleep(50 * time.Millisecond)
	if s.quiet() < before+40*time.Millisecond {
		t.Error("nobody accepts, and it is not quiet")
	}
	sv := &service{}
	sv.watched.Store(&[]*socket{s})
	if err := sv.accepting(turn); err != nil {
		t.Errorf("a moment of silence is no death: %v", err)
	}
	s.turned.Store(int64(-time.Minute))
	if sv.accepting(turn) == nil {
		t.Error("a minute of silence is life")
	}
}
