package event

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Output carries lines to one place. Nobody who writes ever waits for it: lines
// queue, and one goroutine takes them there. What finds no room is dropped and
// counted. Where the place fails, what waits is tried again, after longer and
// longer pauses, until it works.
//
// A line leaves at most Delay after it was written, so that is what a crash can
// cost; the orderly end of the program costs nothing that Close has the time to
// bring out.
type Output struct {
	Name    string                         // of the configuration: label of the metric
	Limit   int                            // bytes that may wait, besides as many that are on their way; 4 MiB
	Delay   time.Duration                  // how long a line may wait for others to go with it; 50 ms
	Pause   time.Duration                  // after the first failure, doubled up to 128 times that; 100 ms
	Missed  func(output string, lines int) // told once there is room again how many found none; may be nil
	Changed func(output string, err error) // told when the place fails, and with nil when it works again; may be nil

	sink sink
	wake chan struct{}
	done chan struct{}

	mu      sync.Mutex
	queue   []byte // whole lines
	dropped uint64 // lines in all
	missed  int    // of these, not told yet
	failing error  // of the last attempt
	busy    bool   // lines are on their way
	hurry   bool   // somebody waits for Flush
	renew   bool   // before the next line
	closing bool
	gaveUp  bool
}

// sink is a place. Only one goroutine uses it.
type sink interface {
	// send takes lines, each with its line feed, and tells how many bytes of them
	// need not be sent again: whole lines.
	send(lines []byte) (int, error)
	// renew gives up what is open: a file that was moved away.
	renew()
	close()
}

// to begins to carry to a sink.
func (o *Output) to(s sink) *Output {
	o.sink, o.wake, o.done = s, make(chan struct{}, 1), make(chan struct{})
	o.Limit, o.Delay, o.Pause = or(o.Limit, 4<<20), or(o.Delay, 50*time.Millisecond), or(o.Pause, 100*time.Millisecond)
	go o.run()
	return o
}

func or[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// Write takes whole lines, or drops them. It never waits and does not keep the slice.
func (o *Output) Write(lines []byte) {
	o.mu.Lock()
	room := !o.closing && len(o.queue)+len(lines) <= o.Limit
	first := len(o.queue) == 0
	if room {
		o.queue = append(o.queue, lines...)
	} else {
		n := bytes.Count(lines, []byte{'\n'})
		o.missed += n
		o.dropped += uint64(n)
	}
	o.mu.Unlock()
	if room && (first || o.crowded()) {
		o.nudge()
	}
}

// enough lines go at once, without waiting for others.
const enough = 64 << 10

func (o *Output) crowded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.hurry || o.closing || len(o.queue) > enough
}

func (o *Output) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// State tells how many lines were dropped, and what is wrong with the place; nil
// where the last attempt went well.
func (o *Output) State() (dropped uint64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dropped, o.failing
}

// Reopen opens the place anew before the next line: after logrotate.
func (o *Output) Reopen() { o.ask(func() { o.renew = true }) }

func (o *Output) ask(change func()) {
	o.mu.Lock()
	change()
	o.mu.Unlock()
	o.nudge()
}

// Flush waits until all that was written by now is there, or for ctx.
func (o *Output) Flush(ctx context.Context) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		o.mu.Lock()
		idle, err := len(o.queue) == 0 && !o.busy, o.failing
		o.hurry = !idle
		o.mu.Unlock()
		if idle {
			return nil
		}
		o.nudge()
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("log output %s: lines are left", o.Name), err)
		case <-tick.C:
		}
	}
}

// Close takes no more lines, brings out what waits, and ends, at the latest with
// ctx: then what is left is lost, and counted as dropped.
func (o *Output) Close(ctx context.Context) error {
	o.ask(func() { o.closing = true })
	select {
	case <-o.done:
		return nil
	case <-ctx.Done():
	}
	var err error
	o.ask(func() {
		o.dropped += uint64(bytes.Count(o.queue, []byte{'\n'}))
		o.queue, o.gaveUp, err = nil, true, o.failing
	})
	return errors.Join(fmt.Errorf("log output %s: not all lines could be written", o.Name), err)
}

// run gathers, sends and tries again, until all is over.
func (o *Output) run() {
	defer close(o.done)
	defer o.sink.close()
	pause := o.Pause
	for batch := o.next(nil); batch != nil; {
		n, err := o.sink.send(batch)
		batch = batch[:copy(batch, batch[n:])]
		o.sent(len(batch) > 0, err)
		if err != nil {
			if n > 0 {
				pause = o.Pause
			}
			if !o.rest(pause) {
				return
			}
			pause = min(2*pause, 128*o.Pause)
			continue
		}
		pause = o.Pause
		if len(batch) == 0 {
			batch = o.next(batch)
		}
	}
}

// next waits for lines and takes all there are, into the memory of those before.
// nil says that all is over.
func (o *Output) next(batch []byte) []byte {
	for {
		o.reopened()
		o.mu.Lock()
		if len(o.queue) > 0 {
			batch, o.queue = o.queue, batch[:0]
			missed := o.missed
			o.busy, o.hurry, o.missed = true, false, 0
			o.mu.Unlock()
			if missed > 0 && o.Missed != nil {
				o.Missed(o.Name, missed)
			}
			return batch
		}
		closing := o.closing
		o.mu.Unlock()
		if closing {
			return nil
		}
		<-o.wake
		o.gather()
	}
}

func (o *Output) reopened() {
	o.mu.Lock()
	renew := o.renew
	o.renew = false
	o.mu.Unlock()
	if renew {
		o.sink.renew()
	}
}

// gather lets more lines come that go with the first, where they are few.
func (o *Output) gather() {
	late := time.NewTimer(o.Delay)
	defer late.Stop()
	for !o.crowded() {
		select {
		case <-late.C:
			return
		case <-o.wake:
		}
	}
}

func (o *Output) sent(left bool, err error) {
	o.mu.Lock()
	changed := (o.failing == nil) != (err == nil)
	o.busy, o.failing = left, err
	o.mu.Unlock()
	if changed && o.Changed != nil {
		o.Changed(o.Name, err)
	}
}

// rest waits before the next attempt; Reopen and Close end it early. It is false
// if there will be none.
func (o *Output) rest(pause time.Duration) bool {
	late := time.NewTimer(pause)
	defer late.Stop()
	for {
		o.mu.Lock()
		gaveUp, closing, renew := o.gaveUp, o.closing, o.renew
		o.mu.Unlock()
		if gaveUp || renew {
			o.reopened()
			return !gaveUp
		}
		if closing { // whose patience is short
			late.Reset(min(pause, o.Pause))
		}
		select {
		case <-late.C:
			return true
		case <-o.wake:
		}
	}
}
