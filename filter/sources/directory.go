package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// newDirectories reads directories with a list for each customer, who is called
// as the file.
func newDirectories(s Source) *files {
	return &files{
		parse:  parseList,
		places: func() ([]place, func(), error) { return customersIn(s.Paths) },
		dirs:   func() []string { return slices.Clone(s.Paths) },
	}
}

func customersIn(dirs []string) (all []place, done func(), err error) {
	var roots []*os.Root
	done = func() {
		for _, r := range roots {
			_ = r.Close()
		}
	}
	for _, dir := range dirs {
		// A root keeps symbolic links, which customers may make, within it.
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, done, within(dir, err)
		}
		roots = append(roots, root)
		names, err := namesIn(root)
		if err != nil {
			return nil, done, within(dir, err)
		}
		for _, name := range names {
			if customer, ok := customerOf(name); ok {
				at := rootPlace(root, name)
				at.customer = customer
				all = append(all, at)
			}
		}
	}
	return all, done, nil
}

// namesIn lists a directory in order.
func namesIn(root *os.Root) ([]string, error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(maxFiles + 1)
	if errors.Is(err, io.EOF) {
		err = nil // it is empty
	}
	if len(names) > maxFiles {
		err = fmt.Errorf("has more than %d files", maxFiles)
	}
	slices.Sort(names)
	return names, errors.Join(err, d.Close())
}

// customerOf takes the name of a list apart. What editors and package managers
// leave behind is no list.
func customerOf(name string) (customer string, ok bool) {
	for _, end := range []string{"~", ".swp", ".tmp", ".bak", ".old", ".orig", ".rpmnew", ".rpmsave", ".dpkg-dist", ".dpkg-old", ".dpkg-new"} {
		if strings.HasSuffix(name, end) {
			return "", false
		}
	}
	for _, end := range []string{".txt", ".list", ".domains"} {
		if cut, found := strings.CutSuffix(name, end); found {
			name = cut
			break
		}
	}
	return name, checkCustomer(name) == nil
}

func rootPlace(root *os.Root, name string) place {
	return place{
		path: filepath.Join(root.Name(), name),
		stat: func() (fs.FileInfo, error) { return root.Stat(name) },
		read: func(context.Context) (text, error) {
			return readFile(func(flags int) (*os.File, error) { return root.OpenFile(name, flags, 0) })
		},
	}
}
