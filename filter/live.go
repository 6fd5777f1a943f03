package filter

import (
	"sync"
	"sync/atomic"
)

// Live is what changes while a Filter lives: the protected domains and the
// lists. One is shared by all Filters, those of before a reload too. Safe for
// concurrent use; a message is judged by what stands at its beginning. nil and
// the zero value protect nothing.
type Live struct {
	domains atomic.Pointer[Domains]

	mu    sync.RWMutex
	lists map[string]*List
}

// SetDomains replaces the protected domains.
func (l *Live) SetDomains(d *Domains) { l.domains.Store(d) }

// Domains gives the protected domains; nil if there are none.
func (l *Live) Domains() *Domains {
	if l == nil {
		return nil
	}
	return l.domains.Load()
}

// EverybodysList is the name of the list that belongs to all: it is asked for every
// recipient, after his own lists, and holds senders for all protected domains.
const EverybodysList = "*"

// SetList replaces one list; nil takes it away. A list is called as its owner: a
// customer, as Domains tells him, or a tenant; or as a policy's key "lists" has it.
func (l *Live) SetList(name string, list *List) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list == nil {
		delete(l.lists, name)
		return
	}
	if l.lists == nil {
		l.lists = map[string]*List{}
	}
	l.lists[name] = list
}

// List gives the list of a name; nil, which has no entries, if there is none.
func (l *Live) List(name string) *List {
	if l == nil {
		return nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lists[name]
}
