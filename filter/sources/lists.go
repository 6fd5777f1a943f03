package sources

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sekimori/filter"
)

// ListOptions are what Lists are made of.
type ListOptions struct {
	Customers  string // directory that customers write; "": none
	Shared     string // directory of the operator's own lists; "": none
	MaxEntries int    // of one file
	MaxTotal   int    // of all files
	Interval   time.Duration

	Live *filter.Live
	Log  *slog.Logger
	Now  func() time.Time
}

// Lists keep the lists of a filter.Live as their files have them. A file is one
// list and touches no other.
type Lists struct {
	options ListOptions
	bells   *bells
	end     context.CancelFunc

	mu     sync.Mutex
	ended  bool
	files  map[string]*listFile // by path
	total  int                  // entries of all
	dirs   [2]directoryState    // of the operator, of customers
	notice map[string]bool      // names whose list in Live is to be set anew
}

// directoryState is how a directory stands.
type directoryState struct {
	err    error
	good   time.Time
	errors uint64
	logged string
}

// listFile is a file of lists.
type listFile struct {
	name     string // of the list
	shared   bool
	part     part // of it, info, since and settled
	list     *filter.List
	err      error
	failures uint64
	logged   string
}

// everybody is the file of the list that is asked for every recipient. Customers
// cannot write it: no customer is called so.
const (
	everybody     = "everybody.toml"
	everybodyName = "*"
	listEnding    = ".toml"
)

// NewLists reads all files; what is unchanged since before, which may be nil, is
// not read again, and what is wrong now stays as it was there. Nothing is in
// force yet.
func NewLists(o ListOptions, before *Lists) *Lists {
	l := &Lists{options: o, files: map[string]*listFile{}, notice: map[string]bool{}}
	if before != nil {
		before.mu.Lock()
		if before.options.Customers == o.Customers && before.options.Shared == o.Shared {
			for path, f := range before.files {
				again := *f
				l.files[path] = &again
				l.total += again.list.Len()
			}
		}
		for _, f := range before.files {
			l.notice[f.name] = true
		}
		before.mu.Unlock()
	}
	l.look(o.Now(), true)
	return l
}

// Start puts the lists in force, and whatever changes from now on, until Stop.
func (l *Lists) Start() {
	ctx, end := context.WithCancel(context.Background())
	l.end = end
	l.mu.Lock()
	for _, f := range l.files {
		l.notice[f.name] = true
	}
	l.publish()
	l.tell()
	l.mu.Unlock()
	if len(l.directories()) == 0 {
		return
	}
	var err error
	if l.bells, err = newBells(); err != nil {
		l.options.Log.Warn("the operating system does not tell of changed files: lists are looked at every interval only", "error", err.Error())
	}
	go l.bells.run(ctx)
	go l.follow(ctx)
}

// Stop ends the reading; what is in force stays.
func (l *Lists) Stop() {
	if l == nil || l.end == nil {
		return
	}
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.end()
}

func (l *Lists) directories() []string {
	var dirs []string
	for _, d := range []string{l.options.Customers, l.options.Shared} {
		if d != "" {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func (l *Lists) follow(ctx context.Context) {
	watch(ctx, l.bells, l.directories, l.options.Interval, nil, func(chan error) time.Duration {
		again := l.look(l.options.Now(), false)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ended {
			return 0
		}
		l.publish()
		l.tell()
		return again
	})
}

// look reads what has changed, the operator's lists first, so that no customer
// uses up what all may have together. It tells when to look again.
func (l *Lists) look(now time.Time, first bool) (again time.Duration) {
	for i, dir := range []string{l.options.Shared, l.options.Customers} {
		if dir == "" {
			continue
		}
		next, err := l.lookInto(dir, i == 0, now, first)
		again = max(again, next)
		l.mu.Lock()
		state := &l.dirs[i]
		if state.err = err; err != nil {
			state.errors++
		} else {
			state.good = now
		}
		l.mu.Unlock()
	}
	return again
}

func (l *Lists) lookInto(dir string, shared bool, now time.Time, first bool) (again time.Duration, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("a fault of ours: %v", fault)
		}
	}()
	// A root keeps symbolic links, which customers may make, within it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, within(dir, err)
	}
	defer root.Close()
	names, err := namesIn(root)
	if err != nil {
		return 0, within(dir, err)
	}
	seen := map[string]bool{}
	for _, file := range names {
		name, ok := listName(file, shared)
		if !ok {
			continue
		}
		at := rootPlace(root, file)
		seen[at.path] = true
		again = max(again, l.lookAt(at, name, shared, now, first))
	}
	l.forget(dir, seen)
	return again, nil
}

// listName is the name of the list that a file is; ok is false for other files.
func listName(file string, shared bool) (name string, ok bool) {
	if shared && file == everybody {
		return everybodyName, true
	}
	name, ok = strings.CutSuffix(file, listEnding)
	return name, ok && checkCustomer(name) == nil
}

