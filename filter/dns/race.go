package dns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// race is one question that is put to servers: to the best first, and to the
// next as well when an answer takes longer than it mostly does. The first good
// answer ends it.
type race struct {
	client  *Client
	on      *chain
	order   []*server // the best first
	runners []runner  // beside order
	ends    chan try
	running int
	turn    int // of turns through order, one after the other
}

// runner is one server's part in a race.
type runner struct {
	running bool
	start   time.Time
	said    Answer // the last failure; an empty Outcome before
}

// try is how one try ended.
type try struct {
	at     int
	answer Answer
	more   bool
	step   chain
	panic  any
}

// ask runs a race. Later turns are for servers that were silent; what a server
// said once it would say again.
func (c *Client) ask(ctx context.Context, on *chain) (Answer, bool) {
	order := c.ranked()
	r := &race{client: c, on: on, order: order, runners: make([]runner, len(order)), ends: make(chan try, len(order)*c.attempts())}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.probe(ctx)
	r.next(ctx)
	late := time.NewTimer(r.order[0].delay())
	defer late.Stop()
	for r.running > 0 {
		select {
		case t := <-r.ends:
			if r.over(t) {
				*on = t.step
				return t.answer, t.more
			}
			if ctx.Err() == nil {
				r.next(ctx)
			}
		case <-late.C:
			if at := r.next(ctx); at >= 0 {
				late.Reset(r.order[at].delay())
			}
		}
	}
	return r.worst(), false
}

// ranked gives the servers, the best first.
func (c *Client) ranked() []*server {
	all := c.servers()
	if len(all) == 1 {
		return all
	}
	all = slices.Clone(all)
	ranks := make(map[*server]int, len(all))
	for _, s := range all {
		ranks[s] = s.rank()
	}
	slices.SortStableFunc(all, func(a, b *server) int { return cmp.Compare(ranks[a], ranks[b]) })
	return all
}

// next starts the server whose turn it is; -1 if that is none's now. Whose try
// still runs has the turn until it ends.
func (r *race) next(ctx context.Context) int {
	for r.turn < len(r.order)*r.client.attempts() {
		at := r.turn % len(r.order)
		switch said := r.runners[at].said.Outcome; {
		case r.runners[at].running:
			return -1
		case said != "" && said != Timeout:
			r.turn++
			continue
		}
		r.turn++
		r.start(ctx, at)
		return at
	}
	return -1
}

func (r *race) start(ctx context.Context, at int) {
	r.running++
	r.runners[at].running, r.runners[at].start = true, time.Now()
	step := *r.on
	go func() {
		t := try{at: at, step: step}
		defer func() {
			if p := recover(); p != nil {
				t.panic = fmt.Errorf("%v\n%s", p, debug.Stack())
			}
			r.ends <- t
		}()
		t.answer, t.more = r.client.try(ctx, r.order[at], &t.step)
	}()
}

// probe asks a silent server too whose time has come. Nobody waits for it, and it
// goes on when the race is over: what it says is for its health alone.
func (r *race) probe(ctx context.Context) {
	now := time.Now()
	for _, s := range r.order[1:] {
		if !s.due(now) {
			continue
		}
		step := *r.on
		ctx := context.WithoutCancel(ctx)
		go func() {
			defer func() { _ = recover() }() // as of all that is nobody's question
			r.client.try(ctx, s, &step)
		}()
	}
}

// over takes the end of a try; true: it decides. A panic is the caller's.
func (r *race) over(t try) bool {
	if t.panic != nil {
		panic(t.panic)
	}
	r.running--
	one := &r.runners[t.at]
	one.running = false
	if t.more || conclusive(t.answer.Outcome) {
		r.outrun(time.Since(one.start))
		return true
	}
	one.said = t.answer
	return false
}

// outrun notes servers that had much more time than the winner and were silent.
// Where a domain's own name servers are slow, all are, and none is blamed.
func (r *race) outrun(winner time.Duration) {
	now := time.Now()
	for i, one := range r.runners {
		if one.running && now.Sub(one.start) > 2*winner+leastDelay/2 {
			r.order[i].unanswered(now)
		}
	}
}

// worst is the failure that tells most, with what every server said, in the
// operator's order.
func (r *race) worst() (a Answer) {
	var all []string
	for _, s := range r.client.servers() {
		said := r.runners[slices.Index(r.order, s)].said
		if said.Err != nil {
			all = append(all, said.Server+": "+said.Err.Error())
		}
		if telling(said.Outcome) > telling(a.Outcome) {
			a = said
		}
	}
	a.Err = errors.New(strings.Join(all, "; "))
	return a
}
