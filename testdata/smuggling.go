package testdata

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Shape is one way to hide a second message within a first one.
type Shape struct {
	Name   string
	Octets string    // in the body; {inner} stands for the hidden transaction
	Wants  [4]string // of DATA that rejects and normalizes, and of BDAT likewise
}

// Want gives what is to become of it: a code and perhaps "=", as told in the file.
func (s Shape) Want(chunked, normalize bool) (code, mark string) {
	i := 0
	if chunked {
		i = 2
	}
	if normalize {
		i++
	}
	return s.Wants[i][:3], s.Wants[i][3:]
}

// LoadShapes reads a file of shapes.
func LoadShapes(fsys fs.FS, name string) ([]Shape, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	var shapes []Shape
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := readShape(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n+1, err)
		}
		shapes = append(shapes, s)
	}
	return shapes, nil
}

func readShape(f []string) (Shape, error) {
	if len(f) != 6 {
		return Shape{}, fmt.Errorf("%d columns instead of 6", len(f))
	}
	octets, err := strconv.Unquote(`"` + f[1] + `"`)
	if err != nil || strings.Count(octets, "{inner}") != 1 {
		return Shape{}, fmt.Errorf("%s: not as in Go, or without {inner}", f[1])
	}
	s := Shape{Name: f[0], Octets: octets, Wants: [4]string(f[2:])}
	for _, w := range s.Wants {
		if w != "250" && w != "550" && w != "250=" {
			return Shape{}, fmt.Errorf("%s: neither 250, 250= nor 550", w)
		}
	}
	return s, nil
}
