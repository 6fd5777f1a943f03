package mail

import (
	"errors"
	"sync/atomic"
)

// ErrBudget is the cause of a *SpoolError when a Budget has nothing left.
var ErrBudget = errors.New("the budget of all messages together is used up")

// Budget is a number of bytes that many messages share. What one takes it gives
// back when it is closed. Safe for concurrent use; a nil Budget has no limit and
// counts nothing.
type Budget struct {
	total atomic.Int64
	used  atomic.Int64
}

// NewBudget makes one of so many bytes.
func NewBudget(total int64) *Budget {
	b := &Budget{}
	b.total.Store(total)
	return b
}

// Resize sets the total; what is taken stays taken, even where that is more.
func (b *Budget) Resize(total int64) { b.total.Store(total) }

// Total is what can be taken in all.
func (b *Budget) Total() int64 { return b.total.Load() }

// Used is what is taken now.
func (b *Budget) Used() int64 { return b.used.Load() }

// Take takes n bytes, or none and tells so.
func (b *Budget) Take(n int64) bool { return b.take(n, 0) }

// takeSpare takes n bytes of what is not kept for those who cannot do without:
// a quarter of all.
func (b *Budget) takeSpare(n int64) bool { return b == nil || b.take(n, b.total.Load()/4) }

func (b *Budget) take(n, kept int64) bool {
	if b == nil {
		return true
	}
	for {
		used := b.used.Load()
		if n > b.total.Load()-kept-used {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// Give gives n bytes back.
func (b *Budget) Give(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}

// Room tells whether a message that begins now would find what it cannot do
// without. It takes nothing.
func (b *Budget) Room() bool {
	return b == nil || b.total.Load()-b.used.Load() >= firstBlock+smallFileBlock
}
