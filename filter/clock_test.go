package filter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Seconds of the wall clock are for what the standards write in them. What is
// measured or waited for is the difference of two readings of the monotonic
// clock, which time.Now has in it, so that a jump of the clock of day moves no
// timeout, no rate and no age.
func TestWallClock(t *testing.T) {
	allowed := map[string]string{
		"filter/spf/evaluation.go":       "%{t}, RFC 7208 section 7.3",
		"filter/dkim/signature.go":       "t= and x=, RFC 6376 section 3.5",
		"filter/list.go":                 "a day that people write into a list",
		"filter/metrics/metrics.go":      "a time for people",
		"cmd/sekimori/health_figures.go": "Unix times that metrics tell",
		"filter/history/row.go":          "a time that is kept",
		"filter/proxy/conn.go":           "a deadline that is over",
		"filter/dns/exchange.go":         "a deadline that is over",
	}
	for _, root := range []string{"../filter", "../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			name := filepath.ToSlash(strings.TrimPrefix(path, "../"))
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || allowed[name] != "" {
				return err
			}
			src, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			for _, call := range wallClock(src) {
				t.Errorf("%s calls %s: measure with time.Since", name, call)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestWallClockFinds(t *testing.T) {
	src, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
import "time"
func f(a time.Time) int64 { return a.UnixNano() - time.Now().Round(0).Unix() + int64(time.Since(a)) }
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := wallClock(src); len(got) != 3 {
		t.Errorf("3 were planted, found %q", got)
	}
}

// wallClock lists calls that throw the monotonic reading away.
func wallClock(src *ast.File) []string {
	var found []string
	ast.Inspect(src, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch name := sel.Sel.Name; name {
		case "Unix", "UnixNano", "UnixMilli", "UnixMicro":
			found = append(found, name)
		case "Round":
			if len(call.Args) != 1 {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Value == "0" {
				found = append(found, "Round(0)")
			}
		}
		return true
	})
	return found
}
