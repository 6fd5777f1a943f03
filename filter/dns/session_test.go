package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// SPF-066, DN-7: the budget is of different questions.
func TestSessionBudget(t *testing.T) {
	src := saying(Answer{Outcome: NoData})
	s := NewSession(src, 3)
	for range 5 {
		for _, q := range []Question{{"a.x", TXT}, {"A.x.", TXT}, {"a.x", MX}, {"b.x", TXT}} {
			if a := s.Query(t.Context(), q); a.Outcome != NoData {
				t.Errorf("%s: %s", q, a.Outcome)
			}
		}
	}
	_, err := s.LookupTXT(t.Context(), "c.x")
	var e *Error
	if !errors.As(err, &e) || e.Outcome != OverLimit || !e.Temporary() || e.NotFound() {
		t.Errorf("beyond the budget: %v", err)
	}
	if a := s.Query(t.Context(), Question{"a.x", TXT}); a.Outcome != NoData {
		t.Error("what was asked before is lost beyond the budget")
	}
	if n := src.asked.Load(); n != 3 || len(s.Exchanges()) != 3 || Questions(s.Exchanges()) != 3 {
		t.Errorf("%d questions, %d exchanges", n, len(s.Exchanges()))
	}
	if a := NewSession(src, 0).Query(t.Context(), question); a.Outcome != OverLimit {
		t.Errorf("with no budget: %s", a.Outcome)
	}
}

func TestSessionAsksOnceAtATime(t *testing.T) {
	src := &source{answer: func(context.Context, Question) Answer {
		time.Sleep(10 * time.Millisecond)
		return Answer{Outcome: Found, TXT: []string{"x"}}
	}}
	s := NewSession(src, 1)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := s.LookupTXT(t.Context(), "q.x"); err != nil || len(got) != 1 {
				t.Error(got, err)
			}
		})
	}
	wg.Wait()
	if n := src.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A question given up by who asked it first is asked again for the others.
func TestSessionGivenUp(t *testing.T) {
	src := &source{}
	src.answer = func(ctx context.Context, _ Question) Answer {
		if src.asked.Load() > 1 {
			return Answer{Outcome: Found, TXT: []string{"x"}}
		}
		<-ctx.Done()
		return Answer{Outcome: Timeout, Err: ctx.Err()}
	}
	s := NewSession(src, 1)
	early, end := context.WithCancel(t.Context())
	first := make(chan Answer)
	go func() { first <- s.Query(early, question) }()
	for src.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	second := make(chan Answer)
	go func() { second <- s.Query(t.Context(), question) }()
	impatient, leave := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer leave()
	if a := s.Query(impatient, question); a.Outcome != Timeout {
		t.Errorf("who could not wait got %s", a.Outcome)
	}
	end()
	if a := <-first; a.Outcome != Timeout {
		t.Errorf("who gave up got %s", a.Outcome)
	}
	if a := <-second; a.Outcome != Found {
		t.Errorf("who waited got %s %v", a.Outcome, a.Err)
	}
	if a := s.Query(t.Context(), question); a.Outcome != Found || src.asked.Load() != 2 {
		t.Errorf("later: %s, asked %d times", a.Outcome, src.asked.Load())
	}
	if a := s.Query(t.Context(), Question{"other.x", TXT}); a.Outcome != OverLimit {
		t.Errorf("the question given up is not counted: %s", a.Outcome)
	}
	if xs := s.Exchanges(); len(xs) != 2 || Questions(xs) != 1 {
		t.Errorf("%d exchanges, %d questions", len(xs), Questions(xs))
	}
}

// A timeout of the source, while there is time left, is an answer as others.
func TestSessionRemembersTimeouts(t *testing.T) {
	src := saying(Answer{Outcome: Timeout})
	s := NewSession(src, 5)
	s.Query(t.Context(), question)
	s.Query(t.Context(), question)
	if n := src.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestSessionPanic(t *testing.T) {
	let := make(chan struct{})
	src := &source{answer: func(context.Context, Question) Answer { <-let; panic("boom") }}
	s := NewSession(src, 5)
	caller := make(chan any)
	go func() {
		defer func() { caller <- recover() }()
		s.Query(t.Context(), question)
	}()
	for src.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	waiter := make(chan Answer)
	go func() { waiter <- s.Query(t.Context(), question) }()
	close(let)
	if p := <-caller; p != "boom" {
		t.Errorf("the caller got %v, want boom", p)
	}
	if a := <-waiter; a.Outcome != ServFail {
		t.Errorf("who waited got %s", a.Outcome)
	}
}

func TestSessionLookups(t *testing.T) {
	s := NewSession(exampleOf(t), 60)
	ctx := t.Context()
	show := func(v any, err error) string {
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%v", v)
	}
	for _, c := range []struct{ got, want string }{
		{show(s.LookupTXT(ctx, "example.com.")), "[v=spf1 mx -all]"},
		{show(s.LookupMX(ctx, "example.com")), "[{10 mx.example.com} {20 mx.example.net}]"},
		{show(s.LookupNetIP(ctx, "ip4", "mx.example.com")), "[192.0.2.1]"},
		{show(s.LookupNetIP(ctx, "ip6", "mx.example.com")), "[2001:db8::1]"},
		{show(s.LookupAddr(ctx, netip.MustParseAddr("192.0.2.1"))), "[mx.example.com]"},
		{show(s.LookupTXT(ctx, "none.example.com")), "TXT none.example.com: nxdomain"},
		{show(s.LookupMX(ctx, "mx.example.com")), "MX mx.example.com: nodata"},
		{show(s.LookupNetIP(ctx, "ip4", "broken.example.com")), "A broken.example.com: servfail: SERVFAIL"},
		{show(s.LookupTXT(ctx, "slow.example.com")), "TXT slow.example.com: timeout: no answer in time"},
		{show(s.LookupTXT(ctx, "refused.example.com")), "TXT refused.example.com: refused: REFUSED"},
		{show(s.LookupTXT(ctx, "a..b")), "TXT a..b: malformed: not a name the DNS can have"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}

func TestErrorClasses(t *testing.T) {
	for _, c := range []struct {
		o                   Outcome
		err                 error
		notFound, temporary bool
	}{
		{NXDomain, nil, true, false},
		{NoData, nil, true, false},
		{ServFail, nil, false, true},
		{Refused, nil, false, true},
		{Timeout, nil, false, true},
		{OverLimit, nil, false, true},
		{Malformed, errUnreadable, false, true},
		{Malformed, fmt.Errorf("why: %w", ErrName), false, false},
	} {
		e := &Error{question, c.o, c.err}
		if e.NotFound() != c.notFound || e.Temporary() != c.temporary {
			t.Errorf("%s (%v): not found %v, temporary %v", c.o, c.err, e.NotFound(), e.Temporary())
		}
	}
}

func TestElapsed(t *testing.T) {
	at := func(start, took int) Exchange {
		return Exchange{Start: time.Unix(int64(start), 0), Took: time.Duration(took) * time.Second}
	}
	for i, c := range []struct {
		xs   []Exchange
		want int
	}{
		{nil, 0},
		{[]Exchange{at(1, 2)}, 2},
		{[]Exchange{at(1, 2), at(10, 3)}, 5},
		{[]Exchange{at(10, 3), at(1, 2)}, 5},
		{[]Exchange{at(1, 10), at(2, 3), at(4, 9)}, 12},
		{[]Exchange{at(1, 0), at(1, 0)}, 0},
	} {
		if got := Elapsed(c.xs); got != time.Duration(c.want)*time.Second {
			t.Errorf("case %d: %v, want %d s", i, got, c.want)
		}
	}
}