// lookAt reads a file that has changed, once it has rested: half of a list may
// look like a whole one.
func (l *Lists) lookAt(at place, name string, shared bool, now time.Time, first bool) time.Duration {
	l.mu.Lock()
	f := l.files[at.path]
	if f == nil {
		f = &listFile{name: name, shared: shared}
		l.files[at.path] = f
	}
	l.mu.Unlock()
	info, err := at.stat()
	switch {
	case err != nil:
		l.take(f, nil, err)
		return 0
	case sameState(f.part.info, info) && f.part.settled:
		return 0
	case !sameState(f.part.info, info) && !(first && f.list == nil):
		l.rest(f, part{info: info, since: now})
		return settleTime
	case !first && now.Sub(f.part.since) < settleTime:
		return settleTime
	}
	t, err := at.read(context.Background())
	if err == nil && int64(len(t.data)) > l.fileLimit() {
		err = fmt.Errorf("is larger than %d bytes", l.fileLimit())
	}
	if err != nil {
		l.take(f, nil, err)
		return 0
	}
	l.rest(f, part{info: t.info, settled: true})
	list, err := l.parse(t.data)
	l.take(f, list, err)
	return 0
}

// rest notes as what a file was last seen.
func (l *Lists) rest(f *listFile, p part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.part = p
}

// fileLimit leaves a KiB for each entry.
func (l *Lists) fileLimit() int64 { return min(maxFile, 64<<10+int64(l.options.MaxEntries)<<10) }

func (l *Lists) parse(data []byte) (*filter.List, error) {
	entries, lines, err := parseListFile(data, l.options.MaxEntries)
	if err != nil {
		return nil, err
	}
	return newList(entries, lines)
}

// take has a file's list replaced, or leaves it as it was.
func (l *Lists) take(f *listFile, list *filter.List, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if total := l.total - f.list.Len() + list.Len(); err == nil && total > l.options.MaxTotal {
		err = fmt.Errorf("has %d entries, with which all lists have more than %d (lists.max_total)", list.Len(), l.options.MaxTotal)
	} else if err == nil {
		l.total, f.list = total, list
		l.notice[f.name] = true
	}
	if f.err = err; err != nil {
		f.failures++
	}
}

// forget takes away the lists of files that are gone.
func (l *Lists) forget(dir string, seen map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, f := range l.files {
		if filepath.Dir(path) == filepath.Clean(dir) && !seen[path] {
			l.total -= f.list.Len()
			l.notice[f.name] = true
			delete(l.files, path)
		}
	}
}

// publish sets the lists that have changed, and no other.
func (l *Lists) publish() {
	if len(l.notice) == 0 {
		return
	}
	now := map[string]*listFile{}
	for _, f := range l.files {
		if other := now[f.name]; other == nil || f.shared {
			now[f.name] = f
		}
	}
	for name := range l.notice {
		var list *filter.List
		if f := now[name]; f != nil {
			list = f.list
		}
		l.options.Live.SetList(name, list)
	}
	clear(l.notice)
}

// tell logs what is new about broken files and directories.
func (l *Lists) tell() {
	for path, f := range l.files {
		switch words := message(f.err); {
		case words != f.logged && words != "":
			l.options.Log.Error("a list is wrong; the entries from before stay", "file", path, "list", f.name, "error", words, "entries", f.list.Len())
			f.logged = words
		case words != f.logged:
			l.options.Log.Info("a list is right again", "file", path, "list", f.name, "entries", f.list.Len())
			f.logged = ""
		}
	}
	for i := range l.dirs {
		if words := message(l.dirs[i].err); words != l.dirs[i].logged {
			if l.dirs[i].logged = words; words != "" {
				l.options.Log.Error("a directory of lists cannot be read; the lists from before stay", "error", words)
			}
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Snapshot tells how the directories stand: "lists.shared", "lists.customers".
// Domains are entries. nil has none.
func (l *Lists) Snapshot() []Status {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Status
	for i, dir := range []string{l.options.Shared, l.options.Customers} {
		if dir == "" {
			continue
		}
		s := Status{Name: []string{"lists.shared", "lists.customers"}[i], Kind: "lists", Good: l.dirs[i].good, Errors: l.dirs[i].errors}
		broken := []error{l.dirs[i].err}
		for _, path := range slices.Sorted(maps.Keys(l.files)) {
			f := l.files[path]
			if f.shared != (i == 0) {
				continue
			}
			s.Domains += f.list.Len()
			s.Errors += f.failures
			if f.err != nil {
				broken = append(broken, within(path, f.err))
			}
		}
		broken = slices.DeleteFunc(broken, func(err error) bool { return err == nil })
		s.Problem = message(summary(broken))
		all = append(all, s)
	}
	return all
}
