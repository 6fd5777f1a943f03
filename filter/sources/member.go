package sources

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// member is a source with what it had.
type member struct {
	source Source
	reader reader
	asked  chan chan error // for Accept

	had       owners        // what is protected in its name; never changed, only replaced
	base      owners        // of that, what the source had before it lost more than half
	fresh     owners        // what the source has now
	since     time.Time     // when it began to have that
	leaving   int           // of had, what fresh has no more
	problem   error         // why had is not what the source has
	told      []string      // wrong lines
	good      time.Time     // when it was last found right
	errors    uint64        // looks that found it broken
	again     time.Duration // when to look again; 0: no need
	unsettled bool          // somebody is writing

	logged     string // of problem
	loggedAt   time.Time
	loggedTold string
}

// newReader makes the reader of a source's kind.
func newReader(s Source, postmap Postmap) reader {
	switch s.Kind {
	case Postfix:
		return newTables(s, postmap)
	case Directory:
		return newDirectories(s)
	case SQL:
		return &query{source: s}
	}
	return newFiles(s)
}

// look reads the source. A fault of ours costs nothing but the news.
func (m *member) look(ctx context.Context, now time.Time) (c content) {
	defer func() {
		if fault := recover(); fault != nil {
			c = content{broken: fmt.Errorf("a fault of ours: %v", fault)}
		}
	}()
	return m.reader.look(ctx, now)
}

// errShrunk is of a source that is whole, but not believed.
type errShrunk struct {
	name      string
	kept, had int
}

func (e errShrunk) Error() string {
	return fmt.Sprintf("has only %d of its %d domains left, all of which stay protected. If that is right, run: sekimori reload --accept %s", e.kept, e.had, e.name)
}

// take decides what a look means: true if what is protected has changed. What is
// new holds at once. What is missing is let go when the source has been without
// it, and else unchanged, for so long: a list that is being written anew has only
// its beginning. What has lost more than half is not believed before Accept.
func (m *member) take(c content, now time.Time, delay time.Duration) bool {
	defer func() {
		if m.problem != nil {
			m.errors++
		}
	}()
	m.problem, m.again, m.told, m.unsettled = c.broken, c.again, c.told, c.again > 0
	if c.found == nil {
		return false
	}
	if c.broken == nil {
		m.good = now
	}
	if c.changed || m.fresh == nil {
		m.since = now
	}
	before := m.had
	m.fresh = c.found
	lost := missing(m.base, m.fresh)
	kept := len(m.base) - lost
	switch {
	case lost == 0:
		m.accept()
	case 2*kept < len(m.base):
		if m.had = union(m.base, m.fresh); m.problem == nil {
			m.problem = errShrunk{m.source.Name, kept, len(m.base)}
		}
	case now.Sub(m.since) >= delay:
		m.accept()
	default:
		m.had = union(m.base, m.fresh)
		m.base = m.had
		m.again = soonest(m.again, delay-now.Sub(m.since))
	}
	m.leaving = missing(m.had, m.fresh)
	return before == nil || !maps.Equal(before, m.had)
}

// begin starts with what is known from before; nil: nothing.
func (m *member) begin(had owners) { m.had, m.base = had, had }

func (m *member) accept() { m.had, m.base, m.leaving = m.fresh, m.fresh, 0 }

var errUnsettled = errors.New("is being written")

// confirm is an operator's word that what is missing is to go.
func (m *member) confirm() error {
	var shrunk errShrunk
	switch {
	case m.problem != nil && !errors.As(m.problem, &shrunk):
		return fmt.Errorf("source %s is broken, and what is missing in it is not let go: %w", m.source.Name, m.problem)
	case m.fresh == nil:
		return fmt.Errorf("source %s was not read yet", m.source.Name)
	case m.unsettled:
		return errUnsettled
	}
	m.accept()
	m.problem = nil
	return nil
}

// missing counts what the one has and the other has not.
func missing(had, fresh owners) int {
	n := 0
	for d := range had {
		if _, ok := fresh[d]; !ok {
			n++
		}
	}
	return n
}

// union is had with what fresh has and says otherwise; had itself if that is
// nothing.
func union(had, fresh owners) owners {
	all, own := had, false
	for d, customer := range fresh {
		if owner, known := had[d]; known && owner == customer {
			continue
		}
		if !own {
			all, own = maps.Clone(had), true
		}
		all[d] = customer
	}
	return all
}

func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// Status is how a source stands.
type Status struct {
	Name    string
	Kind    Kind
	Domains int       // protected in its name
	Leaving int       // of them, what the source has no more
	Problem string    // why these are not what the source has; "" if they are
	Lines   []string  // the first lines that are wrong in it
	Good    time.Time // when the source was last found right; zero: never in this process
	Errors  uint64    // looks that found it broken
}

func (m *member) status() Status {
	s := Status{Name: m.source.Name, Kind: m.source.Kind, Domains: len(m.had), Leaving: m.leaving, Lines: m.told, Good: m.good, Errors: m.errors}
	if m.problem != nil {
		s.Problem = m.problem.Error()
	}
	return s
}
