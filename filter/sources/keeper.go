package sources

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/filter"
)

// Options are what a Keeper is made of.
type Options struct {
	Inline  []string // domains of the configuration
	Sources []Source // in the order in which they name customers

	Copies       string        // directory of the last good copies; "": none are kept
	RemovalDelay time.Duration // what a source has no more stays protected for so long

	Postmap Postmap
	Live    *filter.Live
	Log     *slog.Logger
	Now     func() time.Time
}

// Keeper keeps the protected domains of a filter.Live as its sources have them.
type Keeper struct {
	options Options
	copies  copies
	inline  owners
	members []*member
	bells   *bells
	end     context.CancelFunc

	saving sync.Mutex // one copy at a time, none after Stop

	mu        sync.Mutex // what the members have
	ended     bool
	conflicts string // as last logged
}

// Open reads all sources. What a broken one had is taken over from before, which
// may be nil, or from its copy. An error tells of all that are broken with
// nothing known of them: nothing would protect what is theirs. Nothing is
// published yet, and before goes on.
func Open(ctx context.Context, o Options, before *Keeper) (*Keeper, error) {
	if len(o.Sources) > 0 {
		if err := copies(o.Copies).open(); err != nil {
			return nil, fmt.Errorf("the directory of the last good copies (protected.state_directory): %w", err)
		}
	}
	return Look(ctx, o, before)
}

// Look is Open without a trace: it only reads.
func Look(ctx context.Context, o Options, before *Keeper) (*Keeper, error) {
	k := &Keeper{options: o, copies: copies(o.Copies), inline: owners{}}
	for _, s := range o.Inline {
		d, err := Domain(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quote(s), err)
		}
		k.inline[d] = ""
	}
	faults := make([]error, len(o.Sources))
	var all sync.WaitGroup
	for i, s := range o.Sources {
		m := &member{source: s, reader: newReader(s, o.Postmap), asked: make(chan chan error)}
		k.members = append(k.members, m)
		all.Go(func() { faults[i] = k.begin(ctx, m, before) })
	}
	all.Wait()
	return k, errors.Join(faults...)
}

// begin reads a source for the first time.
func (k *Keeper) begin(ctx context.Context, m *member, before *Keeper) error {
	had, bad := before.known(m.source), error(nil)
	if had == nil {
		had, bad = k.copies.load(m.source)
	}
	m.begin(had)
	c := m.look(ctx, k.options.Now())
	m.take(c, k.options.Now(), k.options.RemovalDelay)
	if m.had != nil {
		return nil
	}
	return errors.Join(fmt.Errorf("source %s is broken, and nothing is known of what it had: %w", m.source.Name, m.problem), bad)
}

// known is what the keeper has of a source that is read from the same place.
func (k *Keeper) known(s Source) owners {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.members {
		if m.source.Name == s.Name && m.source.same(s) {
			return m.base
		}
	}
	return nil
}

// Start publishes what was read, and whatever changes from now on, until Stop.
func (k *Keeper) Start() {
	ctx, end := context.WithCancel(context.Background())
	k.end = end
	k.mu.Lock()
	k.publish()
	for _, m := range k.members {
		k.tell(m, true)
	}
	k.mu.Unlock()
	var err error
	if k.bells, err = newBells(); err != nil && len(k.members) > 0 {
		k.options.Log.Warn("the operating system does not tell of changed files: sources are looked at every interval only", "error", err.Error())
	}
	go k.bells.run(ctx)
	for _, m := range k.members {
		k.save(m)
		go k.follow(ctx, m)
	}
}

// Stop ends the reading and the publishing; what is published stays. It does not
// wait for a file system or a database that does not answer.
func (k *Keeper) Stop() {
	if k == nil || k.end == nil {
		return
	}
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.saving.Lock() // what is being written is written
	defer k.saving.Unlock()
	k.end()
}

// tellAgain is how often what stays broken is told.
const tellAgain = time.Hour

func (k *Keeper) follow(ctx context.Context, m *member) {
	watch(ctx, k.bells, m.reader.watched, m.source.Interval, m.asked, func(answer chan error) time.Duration {
		return k.once(ctx, m, answer)
	})
}

