package sources

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// settleTime is how long a file must rest before its last line counts without a
// line end, and before it is read a last time: the clock of a file system ticks
// slower than programs write.
const settleTime = 700 * time.Millisecond

// part is one file of a source, or one table.
type part struct {
	info    fs.FileInfo // as it was when read; nil: never
	since   time.Time   // when it was first seen like that
	settled bool        // it was read after settleTime
	found   owners      // of the last time that it was right
	rested  owners      // of the last time that it was right and settled
	told    []string    // its wrong lines
	err     error       // why found is not of now
}

// text is what a file or a table has now.
type text struct {
	info fs.FileInfo
	data []byte
}

var errWriting = errors.New("is being written")

// readFile reads a regular file whole. open is one of os.OpenFile's kind: what
// stands in a file's place may be anything, so that opening must not wait.
func readFile(open func(flags int) (*os.File, error)) (t text, err error) {
	f, err := open(os.O_RDONLY | syscall.O_NONBLOCK)
	if err != nil {
		return text{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if t.info, err = f.Stat(); err != nil {
		return text{}, err
	}
	if !t.info.Mode().IsRegular() {
		return text{}, errors.New("is no file")
	}
	if t.info.Size() > maxFile {
		return text{}, errTooLarge
	}
	if t.data, err = io.ReadAll(io.LimitReader(f, maxFile+1)); err != nil {
		return text{}, err
	}
	after, err := f.Stat()
	if err == nil && (!sameState(t.info, after) || int64(len(t.data)) != after.Size()) {
		err = errWriting
	}
	return t, err
}

// sameState: as far as can be told, nobody has written between the two.
func sameState(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// whole leaves out the piece of a line at the end of a text that may still be
// going on.
func whole(data []byte) []byte { return data[:bytes.LastIndexByte(data, '\n')+1] }

// stale tells whether a part must be read for what stat says of it now.
func (p *part) stale(info fs.FileInfo, now time.Time) bool {
	return !sameState(p.info, info) || !p.settled && now.Sub(p.since) >= settleTime
}

// take parses what was read. first is the reading of a start, which cannot wait.
func (p *part) take(t text, parse parser, customer string, now time.Time, first bool) {
	if !sameState(p.info, t.info) {
		p.info, p.since, p.settled = t.info, now, false
	} else if now.Sub(p.since) >= settleTime {
		p.settled = true
	}
	if !p.settled && !first {
		t.data = whole(t.data)
	}
	c := newCollector(customer)
	err := parse(t.data, c)
	if err == nil {
		err = c.verdict()
	}
	if p.err = err; err != nil {
		p.found = p.rested
		return
	}
	p.found, p.told = c.found, c.told
	if p.settled || first {
		p.rested = p.found
	}
}

// fail keeps what the part had before it was touched: what was read while somebody
// wrote was not the whole of it.
func (p *part) fail(err error) {
	p.info, p.settled = nil, false
	p.found, p.err = p.rested, err
}

// within names the file that an error is about, once.
func within(path string, err error) error {
	var named *fs.PathError
	if errors.As(err, &named) {
		return fmt.Errorf("%s: %w", path, named.Err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
