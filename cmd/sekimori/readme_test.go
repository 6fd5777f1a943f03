package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekimori/filter"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every test that the README leans on exists.
func TestREADMENamesRealTests(t *testing.T) {
	tests := testNames(t)
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(readme(t), -1)
	if len(named) < 30 {
		t.Errorf("only %d tests are named", len(named))
	}
	for _, n := range named {
		if !tests[n[1]] {
			t.Errorf("there is no %s", n[1])
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, d := range src.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Every reason stands in the README's table of decisions, and every command in
// its table of commands.
func TestREADMETellsAll(t *testing.T) {
	text := readme(t)
	for _, r := range filter.Reasons() {
		if !strings.Contains(text, "| `"+string(r)+"` |") {
			t.Errorf("the README's table of decisions lacks %s", r)
		}
	}
	for _, c := range newRoot().Commands() {
		if !strings.Contains(text, "| `sekimori "+c.Name()) {
			t.Errorf("the README's table of commands lacks %s", c.Name())
		}
	}
}
