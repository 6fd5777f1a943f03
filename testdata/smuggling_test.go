package testdata

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLoadShapes(t *testing.T) {
	shapes, err := LoadShapes(os.DirFS("."), "smuggling/shapes.txt")
	if err != nil || len(shapes) < 30 {
		t.Fatal(len(shapes), err)
	}
	names := map[string]bool{}
	for _, s := range shapes {
		if names[s.Name] || names[s.Octets] {
			t.Errorf("%s stands twice", s.Name)
		}
		names[s.Name], names[s.Octets] = true, true
	}
	s := Shape{Wants: [4]string{"550", "250=", "250", "250"}}
	for i, want := range []string{"550", "250=", "250", "250"} {
		if code, mark := s.Want(i >= 2, i%2 == 1); code+mark != want {
			t.Errorf("%d: %s%s", i, code, mark)
		}
	}
}

func TestLoadShapesRefuses(t *testing.T) {
	for line, complaint := range map[string]string{
		"x {inner} 250 250 250":       "x.txt:2: 5 columns",
		"x a 250 250 250 250":         "without {inner}",
		`x \q{inner} 250 250 250 250`: "not as in Go",
		"x {inner} 250 250 250 251":   "251: neither",
	} {
		_, err := LoadShapes(fstest.MapFS{"x.txt": {Data: []byte("# c\n" + line + "\n")}}, "x.txt")
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := LoadShapes(fstest.MapFS{}, "x.txt"); err == nil {
		t.Error("no file")
	}
}
