package dns

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// checkShards holds the books of a cache against what is there.
func checkShards(t *testing.T, c *Cache) {
	t.Helper()
	for _, s := range c.shards {
		n, bytes := 0, int64(0)
		var last *entry
		for e := s.oldest; e != nil; last, e = e, e.newer {
			if e.older != last || s.entries[e.question] != e || !e.linked {
				t.Fatalf("%s is not where it should be", e.question)
			}
			n, bytes = n+1, bytes+e.bytes
		}
		if last != s.newest || n != len(s.entries) || bytes != s.used || s.used > s.capacity || len(s.loads) != 0 {
			t.Fatalf("%d in order, %d in the map, %d bytes of %d counted, %d are allowed, %d loads", n, len(s.entries), bytes, s.used, s.capacity, len(s.loads))
		}
	}
}

// text answers each TXT question with its name, or so many bytes where the name says "big".
func text(_ context.Context, q Question) Answer {
	size := 1
	if strings.HasPrefix(q.Name, "big") {
		size = 2 * entryBytes
	}
	return Answer{Outcome: Found, TXT: []string{strings.Repeat("x", size)}, TTL: time.Hour}
}

// Memory is bounded; what is in use stays.
func TestCacheEvicts(t *testing.T) {
	c, _ := cacheOf(&source{answer: text}, 4)
	cached := func(name string) bool { return c.Query(t.Context(), Question{name, TXT}).Cached }
	for _, name := range []string{"a", "b", "c", "d"} {
		cached(name)
	}
	if !cached("a") || !cached("c") || !cached("d") {
		t.Error("four answers do not fit into four")
	}
	cached("e") // in place of b
	if !cached("a") || !cached("c") || !cached("d") || !cached("e") {
		t.Error("the wrong one went")
	}
	cached("big")
	checkShards(t, c)
	if n := len(c.shards[0].entries); n > 2 || !cached("big") {
		t.Errorf("%d entries beside a big one", n)
	}
	if s := c.Stats(); s.Evictions == 0 || s.Entries != len(c.shards[0].entries) || s.Bytes != c.shards[0].used {
		t.Errorf("%+v", s)
	}
	c.shards[0].capacity = 2 * entryBytes
	cached("big2") // does not fit and puts nobody out
	if !cached("big") {
		t.Error("an answer that does not fit put out another")
	}
	for i := range 1000 {
		cached(fmt.Sprint(i))
		checkShards(t, c)
	}
}

// A scan of names that nobody asks for again does not put out what is in use.
func TestCacheWithstandsScans(t *testing.T) {
	c, _ := cacheOf(&source{answer: text}, 100)
	for i := range 5000 {
		hot := Question{fmt.Sprint("hot", i%20), TXT}
		if a := c.Query(t.Context(), hot); i >= 20 && !a.Cached {
			t.Fatalf("%s was put out at step %d", hot, i)
		}
		c.Query(t.Context(), Question{fmt.Sprint("scan", i), TXT})
	}
	checkShards(t, c)
}

// The bytes that are counted are those of the heap, more or less.
func TestCacheMemory(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	records := records(t, `q.x. 60 TXT "v=spf1 ip4:192.0.2.0/24 include:_spf.example.com -all"`)
	c := NewCache(&source{answer: func(_ context.Context, q Question) Answer {
		on := newChain(Question{"q.x", TXT})
		a, _ := on.read(answerTo(questionOf(t, q), 0, records))
		a.TTL = time.Hour
		return a
	}}, 16<<20)
	before := heap()
	for i := range 60_000 {
		c.Query(t.Context(), Question{fmt.Sprint("name", i, ".example.com"), TXT})
	}
	grown, counted := heap()-before, c.Stats().Bytes
	if c.Stats().Evictions == 0 {
		t.Error("the cache is not full")
	}
	if grown > counted*5/4 || grown < counted/2 {
		t.Errorf("the heap has grown by %d bytes, %d are counted", grown, counted)
	}
	runtime.KeepAlive(c)
}

func TestCacheShards(t *testing.T) {
	for bytes, want := range map[int64]int{0: 1, 1000: 1, 2 << 20: 2, 64 << 20: 64, 1 << 40: 64} {
		c := NewCache(nil, bytes)
		if len(c.shards) != want || c.shards[0].capacity != bytes/int64(want) {
			t.Errorf("%d bytes: %d shards of %d", bytes, len(c.shards), c.shards[0].capacity)
		}
	}
	s := &source{answer: text}
	c := NewCache(s, 64<<20)
	for round := range 2 {
		for i := range 1000 {
			if a := c.Query(t.Context(), Question{fmt.Sprint(i), TXT}); a.Cached != (round == 1) {
				t.Fatalf("round %d: %d cached %v", round, i, a.Cached)
			}
		}
	}
	checkShards(t, c)
}

// FuzzCache plays with names, types and time: no answer is of another question,
// none is beyond its TTL unless it says so, and then only after a failure.
func FuzzCache(f *testing.F) {
	f.Add(uint64(1), uint64(2), true)
	f.Add(uint64(3), uint64(4), false)
	f.Fuzz(func(t *testing.T, a, b uint64, prefetch bool) {
		r := rand.New(rand.NewPCG(a, b))
		k := &clock{}
		failing := false
		given := map[Question]time.Time{} // when it was last answered by the source
		src := &source{answer: func(_ context.Context, q Question) Answer {
			if failing {
				return Answer{Outcome: ServFail}
			}
			given[q] = k.now()
			if q.Name[0] == 'n' {
				return Answer{Outcome: NXDomain, Secure: true, TTL: time.Duration(1+len(q.Name)) * time.Second}
			}
			return Answer{Outcome: Found, TXT: []string{q.String()}, TTL: time.Duration(1+len(q.Name)) * time.Second}
		}}
		c := NewCache(src, int64(1+r.IntN(20))*entryBytes)
		c.Now, c.Stale, c.Cut = k.now, 20*time.Second, true
		names := []string{"a", "bb.a", "n", "nn", "x.nn", "ccc", "y.x.nn", "aaaaaaaaaaaaa"}
		for range 300 {
			failing = r.IntN(3) == 0
			k.advance(time.Duration(r.IntN(4)) * time.Second)
			q := Question{names[r.IntN(len(names))], []Type{TXT, MX}[r.IntN(2)]}
			a := c.Query(t.Context(), q)
			age, ttl := k.now().Sub(given[q]), time.Duration(1+len(q.Name))*time.Second
			switch {
			case a.Outcome == Found && a.TXT[0] != q.String():
				t.Fatalf("%s was answered with %s", q, a.TXT[0])
			case a.Outcome == Found && a.Stale == "" && age >= ttl:
				t.Fatalf("%s: %v old, TTL %v", q, age, ttl)
			case a.Stale != "" && (a.Outcome != Found || age < ttl || age >= ttl+c.Stale || a.TTL != staleTTL):
				t.Fatalf("%s is stale: %+v, %v old, TTL %v", q, a, age, ttl)
			case a.Outcome == NXDomain && q.Name[0] != 'n' && !strings.HasSuffix(q.Name, "nn"):
				t.Fatalf("%s does not exist", q)
			case a.Outcome == ServFail && a.Cached == false && !failing:
				t.Fatalf("%s: a failure from nowhere", q)
			}
		}
		checkShards(t, c)
	})
}
