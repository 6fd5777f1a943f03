package metrics

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's table of metrics anew")

// The README's table is this one, row for row.
func TestREADMENamesThemAll(t *testing.T) {
	const file = "../../README.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, m := range Table() {
		rows = append(rows, m.String())
	}
	want := strings.Join(rows, "\n") + "\n"
	table := regexp.MustCompile("(?m)(^\\| `sekimori_[a-z_]+` \\|.*\n)+")
	got := table.FindString(string(b))
	if got == want {
		return
	}
	if *update {
		text := strings.Replace(string(b), got, want, 1)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, row := range rows {
		if !strings.Contains(got, row+"\n") {
			t.Errorf("the README's table lacks: %s", row)
		}
	}
	t.Error("the README's table is not that of the program: go test ./filter/metrics -run README -update")
}

// All that is exported stands in the table, with its kind and its labels, and
// the other way round.
func TestTableIsTrue(t *testing.T) {
	m := New("test")
	touchAll(m)
	m.Domains(5, protecting(t, "example.com"))
	m.follow()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range families {
		name := f.GetName()
		if !strings.HasPrefix(name, namespace) {
			continue
		}
		seen[name] = true
		i := slices.IndexFunc(m.table, func(r Metric) bool { return r.Name == name })
		if i < 0 {
			t.Errorf("the table lacks %s", name)
			continue
		}
		row := m.table[i]
		if kind := strings.ToLower(f.GetType().String()); kind != string(row.Kind) {
			t.Errorf("%s is a %s, the table says %s", name, kind, row.Kind)
		}
		for _, one := range f.GetMetric() {
			for _, l := range one.GetLabel() {
				j := slices.IndexFunc(row.Labels, func(r Label) bool { return r.Name == l.GetName() })
				if j < 0 {
					t.Errorf("%s has the label %s, the table does not", name, l.GetName())
				} else if set := row.Labels[j].Values; set != nil && !slices.Contains(set, l.GetValue()) {
					t.Errorf("%s has %s=%q, which is not of its set", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	for _, row := range m.table {
		if !seen[row.Name] {
			t.Errorf("the table has %s, which is not exported", row.Name)
		}
	}
}

// The words of labels are those of the packages that they come from, all of them.
func TestWordsAreComplete(t *testing.T) {
	refused := func(s string) string { return "refused_" + s }
	for _, c := range []struct {
		folder, kind string
		ours         []string
		rename       func(string) string
		not          []string // constants that no label can have
	}{
		{"..", "Reason", reasons(), nil, nil},
		{"..", "Outcome", outcomes(), nil, nil},
		{"..", "Technique", techniques(), nil, []string{"none"}},
		{"../mail", "AuthorStatus", authors(), nil, nil},
		{"../spf", "Word", spfResults(), nil, nil},
		{"../dkim", "Word", dkimResults(), nil, nil},
		{"../dmarc", "Word", dmarcResults(), nil, nil},
		{"../dmarc", "Policy", policies(), nil, nil},
		{"../iprev", "Word", iprevResults(), nil, []string{"none"}},
		{"../dns", "Type", dnsTypes(), nil, []string{"SPF", "*"}},
		{"../dns", "Outcome", dnsOutcomes(), nil, nil},
		{"../proxy", "Refusal", connections()[1:], refused, nil},
		{"../proxy", "Limit", limits(), nil, nil},
		{"../proxy", "Trouble", troubles(), nil, nil},
	} {
		want := constants(t, c.folder, c.kind)
		want = slices.DeleteFunc(want, func(s string) bool { return slices.Contains(c.not, s) })
		if c.rename != nil {
			for i, w := range want {
				want[i] = c.rename(w)
			}
		}
		got := slices.Sorted(slices.Values(c.ours))
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s.%s: the label has %q, the package %q", c.folder, c.kind, got, want)
		}
	}
}

// constants lists the values of a package's string constants of one type.
func constants(t *testing.T, folder, kind string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(src, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == kind {
				for _, value := range v.Values {
					if lit, ok := value.(*ast.BasicLit); ok {
						text, _ := strconv.Unquote(lit.Value)
						all = append(all, text)
					}
				}
			}
			return true
		})
	}
	return all
}
