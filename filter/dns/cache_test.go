package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// source is a Source made of a function; it counts.
type source struct {
	answer func(ctx context.Context, q Question) Answer
	asked  atomic.Int64
}

func (s *source) Query(ctx context.Context, q Question) Answer {
	s.asked.Add(1)
	return s.answer(ctx, q)
}

func saying(a Answer) *source {
	return &source{answer: func(context.Context, Question) Answer { return a }}
}

// clock stands until it is moved.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(c.at.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d / time.Second)) }

// cacheOf makes a cache of so many small answers, in one shard.
func cacheOf(s Source, answers int64) (*Cache, *clock) {
	k := &clock{}
	c := NewCache(s, answers*(entryBytes+100))
	c.Now = k.now
	return c, k
}

// RFC 1035 section 3.2.1, RFC 2308 sections 5 and 7 (DN-6): how long each kind of answer stays.
func TestCacheLifetimes(t *testing.T) {
	unreadable := errors.New("unreadable")
	for _, c := range []struct {
		a    Answer
		want time.Duration
	}{
		{Answer{Outcome: Found, TXT: []string{"x"}, TTL: time.Minute}, time.Minute},
		{Answer{Outcome: Found, TXT: []string{"x"}, TTL: 100 * time.Hour}, 24 * time.Hour},
		{Answer{Outcome: Found, TXT: []string{"x"}}, 0},
		{Answer{Outcome: NXDomain, TTL: time.Minute}, time.Minute},
		{Answer{Outcome: NXDomain, TTL: 5 * time.Hour}, time.Hour},
		{Answer{Outcome: NoData, TTL: time.Minute}, time.Minute},
		{Answer{Outcome: NoData}, 0},
		{Answer{Outcome: ServFail}, 5 * time.Second},
		{Answer{Outcome: Refused}, 5 * time.Second},
		{Answer{Outcome: Timeout}, 5 * time.Second},
		{Answer{Outcome: Malformed, Err: unreadable}, 5 * time.Second},
		{Answer{Outcome: Malformed, Err: ErrName}, 0},
		{Answer{Outcome: OverLimit}, 0},
	} {
		s := saying(c.a)
		cache, k := cacheOf(s, 10)
		if a := cache.Query(t.Context(), question); a.Cached || a.Outcome != c.a.Outcome || a.TTL != c.a.TTL {
			t.Errorf("%+v came as %+v", c.a, a)
		}
		if c.want > 0 {
			k.advance(c.want - time.Second)
			a := cache.Query(t.Context(), question)
			if !a.Cached || a.TTL != time.Second || s.asked.Load() != 1 {
				t.Errorf("%s of %v, a second before its end: cached %v, TTL %v, asked %d times", c.a.Outcome, c.a.TTL, a.Cached, a.TTL, s.asked.Load())
			}
			k.advance(time.Second)
		}
		if a := cache.Query(t.Context(), question); a.Cached || s.asked.Load() != 2 {
			t.Errorf("%s of %v is still there after %v", c.a.Outcome, c.a.TTL, c.want)
		}
	}
}

