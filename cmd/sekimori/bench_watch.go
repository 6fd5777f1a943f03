package main

import (
	"fmt"
	"io"
	"time"
)

// watch looks at a load while it runs: it remembers the peak and tells people
// from time to time that it goes on.
type watch struct {
	tally  *tally
	inside bool // the proxy is in this process
	out    io.Writer
	peak   usage
	done   chan struct{}
	ended  chan struct{}
}

const (
	watchEvery = 250 * time.Millisecond
	tellEvery  = 10 * time.Second
)

func startWatch(t *tally, inside bool, out io.Writer) *watch {
	w := &watch{tally: t, inside: inside, out: out, done: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

// stop gives the peak.
func (w *watch) stop() usage {
	close(w.done)
	<-w.ended
	return w.peak
}

func (w *watch) run() {
	defer close(w.ended)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	began, told := time.Now(), time.Now()
	for {
		var now usage
		if w.inside {
			now = currentUsage()
			w.peak = w.peak.max(now)
		}
		if time.Since(told) >= tellEvery {
			told = time.Now()
			w.tell(time.Since(began), now)
		}
		select {
		case <-w.done:
			return
		case <-tick.C:
		}
	}
}

func (w *watch) tell(since time.Duration, now usage) {
	messages, accepted := w.tally.sofar()
	fmt.Fprintf(w.out, "%s: %d messages, %d accepted", since.Round(time.Second), messages, accepted)
	if w.inside {
		fmt.Fprintf(w.out, "; memory %s, %d goroutines, %d files", octets(now.RSS), now.Goroutines, now.Files)
	}
	fmt.Fprintln(w.out)
}
