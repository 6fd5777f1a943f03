package sources

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// bells ring when something has changed in a directory. They are a help, not a
// promise: of network file systems, bind mounts and overlays nothing is heard, so
// that whoever listens looks by himself now and then.
type bells struct {
	watcher *fsnotify.Watcher // nil: nothing is heard

	mu   sync.Mutex
	ears map[string]map[chan struct{}]bool // by directory
}

// newBells also tells why nothing will be heard, if so.
func newBells() (*bells, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		w = nil
	}
	return &bells{watcher: w, ears: map[string]map[chan struct{}]bool{}}, err
}

// listen has a channel with room for one rung for changes in directories. It is
// called again and again: a directory may have been replaced by another one of
// the same name.
func (b *bells) listen(dirs []string, ear chan struct{}) {
	if b.watcher == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, dir := range dirs {
		dir = filepath.Clean(dir)
		if b.watcher.Add(dir) != nil {
			continue // it is not there: looking will tell
		}
		if b.ears[dir] == nil {
			b.ears[dir] = map[chan struct{}]bool{}
		}
		b.ears[dir][ear] = true
	}
}

// run rings until ctx ends.
func (b *bells) run(ctx context.Context) {
	if b.watcher == nil {
		return
	}
	defer b.watcher.Close()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-b.watcher.Events:
			if !ok {
				return
			}
			b.ring(filepath.Dir(e.Name))
			b.ring(filepath.Clean(e.Name)) // a directory that goes itself
		case _, ok := <-b.watcher.Errors: // events were lost
			if !ok {
				return
			}
			b.ringAll()
		}
	}
}

func (b *bells) ring(dir string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for ear := range b.ears[dir] {
		ringOne(ear)
	}
}

func (b *bells) ringAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ears := range b.ears {
		for ear := range ears {
			ringOne(ear)
		}
	}
}

func ringOne(ear chan struct{}) {
	select {
	case ear <- struct{}{}:
	default:
	}
}

// Times of a watch.
const (
	firstPause = 100 * time.Millisecond // from a change to the look
	longPause  = time.Second            // at most, between two looks of which each takes long
)

// watch has look called at once, whenever something may have changed in the
// directories, every interval, and for who asks, until ctx ends. look tells when
// to look again, 0 if there is no need. Under a storm of changes it takes at most
// a sixth of a processor.
func watch(ctx context.Context, b *bells, dirs func() []string, every time.Duration, asked chan chan error, look func(answer chan error) time.Duration) {
	ear := make(chan struct{}, 1)
	b.listen(dirs(), ear)
	poll := time.NewTicker(every)
	defer poll.Stop()
	pause, at := firstPause, time.Now().Add(firstPause) // what has changed since the first reading is not missed
	due := time.NewTimer(pause)
	defer due.Stop()
	for {
		var answer chan error
		select {
		case <-ctx.Done():
			return
		case <-ear:
			if soon := time.Now().Add(pause); soon.Before(at) {
				at = soon
				due.Reset(pause)
			}
			continue
		case answer = <-asked:
		case <-poll.C:
		case <-due.C:
		}
		start := time.Now()
		again := look(answer)
		b.listen(dirs(), ear)
		pause = min(max(firstPause, 5*time.Since(start)), longPause)
		if again == 0 {
			again = time.Hour // the next poll comes before
		}
		at = time.Now().Add(max(again, pause))
		due.Reset(max(again, pause))
	}
}
