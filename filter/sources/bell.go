package sources

import (
	"context"
	"path/filepath"
	"sync"

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
