package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxFile bounds a configuration file in bytes.
const MaxFile = 4 << 20

// Check is a further condition that only the program can know, such as whether
// a file can be read. Its problems name a Key; Load and Parse find the place.
type Check func(Config) []Problem

// Load reads a file. A file that cannot be read is an error that wraps the
// cause; one that is wrong is an *Error. Either way the Config is empty.
func Load(path string, checks ...Check) (Config, error) {
	data, err := read(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, data, checks...)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	return data, errors.Join(err, f.Close())
}

// Parse reads a file's content over the defaults. name is the file's, for the
// error, which is an *Error with all problems: of syntax, of keys and types, of
// values and how they go together, and those that checks find.
func Parse(name string, data []byte, checks ...Check) (Config, error) {
	if p, bad := unreadable(data); bad {
		return Config{}, &Error{File: name, Problems: []Problem{p}}
	}
	c := Default()
	d := newDecoder(bytes.TrimPrefix(data, []byte(byteOrderMark)), &c)
	d.document()
	d.inherit(&c)
	d.semantics(c, checks)
	if len(d.faults) > 0 {
		return Config{}, &Error{File: name, Problems: d.problems(), More: d.more}
	}
	return c, nil
}

// byteOrderMark of UTF-8, which some editors write (RFC 3629 section 6).
const byteOrderMark = "\uFEFF"

// unreadable tells what no TOML parser should see: TOML is UTF-8 by definition.
func unreadable(data []byte) (Problem, bool) {
	switch {
	case len(data) > MaxFile:
		return Problem{Message: fmt.Sprintf("the file is larger than %v", Size(MaxFile))}, true
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return Problem{Message: "the file is UTF-16; save it as UTF-8"}, true
	case utf8.Valid(data):
		return Problem{}, false
	}
	i := 0
	for {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return Problem{Message: fmt.Sprintf("byte 0x%02x is not UTF-8", data[i])}.at(data, span{i, i + 1}), true
		}
		i += n
	}
}

// semantics adds what is wrong with values that were read well.
func (d *decoder) semantics(c Config, checks []Check) {
	for _, p := range checkFields(&c) {
		d.semantic(p, p.Key)
	}
	// How keys go together cannot be judged while some could not be read.
	if d.broken || d.more {
		return
	}
	for _, q := range conflicts(&c) {
		if !d.faulty[q.other] {
			d.semantic(q.Problem, q.other)
		}
	}
	for _, check := range checks {
		for _, p := range check(c) {
			d.semantic(p, p.Key)
		}
	}
}

// semantic notes a problem of a key that has none yet, at its value or, where
// the file does not set it, at that of the other key.
func (d *decoder) semantic(p Problem, other string) {
	if d.faulty[p.Key] {
		return
	}
	s, ok := d.values[p.Key]
	if !ok {
		s, ok = d.values[other]
	}
	if !ok {
		s, ok = d.tableOf(p.Key)
	}
	if !ok {
		s.start = nowhere
	}
	d.fault(p.Key, s, "%s", p.Message)
}

// tableOf is where the table of a key begins that is not set in it.
func (d *decoder) tableOf(key string) (span, bool) {
	path := key[:max(0, strings.LastIndexByte(key, '.'))]
	if m, seen := d.marks[path]; seen {
		return m.at, true
	}
	s, ok := d.values[path]
	return s, ok
}

// problems in the order of the file; those without a place come last.
func (d *decoder) problems() []Problem {
	slices.SortStableFunc(d.faults, func(a, b fault) int { return cmp.Compare(a.span.start, b.span.start) })
	var all []Problem
	for _, f := range d.faults {
		if f.span.start != nowhere {
			f.Problem = f.at(d.doc, f.span)
		}
		all = append(all, f.Problem)
	}
	return all
}
