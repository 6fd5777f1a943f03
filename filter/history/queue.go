package history

import "sync"

// queue holds rows that wait to be written, bounded by their bytes.
type queue struct {
	arrived chan struct{} // has one when there is something new

	mu    sync.Mutex
	rows  []entry
	bytes int64
	limit int64
	ended bool // no more will come
}

const defaultQueue = 64 << 20

func (q *queue) resize(limit int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = limit
}

// put is false where there is no room.
func (q *queue) put(e entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := q.limit
	if limit <= 0 {
		limit = defaultQueue
	}
	if q.bytes+e.bytes > limit {
		return false
	}
	q.rows = append(q.rows, e)
	q.bytes += e.bytes
	wake(q.arrived)
	return true
}

// head gives the oldest n rows, which stay.
func (q *queue) head(n int) []entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.rows))
	return q.rows[:n:n]
}

// done takes the oldest n rows away.
func (q *queue) done(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range n {
		q.bytes -= q.rows[i].bytes
		q.rows[i] = entry{} // for the garbage collector
	}
	q.rows = q.rows[n:]
	if len(q.rows) == 0 {
		q.rows = nil
	}
}

func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	wake(q.arrived)
}

func (q *queue) size() (rows int, bytes int64, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.rows), q.bytes, q.ended
}
