package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/event"
	"sekimori/filter/metrics"
)

// logbook is the log of one process: where the lines of messages and those of
// the program come together, on their way to the outputs. The nil one swallows
// all.
type logbook struct {
	out, err io.Writer // the program's own
	level    slog.LevelVar
	sheet    atomic.Pointer[sheet]
}

// sheet is what one configuration says. Immutable.
type sheet struct {
	format  event.Format
	privacy *filter.Privacy
	outputs []output
}

// output is one with all that its configuration is made of, so that one that has
// not changed stays.
type output struct {
	*event.Output
	made string
}

func newLogbook(out, errs io.Writer) *logbook {
	b := &logbook{out: out, err: errs}
	b.sheet.Store(&sheet{})
	return b
}

// logger takes what happens to the program.
func (b *logbook) logger() *slog.Logger {
	return slog.New(event.NewHandler(func() event.Format { return b.sheet.Load().format }, &b.level, b.write))
}

func (b *logbook) write(line []byte) {
	for _, o := range b.sheet.Load().outputs {
		o.Write(line)
	}
}

// masked is the Record as log and history may have it.
func (b *logbook) masked(r filter.Record) filter.Record {
	if b == nil {
		return r
	}
	return b.sheet.Load().privacy.Mask(r)
}

// message writes the line of one message.
func (b *logbook) message(r filter.Record) {
	if b == nil || b.level.Level() > slog.LevelInfo && r.Err == "" && r.Verdict.Fault == "" {
		return
	}
	b.write(b.sheet.Load().format.Message(make([]byte, 0, 4<<10), &r))
}

// turn makes the sheet of a configuration, which put puts in force. On an error
// nothing has changed.
func (b *logbook) turn(cfg config.Config) (*sheet, error) {
	if b == nil {
		return nil, nil
	}
	privacy, err := newPrivacy(cfg.Log)
	if err != nil {
		return nil, err
	}
	name, _ := hostname(cfg) // "" where there is none: the door says so
	next := &sheet{format: event.Format{Host: name}, privacy: privacy}
	for _, entry := range cfg.Log.Outputs {
		o, err := b.open(cfg.Log, name, entry)
		if err != nil {
			next.close(b.sheet.Load())
			return nil, fmt.Errorf("log.outputs: %w", err)
		}
		next.outputs = append(next.outputs, o)
	}
	return next, nil
}

func (b *logbook) put(next *sheet, cfg config.Config) {
	if b == nil {
		return
	}
	_ = b.level.UnmarshalText([]byte(cfg.Log.Level)) // config allows no other words
	last := b.sheet.Swap(next)
	go last.close(next)
}

// closeTime is what outputs get to bring out what waits.
const closeTime = 5 * time.Second

// close ends the outputs that another sheet does not have.
func (p *sheet) close(but *sheet) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	ended := make(chan error, len(p.outputs))
	n := 0
	for _, o := range p.outputs {
		if but == nil || !but.has(o) {
			n++
			go func() { ended <- o.Close(ctx) }()
		}
	}
	var all []error
	for range n {
		all = append(all, <-ended)
	}
	return errors.Join(all...)
}

func (p *sheet) has(o output) bool {
	for _, mine := range p.outputs {
		if mine.Output == o.Output {
			return true
		}
	}
	return false
}

// reopen is for logrotate.
func (b *logbook) reopen() {
	if b == nil {
		return
	}
	for _, o := range b.sheet.Load().outputs {
		o.Reopen()
	}
}

// flush waits until all is written, a little while.
func (b *logbook) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	for _, o := range b.sheet.Load().outputs {
		_ = o.Flush(ctx)
	}
}

// close brings out what waits. What could not be written anywhere is said where
// people look last.
func (b *logbook) close() {
	if b == nil {
		return
	}
	if err := b.sheet.Swap(&sheet{}).close(nil); err != nil {
		newLog(b.err, "info").Error("lines of the log were lost at the end", "error", err.Error())
	}
}

func (b *logbook) states() []metrics.Log {
	if b == nil {
		return nil
	}
	var all []metrics.Log
	for _, o := range b.sheet.Load().outputs {
		dropped, err := o.State()
		all = append(all, metrics.Log{Output: o.Name, Up: err == nil, Dropped: dropped})
	}
	return all
}

// newPrivacy reads the key anew, so that a reload takes a changed one.
func newPrivacy(c config.Log) (*filter.Privacy, error) {
	var key []byte
	if c.PersonalKey != "" {
		var err error
		if key, err = os.ReadFile(c.PersonalKey); err != nil {
			return nil, fmt.Errorf("log.personal_key: %w", err)
		}
	}
	p, err := filter.NewPrivacy(filter.Personal(c.Personal), key)
	if err != nil {
		return nil, fmt.Errorf("log.personal_key: %w", err)
	}
	return p, nil
}

// newLog is a log of the program alone, written line by line.
func newLog(w io.Writer, level string) *slog.Logger {
	var l slog.LevelVar
	_ = l.UnmarshalText([]byte(level))
	return slog.New(event.NewHandler(func() event.Format { return event.Format{} }, &l, func(line []byte) { _, _ = w.Write(line) }))
}
