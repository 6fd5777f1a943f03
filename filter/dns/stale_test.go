package dns

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// authority is a source whose answers a test changes.
type authority struct {
	*source
	says  atomic.Pointer[Answer]
	delay chan struct{} // if not nil, answers wait for it
}

func newAuthority(a Answer) *authority {
	au := &authority{}
	au.says.Store(&a)
	au.source = &source{answer: func(ctx context.Context, _ Question) Answer {
		a := *au.says.Load()
		if au.delay != nil {
			select {
			case <-au.delay:
			case <-ctx.Done():
				return Answer{Outcome: Timeout}
			}
		}
		return a
	}}
	return au
}

func found(text string, ttl time.Duration) Answer {
	return Answer{Outcome: Found, TXT: []string{text}, TTL: ttl}
}

// RFC 8767 sections 4 and 5: when asking anew fails, what was found earlier
// stands in, is marked, and the failure is not tried again for 30 seconds.
func TestStale(t *testing.T) {
	for _, failure := range []Outcome{ServFail, Refused, Timeout, Malformed, Busy} {
		au := newAuthority(found("old", 10*time.Second))
		c, k := cacheOf(au, 10)
		c.Stale = time.Minute
		expect(t, c.Query(t.Context(), question), Found, "old")
		au.says.Store(&Answer{Outcome: failure})
		k.advance(10 * time.Second)
		for range 3 {
			a := c.Query(t.Context(), question)
			if expect(t, a, Found, "old"); a.Stale != failure || !a.Cached || a.TTL != 30*time.Second {
				t.Errorf("%s: %+v", failure, a)
			}
		}
		if n := au.asked.Load(); n != 2 {
			t.Errorf("%s: asked %d times, want 2", failure, n)
		}
		k.advance(30 * time.Second)
		c.Query(t.Context(), question)
		if n := au.asked.Load(); n != 3 {
			t.Errorf("%s: asked %d times after half a minute, want 3", failure, n)
		}
		k.advance(30 * time.Second) // a minute after its end
		if a := c.Query(t.Context(), question); a.Outcome != failure || a.Stale != "" {
			t.Errorf("%s: beyond the bound there is %+v", failure, a)
		}
	}
}

// What the authority says counts at once, whatever stood in for it.
func TestStaleEnds(t *testing.T) {
	for _, now := range []Answer{found("new", 10*time.Second), {Outcome: NXDomain, TTL: time.Second}, {Outcome: NoData}} {
		au := newAuthority(found("old", 10*time.Second))
		c, k := cacheOf(au, 10)
		c.Stale = time.Hour
		c.Query(t.Context(), question)
		au.says.Store(&Answer{Outcome: ServFail})
		k.advance(10 * time.Second)
		expect(t, c.Query(t.Context(), question), Found, "old")
		au.says.Store(&now)
		k.advance(30 * time.Second)
		if a := c.Query(t.Context(), question); a.Outcome != now.Outcome || a.Stale != "" || a.Outcome == Found && a.TXT[0] != "new" {
			t.Errorf("%s became %+v", now.Outcome, a)
		}
		au.says.Store(&Answer{Outcome: ServFail})
		k.advance(10 * time.Second)
		if a := c.Query(t.Context(), question); now.Outcome != Found && a.Stale != "" {
			t.Errorf("what was taken back came again: %+v", a)
		}
	}
}

// That something does not exist is not believed beyond its time.
func TestStaleAbsence(t *testing.T) {
	for _, o := range []Outcome{NXDomain, NoData} {
		au := newAuthority(Answer{Outcome: o, TTL: 10 * time.Second})
		c, k := cacheOf(au, 10)
		c.Stale = time.Hour
		c.Query(t.Context(), question)
		au.says.Store(&Answer{Outcome: Timeout})
		k.advance(10 * time.Second)
		if a := c.Query(t.Context(), question); a.Outcome != Timeout || a.Stale != "" {
			t.Errorf("%s: %+v", o, a)
		}
	}
}

// RFC 8767 section 5: a slow authority is not waited for when there is something
// stale; its answer stays for the next.
func TestStalePatience(t *testing.T) {
	au := newAuthority(found("old", 10*time.Second))
	c, k := cacheOf(au, 10)
	c.Stale, c.Patience = time.Hour, 20*time.Millisecond
	c.Query(t.Context(), question)
	fresh := found("new", 10*time.Second)
	au.delay = make(chan struct{})
	au.says.Store(&fresh)
	k.advance(10 * time.Second)
	a := c.Query(t.Context(), question)
	if expect(t, a, Found, "old"); a.Stale != Timeout {
		t.Errorf("%+v", a)
	}
	_, _, l := c.join(c.shard(question.Name), question)
	if l != nil {
		t.Error("within half a minute somebody would wait again")
	}
	close(au.delay)
	for a.Stale != "" {
		time.Sleep(time.Millisecond)
		a = c.Query(t.Context(), question)
	}
	expect(t, a, Found, "new")

	gone, leave := context.WithCancel(t.Context())
	leave()
	k.advance(10 * time.Second)
	au.delay = make(chan struct{})
	if a := c.Query(gone, question); a.Stale != Timeout {
		t.Errorf("who has no time got %+v", a)
	}
	close(au.delay)
}

func TestStaleOff(t *testing.T) {
	au := newAuthority(found("old", 10*time.Second))
	c, k := cacheOf(au, 10)
	c.Query(t.Context(), question)
	au.says.Store(&Answer{Outcome: ServFail})
	k.advance(10 * time.Second)
	expect(t, c.Query(t.Context(), question), ServFail, "")
}

