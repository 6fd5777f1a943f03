package main

import (
	"io"
	"log/slog"
	"sync/atomic"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/event"
)

// logbook is the log of one process: where the lines of messages and those of
// the program come together. The nil one swallows all.
type logbook struct {
	level  slog.LevelVar
	format atomic.Pointer[event.Format]
	write  func(line []byte)
}

func newLogbook(write func(line []byte)) *logbook {
	b := &logbook{write: write}
	b.format.Store(&event.Format{})
	return b
}

// lines writes to w, one after the other.
func lines(w io.Writer) func([]byte) {
	return func(line []byte) { _, _ = w.Write(line) }
}

// logger takes what happens to the program.
func (b *logbook) logger() *slog.Logger {
	return slog.New(event.NewHandler(func() event.Format { return *b.format.Load() }, &b.level, b.write))
}

// message writes the line of one message.
func (b *logbook) message(r filter.Record) {
	if b == nil || b.level.Level() > slog.LevelInfo && r.Err == "" && r.Verdict.Fault == "" {
		return
	}
	b.write(b.format.Load().Message(make([]byte, 0, 4<<10), &r))
}

// set takes over what a configuration says.
func (b *logbook) set(cfg config.Config) {
	if b == nil {
		return
	}
	_ = b.level.UnmarshalText([]byte(cfg.Log.Level)) // config allows no other words
	name, _ := hostname(cfg)                         // "" where there is none: the door says so
	b.format.Store(&event.Format{Host: name})
}

// newLog is a log of the program alone.
func newLog(w io.Writer, level string) *slog.Logger {
	b := newLogbook(lines(w))
	_ = b.level.UnmarshalText([]byte(level))
	return b.logger()
}
