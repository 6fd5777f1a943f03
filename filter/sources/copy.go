package sources

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// copies keeps the last good state of each source in a directory, so that a
// start finds what was protected when a source is broken then. "" keeps none.
type copies string

// Lines of a copy: its head names the source that it is of, its end tells that
// it is whole.
const (
	copyHead = "# sekimori, the domains of a source: "
	copyEnd  = "# end: "
)

func (dir copies) path(name string) string { return filepath.Join(string(dir), name+".list") }

// mark tells sources apart that are called the same.
func mark(s Source) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s.identity())))[:32] }

// load gives what save has kept of the same source; nil if there is none.
func (dir copies) load(s Source) (owners, error) {
	if dir == "" {
		return nil, nil
	}
	t, err := readFile(func(flags int) (*os.File, error) {
		return os.OpenFile(dir.path(s.Name), flags|syscall.O_NOFOLLOW, 0)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, rest, _ := bytes.Cut(t.data, []byte("\n"))
	if string(head) != copyHead+mark(s) {
		return nil, nil
	}
	c := newCollector("")
	if err := parseList(rest, c); err != nil || c.bad > 0 || !bytes.HasSuffix(rest, fmt.Appendf(nil, "%s%d\n", copyEnd, len(c.found))) {
		return nil, errors.New("the copy is damaged")
	}
	return c.found, nil
}

// save replaces the copy of a source at once or not at all.
func (dir copies) save(s Source, all owners) (err error) {
	if dir == "" {
		return nil
	}
	f, err := os.CreateTemp(string(dir), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, copyHead+mark(s))
	for _, d := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintln(w, strings.TrimSpace(d+" "+all[d]))
	}
	fmt.Fprintf(w, "%s%d\n", copyEnd, len(all))
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), dir.path(s.Name))
}

// open makes the directory and tries it.
func (dir copies) open() error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(string(dir), 0o750); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(dir), ".new-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
