package filter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The house: who may import whom. Arrows point down, from a higher floor to a
// lower one, never along a floor.
var floors = map[string]int{
	"filter/mail": 0, "filter/dns": 0,
	"filter/spf": 1, "filter/dkim": 1, "filter/dmarc": 1, "filter/arc": 1,
	"filter/authres": 1, "filter/impersonation": 1, "filter/iprev": 1,
	"filter":       2,
	"filter/proxy": 3, "filter/milter": 3, "filter/report": 3, "filter/history": 3,
	"filter/console": 3, "filter/event": 3, "filter/metrics": 3, "filter/audit": 3, "filter/guard": 3,
	"filter/sources": 3,
	"config":         4, // imports nothing of ours; only cmd is above it
	"cmd/sekimori":   5,
	"testdata":       4, // cases as files, for tests and the demo
}

// Who may import a package that reaches outside.
var outside = map[string][]string{
	"github.com/prometheus/client_golang": {"cmd/sekimori", "filter/metrics"},
	"net/http":                            {"cmd/sekimori", "filter/console", "filter/guard", "filter/metrics", "filter/report"},
	"net/smtp":                            {},
	"os/exec":                             {"cmd/sekimori"},
	"log":                                 {},
	"database/sql":                        {"filter/history", "filter/sources"},
	"modernc.org/sqlite":                  {"filter/history", "filter/sources"},
	"github.com/jackc/pgx":                {"filter/history", "filter/sources"},
	// config, spf and dkim need net only for its types and parsers.
	"net": {"cmd/sekimori", "config", "filter/dns", "filter/event", "filter/proxy", "filter/milter", "filter/report", "filter/spf", "filter/dkim"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestLayers(t *testing.T) {
	pkgs, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range layerFaults(pkgs) {
		t.Error(fault)
	}
}

func TestLayersFindFaults(t *testing.T) {
	bad := []pkg{
		{"sekimori/filter/spf", []string{"sekimori/filter/dkim"}},
		{"sekimori/filter/mail", []string{"sekimori/filter"}},
		{"sekimori/filter/proxy", []string{"sekimori/config"}},
		{"sekimori/config", []string{"sekimori/filter/mail"}},
		{"sekimori/filter/dmarc", []string{"net", "github.com/prometheus/client_golang/prometheus"}},
		{"sekimori/filter/magic", nil},
	}
	faults := layerFaults(bad)
	if len(faults) != 7 {
		t.Errorf("7 faults were planted, found:\n%s", strings.Join(faults, "\n"))
	}
}

func listPackages() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
}

func layerFaults(pkgs []pkg) []string {
	var faults []string
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, "sekimori/")
		floor, known := floors[name]
		if !known {
			faults = append(faults, name+" has no place in the table of floors")
			continue
		}
		for _, i := range p.Imports {
			if f := importFault(name, floor, i); f != "" {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

func importFault(name string, floor int, path string) string {
	if own, ok := strings.CutPrefix(path, "sekimori/"); ok {
		switch {
		case name == "config":
			return "config must import nothing of ours, but imports " + own
		case own == "config" && name != "cmd/sekimori":
			return name + " must not import config: only cmd may"
		case floors[own] >= floor:
			return fmt.Sprintf("%s (floor %d) must not import %s (floor %d)", name, floor, own, floors[own])
		}
		return ""
	}
	for prefix, who := range outside {
		if (path == prefix || strings.Contains(prefix, ".") && strings.HasPrefix(path, prefix+"/")) && !slices.Contains(who, name) {
			return name + " must not import " + path
		}
	}
	return ""
}

// Under filter/ nothing runs before main and nothing is shared by accident.
func TestNoInitNoPackageState(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		for _, fault := range stateFaults(src) {
			t.Errorf("%s: %s", path, fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestStateFindsFaults(t *testing.T) {
	src, err := parser.ParseFile(token.NewFileSet(), "x.go", `package x
import "errors"
var cache = map[string]int{}
var counter int
var words = [...]string{"fine"}
var ErrFine = errors.New("fine")
var _ error = (*T)(nil)
var files embed.FS
func init() {}
`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := stateFaults(src); len(got) != 3 {
		t.Errorf("3 faults were planted, found %q", got)
	}
}

func stateFaults(src *ast.File) []string {
	var faults []string
	for _, d := range src.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				faults = append(faults, "has an init function")
			}
		case *ast.GenDecl:
			if d.Tok == token.VAR {
				faults = append(faults, varFaults(d)...)
			}
		}
	}
	return faults
}

// varFaults lets through what nobody changes by accident: blank names, sentinel
// errors, arrays, compiled regular expressions and embedded files.
func varFaults(d *ast.GenDecl) []string {
	var faults []string
	for _, s := range d.Specs {
		v := s.(*ast.ValueSpec)
		for i, name := range v.Names {
			if sel, ok := v.Type.(*ast.SelectorExpr); ok && fmt.Sprint(sel.X)+"."+sel.Sel.Name == "embed.FS" {
				continue // read-only
			}
			sentinel := strings.HasPrefix(strings.ToLower(name.Name), "err")
			if name.Name == "_" || sentinel || i < len(v.Values) && fixed(v.Values[i]) || embedded(v.Type) {
				continue
			}
			faults = append(faults, "has a mutable package variable: "+name.Name)
		}
	}
	return faults
}

// embedded files cannot be changed.
func embedded(e ast.Expr) bool {
	sel, ok := e.(*ast.SelectorExpr)
	return ok && fmt.Sprint(sel.X) == "embed" && sel.Sel.Name == "FS"
}

func fixed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CompositeLit:
		a, ok := e.Type.(*ast.ArrayType)
		return ok && a.Len != nil
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "MustCompile" && fmt.Sprint(sel.X) == "regexp"
	}
	return false
}

// Invariant 7: results travel as typed values. The parser of
// Authentication-Results is for tests: nobody else may believe a header's text.
func TestNobodyParsesResults(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if callsResultsParser(src) {
			t.Errorf("%s parses Authentication-Results", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	src, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nvar r, _ = authres.Parse(nil)", 0)
	if err != nil || !callsResultsParser(src) {
		t.Errorf("the planted call was not found (%v)", err)
	}
}

func callsResultsParser(src *ast.File) bool {
	found := false
	ast.Inspect(src, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		found = found || ok && fmt.Sprint(sel.X) == "authres" && sel.Sel.Name == "Parse"
		return true
	})
	return found
}
