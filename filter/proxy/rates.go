package proxy

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates bound how often one client network, an IPv4 address or an IPv6 /64, may
// do things.
type Rates struct {
	Connections Rate
	Messages    Rate // transactions
	Recipients  Rate // asked for, whether the MTA takes them or not
	Clients     int  // networks that are remembered; 50,000; who came least recently is forgotten
}

// Rate is so many events within a time: as many at once, then evenly spread. The
// zero value is no bound.
type Rate struct {
	Events int
	Per    time.Duration
}

// meter holds clients to a Rate. Its memory is bounded: a client that was
// forgotten begins anew.
type meter struct {
	rate Rate
	max  int
	now  func() time.Time

	mu      sync.Mutex
	recent  *list.List // of *bucket, the latest first
	clients map[netip.Prefix]*list.Element
}

type bucket struct {
	key    netip.Prefix
	tokens *rate.Limiter
}

func newMeter(r Rate, clients int, now func() time.Time) *meter {
	return &meter{
		rate: r, max: or(clients, 50_000), now: now,
		recent: list.New(), clients: map[netip.Prefix]*list.Element{},
	}
}

// allow counts one event of a client. False means that it is one too many.
// Clients without an address are not counted.
func (m *meter) allow(client netip.Addr) bool {
	key := clientKey(client)
	if m.rate.Events <= 0 || m.rate.Per <= 0 || !key.IsValid() {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bucket(key).tokens.AllowN(m.now(), 1)
}

func (m *meter) bucket(key netip.Prefix) *bucket {
	if e := m.clients[key]; e != nil {
		m.recent.MoveToFront(e)
		return e.Value.(*bucket)
	}
	if m.recent.Len() >= m.max {
		last := m.recent.Back()
		m.recent.Remove(last)
		delete(m.clients, last.Value.(*bucket).key)
	}
	every := rate.Limit(float64(m.rate.Events) / m.rate.Per.Seconds())
	b := &bucket{key, rate.NewLimiter(every, m.rate.Events)}
	m.clients[key] = m.recent.PushFront(b)
	return b
}
