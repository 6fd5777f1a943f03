package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// allCodes reads the codes from the source, so that none is forgotten.
func allCodes() []Code {
	file, err := parser.ParseFile(token.NewFileSet(), "finding.go", nil, 0)
	if err != nil {
		panic(err)
	}
	var codes []Code
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
			s, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			codes = append(codes, Code(s))
		}
		return true
	})
	return codes
}

func TestCodes(t *testing.T) {
	codes := allCodes()
	if len(codes) < 60 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for i, c := range codes {
		if slices.Contains(codes[:i], c) {
			t.Errorf("%s stands twice", c)
		}
		if !slices.Contains([]string{"spf", "dkim", "dmarc", "mx", "audit"}, c.Area()) {
			t.Errorf("%s has the area %q", c, c.Area())
		}
		if c.Rank().order() < 0 {
			t.Errorf("%s has the rank %q", c, c.Rank())
		}
	}
}
