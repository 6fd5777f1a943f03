package metrics

import "sync"

// bounded keeps what belongs to each name of a configured set. The first max
// that come have series of their own, which stay; all others share "other".
type bounded[T any] struct {
	make func(name string) T
	drop func(name string)

	mu    sync.RWMutex
	max   int
	known map[string]T
	rest  T
}

func newBounded[T any](limit int, make func(string) T, drop func(string)) *bounded[T] {
	return &bounded[T]{make: make, drop: drop, max: limit, known: map[string]T{}, rest: make(other)}
}

// at gives what belongs to a name of the set.
func (b *bounded[T]) at(name string) T {
	b.mu.RLock()
	one, ok := b.known[name]
	full := len(b.known) >= b.max
	b.mu.RUnlock()
	switch {
	case ok:
		return one
	case full, name == other, name == none:
		return b.rest
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.add(name)
}

// add makes room for a name if there is some.
func (b *bounded[T]) add(name string) T {
	if one, ok := b.known[name]; ok {
		return one
	}
	if len(b.known) >= b.max {
		return b.rest
	}
	one := b.make(name)
	b.known[name] = one
	return one
}

// set takes over a new set of names: series of names that are not in it end, and
// where all have room, all get theirs at once, in the order that they come.
func (b *bounded[T]) set(limit int, names []string) {
	kept := map[string]bool{}
	for _, n := range names {
		kept[n] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.max = limit
	for n := range b.known {
		if !kept[n] {
			delete(b.known, n)
			b.drop(n)
		}
	}
	if len(kept) > limit {
		return
	}
	for _, n := range names {
		if n != other && n != none {
			b.add(n)
		}
	}
}