// once looks at a source and publishes what is new. It tells when to look again.
func (k *Keeper) once(ctx context.Context, m *member, answer chan error) time.Duration {
	now := k.options.Now()
	c := m.look(ctx, now)
	k.mu.Lock()
	if k.ended || ctx.Err() != nil {
		k.mu.Unlock()
		return 0
	}
	changed := m.take(c, now, k.options.RemovalDelay)
	var err error
	if answer != nil {
		before := len(m.had)
		err = m.confirm()
		changed = changed || len(m.had) != before
	}
	if changed {
		k.publish()
	}
	if answer != nil {
		answer <- err // who asked finds it in force
	}
	k.tell(m, changed)
	again := m.again
	k.mu.Unlock()
	if changed {
		k.save(m)
	}
	return again
}

// publish puts together what all sources have.
func (k *Keeper) publish() {
	all := make(owners, len(k.inline))
	merge(all, k.inline, "")
	var told []string
	for _, m := range k.members {
		told = append(told, merge(all, m.had, "source "+m.source.Name)...)
	}
	domains, err := filter.NewDomains(all)
	if err != nil {
		k.options.Log.Error("the protected domains stay as they were", "error", err.Error())
		return
	}
	k.options.Live.SetDomains(domains)
	if words := strings.Join(told, "; "); words != k.conflicts {
		if k.conflicts = words; words != "" {
			k.options.Log.Warn("sources name different customers for a domain: the first in the configuration holds", "domains", firstOf(told))
		}
	}
}

// save keeps a copy. Without it all goes on.
func (k *Keeper) save(m *member) {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	had, ended := m.base, k.ended
	k.mu.Unlock()
	if ended {
		return // the copy is a later keeper's now
	}
	if err := k.copies.save(m.source, had); err != nil {
		k.options.Log.Warn("the copy of a source could not be written: if the source is broken at the next start, sekimori will not start", "source", m.source.Name, "error", err.Error())
	}
}

// tell logs what is new about a source, and now and then what stays broken.
func (k *Keeper) tell(m *member, changed bool) {
	log := k.options.Log.With("source", m.source.Name)
	if changed {
		log.Info("the domains of a source have changed", "domains", len(m.had), "leaving", m.leaving)
		if len(m.had) == 0 {
			log.Warn("a source names no domain, so it protects nothing", "paths", m.source.Paths)
		}
	}
	if words := strings.Join(m.told, "; "); words != m.loggedTold {
		if m.loggedTold = words; words != "" {
			log.Warn("lines of a source are wrong and were left out", "lines", m.told)
		}
	}
	now := k.options.Now()
	switch {
	case m.problem != nil && (m.problem.Error() != m.logged || now.Sub(m.loggedAt) >= tellAgain):
		m.logged, m.loggedAt = m.problem.Error(), now
		log.Error("a source of protected domains is broken; what it had stays protected, nothing new is", "error", m.logged, "domains", len(m.had))
	case m.problem == nil && m.logged != "":
		m.logged = ""
		log.Info("a source of protected domains is right again", "domains", len(m.had))
	}
}

// Accept lets go what a source has lost, though it be more than half. An error
// says why not. It waits for somebody who is writing the source.
func (k *Keeper) Accept(ctx context.Context, name string) error {
	i := slices.IndexFunc(k.members, func(m *member) bool { return m.source.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no source %s", quote(name))
	}
	for {
		err := k.ask(ctx, k.members[i])
		if ctx.Err() != nil {
			return fmt.Errorf("source %s is being written or read, which takes long: %w", name, ctx.Err())
		}
		if err != errUnsettled {
			return err
		}
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
		}
	}
}

// ask has the follower of a source look at it and confirm what is missing.
func (k *Keeper) ask(ctx context.Context, m *member) error {
	answer := make(chan error, 1)
	select {
	case m.asked <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Snapshot tells how all sources stand, in the order of the configuration. nil
// has none.
func (k *Keeper) Snapshot() []Status {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []Status
	for _, m := range k.members {
		all = append(all, m.status())
	}
	return all
}