func TestCacheTellsQuestionsApart(t *testing.T) {
	s := &source{answer: func(_ context.Context, q Question) Answer {
		return Answer{Outcome: Found, TXT: []string{q.String()}, TTL: time.Hour}
	}}
	c, _ := cacheOf(s, 10)
	for _, q := range []Question{{"a.x", TXT}, {"b.x", TXT}, {"a.x", MX}, {"A.X.", TXT}} {
		want := Question{canonical(q.Name), q.Type}.String()
		if a := c.Query(t.Context(), q); a.TXT[0] != want {
			t.Errorf("%s was answered with %s", want, a.TXT[0])
		}
	}
	if n := s.asked.Load(); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

// DN-8: one question is on its way once, however many want it.
func TestCacheSingleFlight(t *testing.T) {
	let := make(chan struct{})
	s := &source{answer: func(context.Context, Question) Answer {
		<-let
		return Answer{Outcome: Found, TXT: []string{"x"}} // of no TTL: is shared, but not remembered
	}}
	c, _ := cacheOf(s, 10)
	var wg sync.WaitGroup
	for range 50 {
		_, _, l := c.join(c.shard(question.Name), question) // all have joined before the answer comes
		wg.Go(func() {
			if <-l.done; l.answer.Outcome != Found {
				t.Error(l.answer.Outcome)
			}
		})
	}
	wg.Go(func() {
		if a := c.Query(t.Context(), question); a.Outcome != Found {
			t.Error(a.Outcome)
		}
	})
	for s.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	close(let)
	wg.Wait()
	if n := s.asked.Load(); n > 2 { // two if the last one came late
		t.Errorf("asked %d times", n)
	}
}

// Who asked first may leave: the answer comes for the others, and stays.
func TestCacheLoadIsDetached(t *testing.T) {
	let := make(chan struct{})
	s := &source{answer: func(ctx context.Context, _ Question) Answer {
		select {
		case <-let:
			return Answer{Outcome: Found, TXT: []string{"x"}, TTL: time.Hour}
		case <-ctx.Done():
			return Answer{Outcome: Timeout}
		}
	}}
	c, _ := cacheOf(s, 10)
	impatient, leave := context.WithCancel(t.Context())
	gone := make(chan Answer)
	go func() { gone <- c.Query(impatient, question) }()
	for s.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	if a := <-gone; a.Outcome != Timeout || !errors.Is(a.Err, context.Canceled) {
		t.Errorf("who left got %s %v", a.Outcome, a.Err)
	}
	_, _, l := c.join(c.shard(question.Name), question)
	close(let)
	<-l.done
	if a := c.Query(t.Context(), question); a.Outcome != Found || !a.Cached || s.asked.Load() != 1 {
		t.Errorf("%s, cached %v, asked %d times", a.Outcome, a.Cached, s.asked.Load())
	}
}

func TestCacheLoadHasItsOwnTime(t *testing.T) {
	s := &source{answer: func(ctx context.Context, _ Question) Answer {
		<-ctx.Done()
		return Answer{Outcome: Timeout, Err: ctx.Err()}
	}}
	c, _ := cacheOf(s, 10)
	c.LoadTimeout = 20 * time.Millisecond
	if a := c.Query(t.Context(), question); a.Outcome != Timeout {
		t.Errorf("%s, want timeout", a.Outcome)
	}
}

// A panic of the source reaches all who wait, and is not remembered.
func TestCacheCarriesPanics(t *testing.T) {
	let := make(chan struct{})
	var healed atomic.Bool
	s := &source{answer: func(context.Context, Question) Answer {
		if healed.Load() {
			return Answer{Outcome: NoData}
		}
		<-let
		panic("boom")
	}}
	c, _ := cacheOf(s, 10)
	c.join(c.shard(question.Name), question) // is on its way, before the first waits
	panics := make(chan any)
	for range 3 {
		go func() {
			defer func() { panics <- recover() }()
			c.Query(t.Context(), question)
		}()
	}
	time.Sleep(20 * time.Millisecond)
	close(let)
	for range 3 {
		if p := fmt.Sprint(<-panics); !strings.Contains(p, "boom") || !strings.Contains(p, "cache_test.go") {
			t.Errorf("got %.200s, want boom and where it was", p)
		}
	}
	healed.Store(true)
	if a := c.Query(t.Context(), question); a.Outcome != NoData {
		t.Errorf("afterwards: %s", a.Outcome)
	}
}

func TestCacheUnderLoad(t *testing.T) {
	s := &source{answer: func(context.Context, Question) Answer {
		return Answer{Outcome: Found, TXT: []string{"x"}, TTL: 2 * time.Second}
	}}
	c, k := cacheOf(s, 16)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				if a := c.Query(t.Context(), Question{fmt.Sprint("n", i%40), TXT}); a.Outcome != Found {
					t.Error(a.Outcome)
				}
				if i%50 == 0 {
					k.advance(time.Second)
				}
			}
		})
	}
	wg.Wait()
	checkShards(t, c)
}

func BenchmarkCacheHit(b *testing.B) {
	c := NewCache(saying(Answer{Outcome: Found, TXT: []string{"x"}, TTL: time.Hour}), 64<<20)
	c.Query(b.Context(), question)
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Query(b.Context(), question)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Query(b.Context(), question)
			}
		})
	})
}
