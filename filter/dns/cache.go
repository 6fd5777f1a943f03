package dns

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

const (
	failureTTL = 5 * time.Second // RFC 2308 section 7 allows up to five minutes
	// unitBytes of data count as one more entry, so that maxEntries bounds
	// memory too, whatever is published.
	unitBytes = 1 << 10
)

// Cache remembers another Source's answers for their TTL, failures for five
// seconds. A question that is being asked is not asked twice: all wait for the
// one answer, which comes and stays even if those who wanted it have left.
//
// Answers are shared: their slices must not be modified.
type Cache struct {
	Source      Source
	Now         func() time.Time // the clock; time.Now
	LoadTimeout time.Duration    // of one question to Source; 15 s

	capacity int
	mu       sync.Mutex
	entries  map[Question]*list.Element // of entry
	recent   *list.List                 // the last used in front
	used     int
	loads    map[Question]*load
}

type entry struct {
	question Question
	answer   Answer
	expires  time.Time
	units    int
}

// load is one question on its way to the Source.
type load struct {
	done   chan struct{}
	answer Answer
	panic  error
}

// NewCache remembers at most maxEntries answers of usual size; one of more than
// 1 KiB counts as several.
func NewCache(s Source, maxEntries int) *Cache {
	return &Cache{
		Source:   s,
		capacity: max(1, maxEntries),
		entries:  map[Question]*list.Element{},
		recent:   list.New(),
		loads:    map[Question]*load{},
	}
}

// Query answers from memory, else waits for the Source as long as ctx lasts. A
// panic of the Source reaches all who wait.
func (c *Cache) Query(ctx context.Context, q Question) Answer {
	q.Name = canonical(q.Name)
	a, l := c.find(q)
	if l == nil {
		return a
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return Answer{Outcome: Timeout, Err: context.Cause(ctx)}
	}
	if l.panic != nil {
		panic(l.panic)
	}
	return l.answer
}

// find gives the remembered answer, or the load that will bring one.
func (c *Cache) find(q Question) (Answer, *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[q]; ok {
		e := el.Value.(*entry)
		if left := e.expires.Sub(c.now()); left > 0 {
			c.recent.MoveToFront(el)
			a := e.answer
			a.TTL, a.Cached = left, true
			return a, nil
		}
		c.drop(el)
	}
	l, ok := c.loads[q]
	if !ok {
		l = &load{done: make(chan struct{})}
		c.loads[q] = l
		go c.load(q, l)
	}
	return Answer{}, l
}

// load asks with a time of its own: the first who asked may leave while others
// wait.
func (c *Cache) load(q Question, l *load) {
	defer close(l.done)
	defer func() {
		if p := recover(); p != nil {
			l.panic = fmt.Errorf("%v\n%s", p, debug.Stack())
		}
		c.settle(q, l)
	}()
	timeout := c.LoadTimeout
	if timeout <= 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	l.answer = c.Source.Query(ctx, q)
}

// settle ends a load and remembers its answer.
func (c *Cache) settle(q Question, l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loads, q)
	if lifetime := lifetime(l.answer); l.panic == nil && lifetime > 0 {
		c.remember(&entry{q, l.answer, c.now().Add(lifetime), units(q, l.answer)})
	}
}

func (c *Cache) remember(e *entry) {
	if e.units > c.capacity {
		return
	}
	c.entries[e.question] = c.recent.PushFront(e)
	c.used += e.units
	for c.used > c.capacity {
		c.drop(c.recent.Back())
	}
}

func (c *Cache) drop(el *list.Element) {
	e := c.recent.Remove(el).(*entry)
	delete(c.entries, e.question)
	c.used -= e.units
}

func (c *Cache) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// lifetime is how long an answer is remembered.
func lifetime(a Answer) time.Duration {
	switch a.Outcome {
	case Found:
		return min(a.TTL, maxTTL)
	case NXDomain, NoData:
		return min(a.TTL, maxNegativeTTL)
	case ServFail, Refused, Timeout:
		return failureTTL
	case Malformed:
		if !errors.Is(a.Err, ErrName) { // those cost nothing to answer again
			return failureTTL
		}
	}
	return 0
}

// units is what an answer weighs.
func units(q Question, a Answer) int {
	const perRecord = 32 // the slices' own size
	n := len(q.Name) + perRecord*(len(a.TXT)+len(a.Addrs)+len(a.MX)+len(a.Names))
	for _, s := range a.TXT {
		n += len(s)
	}
	for _, mx := range a.MX {
		n += len(mx.Host)
	}
	for _, s := range a.Names {
		n += len(s)
	}
	return 1 + n/unitBytes
}