// What is asked for often is asked for again before its end, in the background.
func TestPrefetch(t *testing.T) {
	au := newAuthority(found("old", 100*time.Second))
	c, k := cacheOf(au, 10)
	c.Prefetch = true
	for range 5 {
		c.Query(t.Context(), question)
	}
	k.advance(89 * time.Second)
	c.Query(t.Context(), question)
	if n := au.asked.Load(); n != 1 {
		t.Errorf("asked %d times before the last tenth", n)
	}
	fresh := found("new", 100*time.Second)
	au.says.Store(&fresh)
	k.advance(time.Second)
	a := c.Query(t.Context(), question)
	expect(t, a, Found, "old")
	for a.TXT[0] == "old" {
		time.Sleep(time.Millisecond)
		a = c.Query(t.Context(), question)
	}
	if s := c.Stats(); au.asked.Load() != 2 || s.Prefetches != 1 || a.TTL != 100*time.Second {
		t.Errorf("asked %d times, %+v, TTL %v", au.asked.Load(), s, a.TTL)
	}
}

// What nobody asks for, or what lives a moment, is left to end.
func TestPrefetchNotFor(t *testing.T) {
	for name, c := range map[string]struct {
		a    Answer
		asks int
	}{
		"rare":       {found("x", 100*time.Second), 1},
		"short":      {found("x", 4*time.Second), 5},
		"an absence": {Answer{Outcome: NXDomain, TTL: 100 * time.Second}, 5},
	} {
		au := newAuthority(c.a)
		cache, k := cacheOf(au, 10)
		cache.Prefetch = true
		for range c.asks {
			cache.Query(t.Context(), question)
		}
		k.advance(c.a.TTL - time.Second)
		cache.Query(t.Context(), question)
		if n := cache.Stats().Prefetches; n != 0 {
			t.Errorf("%s: %d", name, n)
		}
	}
}

// A renewal that fails takes nothing away, and is not tried again and again.
func TestPrefetchFails(t *testing.T) {
	au := newAuthority(found("x", 100*time.Second))
	c, k := cacheOf(au, 10)
	c.Prefetch = true
	for range 5 {
		c.Query(t.Context(), question)
	}
	au.says.Store(&Answer{Outcome: ServFail})
	k.advance(95 * time.Second)
	for range 20 {
		expect(t, c.Query(t.Context(), question), Found, "x")
		time.Sleep(time.Millisecond)
	}
	if n := au.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
	k.advance(5 * time.Second)
	expect(t, c.Query(t.Context(), question), ServFail, "")
}

// Renewals are bounded: with no place left, who comes at the end waits as ever.
func TestPrefetchBounded(t *testing.T) {
	au := newAuthority(found("x", 100*time.Second))
	c, k := cacheOf(au, 2*maxAhead)
	c.Prefetch = true
	each := func() {
		for i := range 2 * maxAhead {
			c.Query(t.Context(), Question{fmt.Sprint(i), TXT})
		}
	}
	for range hotAsks + 1 {
		each()
	}
	au.delay = make(chan struct{})
	k.advance(95 * time.Second)
	each()
	each()
	if n := c.Stats().Prefetches; n != maxAhead {
		t.Errorf("%d at once, want %d", n, maxAhead)
	}
	close(au.delay)
}

// RFC 8020 section 2 (DN-5).
func TestNXDomainCut(t *testing.T) {
	src := &source{answer: func(_ context.Context, q Question) Answer {
		switch {
		case q.Name == "alias.x":
			return Answer{Outcome: NXDomain, Alias: "gone.example", TTL: time.Minute, Secure: true}
		case within(q.Name, "none.x"):
			return Answer{Outcome: NXDomain, TTL: time.Minute, Server: "s", Secure: true}
		case q.Name == "_domainkey.unsigned.x": // has no records, but names below it
			return Answer{Outcome: NXDomain, TTL: time.Minute}
		case q.Name == "s1._domainkey.unsigned.x":
			return Answer{Outcome: Found, TXT: []string{"v=DKIM1; p="}, TTL: time.Minute}
		}
		return Answer{Outcome: NoData, TTL: time.Minute}
	}}
	c, k := cacheOf(src, 100)
	c.Cut = true
	ask := func(name string, want Outcome, asked int64) {
		t.Helper()
		before := src.asked.Load()
		a := c.Query(t.Context(), Question{name, TXT})
		if a.Outcome != want || src.asked.Load()-before != asked {
			t.Errorf("%s: %s, asked %d times, want %s, %d", name, a.Outcome, src.asked.Load()-before, want, asked)
		}
		if asked == 0 && (!a.Cached || a.TTL > time.Minute || a.Err == nil || a.Server != "s") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	c.Query(t.Context(), Question{"none.x", MX})
	ask("none.x", NXDomain, 1) // another type of the name itself: RFC 4074 section 4.2
	ask("a.none.x", NXDomain, 0)
	ask("_dmarc.c.b.a.none.x", NXDomain, 0)
	ask("bnone.x", NoData, 1)
	ask("x", NoData, 1)
	ask("_domainkey.unsigned.x", NXDomain, 1)
	ask("s1._domainkey.unsigned.x", Found, 1) // not proven by DNSSEC: some servers deny empty non-terminals
	ask("alias.x", NXDomain, 1)
	ask("a.alias.x", NoData, 1) // the denial is of another name: RFC 6604
	k.advance(time.Minute)
	ask("a.none.x", NXDomain, 1)
	c.Cut = false
	ask("b.a.none.x", NXDomain, 1)
}
