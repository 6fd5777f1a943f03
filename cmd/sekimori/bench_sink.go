package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
)

// sink is an MTA that takes everything and keeps nothing but the count, at as
// little cost as can be: the load is the proxy's.
type sink struct {
	listen   net.Listener
	messages atomic.Int64

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	gone   sync.WaitGroup
}

func startSink() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listen: l, conns: map[net.Conn]bool{}}
	s.gone.Go(s.accept)
	return s, nil
}

// close ends all connections and waits for them.
func (s *sink) close() {
	s.listen.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.hangUp()
	s.gone.Wait()
}

// hangUp ends the connections that are open, as an MTA may when no mail comes.
func (s *sink) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *sink) accept() {
	for {
		c, err := s.listen.Accept()
		if err != nil {
			return
		}
		s.gone.Go(func() {
			defer c.Close()
			if s.enter(c) {
				s.talk(c)
				s.leave(c)
			}
		})
	}
}

func (s *sink) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.conns[c] = true
	}
	return !s.closed
}

func (s *sink) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// talk answers commands until the client leaves.
func (s *sink) talk(c net.Conn) {
	r, w := bufio.NewReader(c), bufio.NewWriter(c)
	fmt.Fprint(w, "220 mta.example.net ESMTP\r\n")
	for w.Flush() == nil {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			fmt.Fprint(w, "250-mta.example.net\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n")
		case "HELO", "NOOP", "RSET", "MAIL", "RCPT":
			fmt.Fprint(w, "250 2.0.0 Ok\r\n")
		case "DATA":
			fmt.Fprint(w, "354 End with a dot\r\n")
			if w.Flush() != nil || !swallow(r) {
				return
			}
			fmt.Fprintf(w, "250 2.0.0 Ok: queued as SINK%d\r\n", s.messages.Add(1))
		case "QUIT":
			fmt.Fprint(w, "221 2.0.0 Bye\r\n")
			w.Flush()
			return
		default:
			fmt.Fprint(w, "500 5.5.1 unknown command\r\n")
		}
	}
}

// swallow reads a message up to its final dot (RFC 5321 section 4.1.1.4).
func swallow(r *bufio.Reader) bool {
	atStart := true
	for {
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return false
		}
		if atStart && string(line) == ".\r\n" {
			return true
		}
		atStart = bytes.HasSuffix(line, []byte("\r\n"))
	}
}
