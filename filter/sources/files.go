package sources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// content is what a look at a source found.
type content struct {
	found   owners        // all of it; where a part is broken, what that had before
	changed bool          // since the last look
	told    []string      // wrong lines
	broken  error         // why found is not what the source has now; with found nil, nothing is known of it
	again   time.Duration // somebody is writing: look again then; 0: no need
}

// reader looks at a source. Its looks follow one another.
type reader interface {
	look(ctx context.Context, now time.Time) content
	// watched lists directories in which a change may be one of the source.
	watched() []string
}

// place is one file as it is found now.
type place struct {
	path     string
	customer string
	stat     func() (fs.FileInfo, error)
	read     func(ctx context.Context) (text, error)
}

// files reads sources that are files: lists, tables, directories.
type files struct {
	parse    parser
	places   func() ([]place, func(), error) // the second gives back what reading needs
	dirs     func() []string
	parts    map[string]*part
	last     owners
	lastTold []string
}

func (f *files) watched() []string { return f.dirs() }

func (f *files) look(ctx context.Context, now time.Time) content {
	all, done, err := f.places()
	defer done()
	if err != nil {
		return content{found: f.last, told: f.lastTold, broken: err}
	}
	var c content
	gone := maps.Clone(f.parts)
	first := f.parts == nil
	if first {
		f.parts = map[string]*part{}
	}
	var broken []error
	for _, at := range all {
		p := f.parts[at.path]
		if p == nil {
			p = &part{}
			f.parts[at.path] = p
		}
		delete(gone, at.path)
		c.changed = p.look(ctx, at, f.parse, now, first) || c.changed
		if p.err != nil {
			broken = append(broken, within(at.path, p.err))
		}
		if p.found != nil && !p.settled || errors.Is(p.err, errWriting) {
			c.again = settleTime
		}
	}
	for path := range gone {
		delete(f.parts, path)
		c.changed = true
	}
	if c.changed || first {
		if f.last, f.lastTold, err = f.combine(all); err != nil {
			broken = append(broken, err)
		}
	}
	c.found, c.told, c.broken = f.last, f.lastTold, summary(broken)
	return c
}

// look reads the part if it must; true if what it has is another than before.
func (p *part) look(ctx context.Context, at place, parse parser, now time.Time, first bool) bool {
	info, err := at.stat()
	if err == nil && !p.stale(info, now) {
		return false
	}
	before := p.found
	var t text
	if err == nil {
		t, err = at.read(ctx)
	}
	if err != nil {
		p.fail(err)
	} else {
		p.take(t, parse, at.customer, now, first)
	}
	return !maps.Equal(before, p.found)
}

// combine puts the parts together, in their order. A domain in two of them
// belongs to the customer that is named first.
func (f *files) combine(all []place) (owners, []string, error) {
	if len(all) == 1 {
		p := f.parts[all[0].path]
		return p.found, prefixed(all[0].path, p.told), nil
	}
	var found owners
	var told []string
	for _, at := range all {
		p := f.parts[at.path]
		told = append(told, prefixed(at.path, p.told)...)
		if p.found == nil {
			continue
		}
		if found == nil {
			found = owners{}
		}
		told = append(told, merge(found, p.found, at.path)...)
		if len(found) > maxDomains {
			return f.last, f.lastTold, errTooMany
		}
	}
	return found, firstOf(told), nil
}

// merge adds what more has, and tells of domains whose customer is another one
// there: always of the same ones, so that it need not be told again.
func merge(found, more owners, name string) (told []string) {
	var twice []string
	for d, customer := range more {
		owner, known := found[d]
		switch {
		case !known || owner == "":
			found[d] = customer
		case customer != "" && customer != owner:
			twice = append(twice, d)
		}
	}
	slices.Sort(twice)
	for _, d := range firstOf(twice) {
		told = append(told, fmt.Sprintf("%s: %s is of the customer %s already, not of %s", name, d, found[d], more[d]))
	}
	return told
}

func prefixed(path string, told []string) []string {
	var all []string
	for _, s := range told {
		all = append(all, path+": "+s)
	}
	return all
}

// summary is one error of many: of ten thousand files the first few are told.
func summary(all []error) error {
	if n := len(all); n > maxTold {
		all = append(all[:maxTold:maxTold], fmt.Errorf("and %d more", n-maxTold))
	}
	var words []string
	for _, err := range all {
		words = append(words, err.Error())
	}
	if len(words) == 0 {
		return nil
	}
	return errors.New(strings.Join(words, "; "))
}

// newFiles reads lists and files of panels, each path a file or a pattern.
func newFiles(s Source) *files {
	return &files{
		parse:  parserOf(s.Kind),
		places: func() ([]place, func(), error) { all, err := expand(s.Paths); return all, func() {}, err },
		dirs:   func() []string { return directoriesOf(s.Paths) },
	}
}

func expand(paths []string) ([]place, error) {
	var all []place
	for _, path := range paths {
		if !isPattern(path) {
			all = append(all, filePlace(path))
			continue
		}
		names, err := filepath.Glob(path)
		switch {
		case err != nil:
			return nil, within(path, err)
		case len(names) == 0:
			return nil, fmt.Errorf("%s: no file is called so", path)
		case len(names) > maxFiles:
			return nil, fmt.Errorf("%s: more than %d files are called so", path, maxFiles)
		}
		for _, name := range names {
			all = append(all, filePlace(name))
		}
	}
	return all, nil
}

func isPattern(path string) bool { return strings.ContainsAny(path, "*?[") }

func filePlace(path string) place {
	return place{
		path: path,
		stat: func() (fs.FileInfo, error) { return os.Stat(path) },
		read: func(context.Context) (text, error) {
			return readFile(func(flags int) (*os.File, error) { return os.OpenFile(path, flags, 0) })
		},
	}
}

// directoriesOf are those of the paths, and those that symbolic links lead to.
func directoriesOf(paths []string) []string {
	var dirs []string
	for _, path := range paths {
		matches := []string{path}
		if isPattern(path) {
			dirs = append(dirs, filepath.Dir(path))
			matches, _ = filepath.Glob(path)
		}
		for _, name := range matches {
			dirs = append(dirs, filepath.Dir(name))
			if real, err := filepath.EvalSymlinks(name); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
