package dns

import (
	"context"
	"slices"
	"sync/atomic"
)

// Memo keeps what readers have made of one answer's texts: a public key, a
// parsed record. It lives and dies with the answer in the cache, whose memory it
// is counted in. Safe for concurrent use; nil keeps nothing.
type Memo struct {
	kept  atomic.Pointer[[]any] // of each type one
	entry *entry
}

// Texts asks r for the texts at a name, and gives the memo beside them, which is
// nil where r is no Session or the answer is not kept.
func Texts(ctx context.Context, r interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}, name string) ([]string, *Memo, error) {
	s, ok := r.(*Session)
	if !ok {
		texts, err := r.LookupTXT(ctx, name)
		return texts, nil, err
	}
	a, err := s.lookup(ctx, name, TXT)
	return a.TXT, a.memo, err
}

// Remember gives the value of type T in the memo, or makes it. make must depend
// on nothing but the answer; its value is shared and must never be modified.
// bytes is the memory that the value holds beside the answer's own texts.
func Remember[T any](m *Memo, make func() (value *T, bytes int)) *T {
	if m == nil {
		value, _ := make()
		return value
	}
	if value := recall[T](m.kept.Load()); value != nil {
		return value
	}
	value, bytes := make()
	for {
		old := m.kept.Load()
		if other := recall[T](old); other != nil {
			return other // somebody was faster
		}
		all := []any{value}
		if old != nil {
			all = append(slices.Clip(*old), value)
		}
		if !m.entry.room(bytes) {
			return value
		}
		if m.kept.CompareAndSwap(old, &all) {
			m.entry.grow(bytes)
			return value
		}
	}
}

func recall[T any](all *[]any) *T {
	if all == nil {
		return nil
	}
	for _, one := range *all {
		if value, ok := one.(*T); ok {
			return value
		}
	}
	return nil
}
