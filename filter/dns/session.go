package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Error is a question without records.
type Error struct {
	Question Question
	Outcome  Outcome
	Err      error // detail, may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %s: %s", e.Question.Type, e.Question.Name, e.Outcome)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// NotFound: the DNS said for certain that there is nothing (NXDOMAIN or NODATA).
func (e *Error) NotFound() bool { return e.Outcome == NXDomain || e.Outcome == NoData }

// Temporary: it may be different later; nobody may be blamed for it.
func (e *Error) Temporary() bool {
	switch e.Outcome {
	case ServFail, Refused, Timeout, OverLimit:
		return true
	}
	return false
}

// Exchange is one question of a session with its answer, for `check --trace`.
type Exchange struct {
	Question Question
	Answer   Answer
	Took     time.Duration
}

// Session is one message's view of the DNS: it counts questions against a
// budget, remembers them, asks each only once, and gives lookups in the shape
// of *net.Resolver. All errors are *Error. Safe for concurrent use.
type Session struct {
	source Source
	budget int

	mu        sync.Mutex
	exchanges []Exchange
	flights   map[Question]*flight
}

type flight struct {
	done   chan struct{}
	answer Answer
}

// NewSession starts a session of at most budget different questions
// (RFC 7208 section 11.1 asks for such a bound).
func NewSession(s Source, budget int) *Session {
	return &Session{source: s, budget: budget, flights: map[Question]*flight{}}
}

// Exchanges gives what was asked so far, in the order the answers came.
func (s *Session) Exchanges() []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.exchanges)
}

// Query answers from the session's memory or asks the source.
func (s *Session) Query(ctx context.Context, q Question) Answer {
	q.Name = strings.TrimSuffix(strings.ToLower(q.Name), ".")
	s.mu.Lock()
	f, asked := s.flights[q]
	if !asked {
		if len(s.flights) >= s.budget {
			s.mu.Unlock()
			return Answer{Outcome: OverLimit, Err: fmt.Errorf("more than %d questions for one message", s.budget)}
		}
		f = &flight{done: make(chan struct{})}
		s.flights[q] = f
	}
	s.mu.Unlock()
	if asked {
		select {
		case <-f.done:
			return f.answer
		case <-ctx.Done():
			return Answer{Outcome: Timeout, Err: context.Cause(ctx)}
		}
	}
	s.ask(ctx, q, f)
	return f.answer
}

func (s *Session) ask(ctx context.Context, q Question, f *flight) {
	f.answer = Answer{Outcome: ServFail} // what waiters see should the source panic
	defer close(f.done)
	start := time.Now()
	f.answer = s.source.Query(ctx, q)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchanges = append(s.exchanges, Exchange{q, f.answer, time.Since(start)})
}

func (s *Session) lookup(ctx context.Context, name string, t Type) (Answer, error) {
	q := Question{Name: name, Type: t}
	a := s.Query(ctx, q)
	if a.Outcome != Found {
		return a, &Error{Question: q, Outcome: a.Outcome, Err: a.Err}
	}
	return a, nil
}

// LookupTXT gives the texts at a name.
func (s *Session) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a, err := s.lookup(ctx, name, TXT)
	return a.TXT, err
}

// LookupMX gives the mail exchangers of a name.
func (s *Session) LookupMX(ctx context.Context, name string) ([]MXRecord, error) {
	a, err := s.lookup(ctx, name, MX)
	return a.MX, err
}

// LookupNetIP gives the addresses of a host of one family: network is "ip4" or "ip6".
func (s *Session) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	t := A
	if network == "ip6" {
		t = AAAA
	}
	a, err := s.lookup(ctx, host, t)
	return a.Addrs, err
}

// LookupAddr gives the names that the reverse DNS has for an address.
func (s *Session) LookupAddr(ctx context.Context, addr netip.Addr) ([]string, error) {
	a, err := s.lookup(ctx, ReverseName(addr), PTR)
	return a.Names, err
}

// ReverseName is the name under in-addr.arpa or ip6.arpa (RFC 1035 section 3.5, RFC 3596 section 2.5).
func ReverseName(addr netip.Addr) string {
	addr = addr.Unmap()
	var b strings.Builder
	if addr.Is4() {
		v := addr.As4()
		for i := 3; i >= 0; i-- {
			fmt.Fprintf(&b, "%d.", v[i])
		}
		return b.String() + "in-addr.arpa"
	}
	v := addr.As16()
	for i := 15; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", v[i]&15, v[i]>>4)
	}
	return b.String() + "ip6.arpa"
}
