package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

var errStale = errors.New("there is only a stale answer")

// Error is a question without records. Its text has no byte of the name
// unescaped.
type Error struct {
	Question Question
	Outcome  Outcome
	Err      error // detail, may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Question, e.Outcome)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// NotFound: the DNS said for certain that there is nothing (NXDOMAIN or NODATA).
func (e *Error) NotFound() bool { return e.Outcome == NXDomain || e.Outcome == NoData }

// Temporary: it may be different later; nobody may be blamed for it. So is an
// answer that could not be read, but not a name that cannot be asked for.
func (e *Error) Temporary() bool {
	switch e.Outcome {
	case ServFail, Refused, Timeout, OverLimit, Busy:
		return true
	case Malformed:
		return !errors.Is(e.Err, ErrName)
	}
	return false
}

// Session is one message's view of the DNS: it counts different questions
// against a budget, remembers the answers, asks each only once, and gives
// lookups in the shape of *net.Resolver. All errors are *Error. Safe for
// concurrent use.
//
// A question runs with the ctx of who asks it first. When that ends early, its
// Timeout is not remembered: whoever else waits, or comes later, asks again.
type Session struct {
	Purpose string // what the questions are for, for Exchange; set before the first
	Fresh   bool   // a stale answer counts as the failure that it stands in for; set before the first

	source Source
	budget int

	mu       sync.Mutex
	asked    []*flight // the last one of each question; few enough to be looked through
	answered []*flight // in the order the answers came
}

// flight is one question on its way, or landed.
type flight struct {
	Exchange
	landed  bool          // under the session's lock, as are:
	done    chan struct{} // made by the first who waits
	givenUp bool          // another flight may take its place
}

// NewSession starts a session of at most budget different questions
// (RFC 7208 section 11.1 asks for such a bound).
func NewSession(s Source, budget int) *Session {
	return &Session{source: s, budget: budget}
}

// Exchanges gives what was asked so far, in the order the answers came.
func (s *Session) Exchanges() []Exchange { return AllExchanges(s) }

// AllExchanges gives the exchanges of several sessions, one session after the other.
func AllExchanges(sessions ...*Session) []Exchange {
	var all []Exchange
	n := 0
	for _, s := range sessions {
		n += s.count()
	}
	all = slices.Grow(all, n)
	for _, s := range sessions {
		all = s.appendExchanges(all)
	}
	return all
}

func (s *Session) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.answered)
}

func (s *Session) appendExchanges(all []Exchange) []Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.answered {
		all = append(all, f.Exchange)
	}
	return all
}

// Query answers from the session's memory or asks the source. Beyond the budget
// the answer is OverLimit. A panic of the source goes through to the caller;
// those who wait with him get ServFail.
func (s *Session) Query(ctx context.Context, q Question) Answer {
	q.Name = canonical(q.Name)
	for {
		f, mine := s.join(q)
		switch {
		case f == nil:
			return Answer{Outcome: OverLimit, Err: fmt.Errorf("more than %d questions for one message", s.budget)}
		case mine:
			s.ask(ctx, f)
			return f.Answer
		}
		if done := s.landing(f); done != nil {
			select {
			case <-done:
			case <-ctx.Done():
				return Answer{Outcome: Timeout, Err: context.Cause(ctx)}
			}
		}
		if !f.givenUp {
			return f.Answer
		}
	}
}

// join finds the question's flight or makes one, which is then the caller's to
// fly; nil when the budget is used up.
func (s *Session) join(q Question) (f *flight, mine bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.asked, func(f *flight) bool { return f.Question == q })
	switch {
	case i >= 0 && !s.asked[i].givenUp:
		return s.asked[i], false
	case i < 0 && len(s.asked) >= s.budget:
		return nil, false
	}
	f = &flight{Exchange: Exchange{Purpose: s.Purpose, Question: q}}
	if i >= 0 {
		s.asked[i] = f
	} else {
		s.asked = append(s.asked, f)
	}
	return f, true
}

// landing is closed when the flight has landed; nil if it has already.
func (s *Session) landing(f *flight) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.landed:
		return nil
	case f.done == nil:
		f.done = make(chan struct{})
	}
	return f.done
}

// land tells those who wait.
func (s *Session) land(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.landed = true
	if f.done != nil {
		close(f.done)
	}
}

func (s *Session) ask(ctx context.Context, f *flight) {
	f.Answer = Answer{Outcome: ServFail} // what waiters see should the source panic
	defer s.land(f)
	f.Start = time.Now()
	f.Answer = s.source.Query(ctx, f.Question)
	if s.Fresh && f.Answer.Stale != "" {
		f.Answer = Answer{Outcome: f.Answer.Stale, Cached: true, Server: f.Answer.Server, Err: errStale}
	}
	f.Took = time.Since(f.Start)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.givenUp = f.Answer.Outcome == Timeout && ctx.Err() != nil
	s.answered = append(s.answered, f)
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
	var b []byte
	if addr.Is4() {
		v := addr.As4()
		for i := 3; i >= 0; i-- {
			b = append(strconv.AppendUint(b, uint64(v[i]), 10), '.')
		}
		return string(b) + "in-addr.arpa"
	}
	const hex = "0123456789abcdef"
	v := addr.As16()
	for i := 15; i >= 0; i-- {
		b = append(b, hex[v[i]&15], '.', hex[v[i]>>4], '.')
	}
	return string(b) + "ip6.arpa"
}
