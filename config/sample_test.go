package config

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"
)

var update = flag.Bool("update", false, "write the sample file and the expected outputs")

const sampleFile = "../deploy/sekimori.toml"

const sampleHead = `# The configuration of Sekimori. Every key stands here with its default: what you
# do not change can be left out. Durations: "250ms", "30s", "5m", "1h30m", "1d".
# Sizes: "64B", "256KiB" (1024), "10MB" (1000). Try a changed file with
# "sekimori config check FILE".
`

// manual holds the comments of the structs by type and field.
type manual map[string]map[string]string

func readManual(t *testing.T) manual {
	t.Helper()
	m := manual{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				m[spec.Name.Name] = map[string]string{}
				for _, field := range s.Fields.List {
					for _, name := range field.Names {
						m[spec.Name.Name][name.Name] = field.Doc.Text()
					}
				}
			}
			return false
		})
	}
	return m
}

// sample writes a table and those below it.
func (m manual) sample(b *strings.Builder, v reflect.Value, path string) {
	var tables []int
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if isTable(v.Field(i)) || isTables(v.Field(i)) {
			tables = append(tables, i)
			continue
		}
		m.comment(b, m[v.Type().Name()][f.Name])
		b.WriteString(f.Tag.Get("toml") + " = " + literal(v.Field(i)) + "\n")
	}
	for _, i := range tables {
		f := v.Type().Field(i)
		key := table{path: path}.join(f.Tag.Get("toml"))
		b.WriteByte('\n')
		m.comment(b, m[v.Type().Name()][f.Name])
		switch {
		case isTables(v.Field(i)) && v.Field(i).Len() == 0:
			m.example(b, newTable(v.Field(i)), key)
		case isTables(v.Field(i)):
			b.WriteString("[[" + key + "]]\n")
			m.sample(b, v.Field(i).Index(0), key)
		case v.Field(i).Kind() == reflect.Struct:
			b.WriteString("[" + key + "]\n")
			m.sample(b, v.Field(i), key)
		default:
			b.WriteString("[" + key + "]\n")
		}
	}
}

// example writes a table that is not there by default, as a comment that is an
// expression without its first character.
func (m manual) example(b *strings.Builder, v reflect.Value, path string) {
	b.WriteString("#[[" + path + "]]\n")
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		name, text := f.Tag.Get("toml"), f.Tag.Get("example")
		m.comment(b, m[v.Type().Name()][f.Name])
		if !isTable(v.Field(i)) {
			b.WriteString("#" + name + " = " + text + "\n")
			continue
		}
		b.WriteString("#[" + path + "." + name + "]\n")
		for l := range strings.SplitSeq(text, "\n") {
			b.WriteString("#" + l + "\n")
		}
	}
}

func (m manual) comment(b *strings.Builder, text string) {
	b.WriteByte('\n')
	for l := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		b.WriteString("# " + l + "\n")
	}
}

func TestSample(t *testing.T) {
	b := &strings.Builder{}
	b.WriteString(sampleHead)
	readManual(t).sample(b, reflect.ValueOf(Default()), "")
	if *update {
		if err := os.WriteFile(sampleFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("the sample is not what the structs say; run go test -update\n%s", diff)
	}
	c, err := Load(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("the sample is not the default: %v", Diff(Default(), c))
	}
}

// Another decoder reads the same out of the sample, and every key is in it.
func TestSampleByLibrary(t *testing.T) {
	data, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if err := toml.NewDecoder(strings.NewReader(string(data))).DisallowUnknownFields().Decode(&c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), c, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	var d Config
	decoder := newDecoder(data, &d)
	decoder.document()
	full := reflect.ValueOf(&d).Elem()
	for _, l := range leaves(full, "") {
		if _, ok := decoder.values[l.key]; !ok && l.v.Kind() != reflect.Map {
			t.Errorf("%s is not in the sample", l.key)
		}
	}
}

// The last sentence of each comment says what the tags and Default say.
func TestManualLimits(t *testing.T) {
	m := readManual(t)
	var check func(v reflect.Value)
	check = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			doc := strings.Join(strings.Fields(m[v.Type().Name()][f.Name]), " ")
			switch {
			case !f.IsExported():
			case v.Field(i).Kind() == reflect.Struct:
				check(v.Field(i))
			case isTables(v.Field(i)):
				check(newTable(v.Field(i)))
			case doc == "":
				t.Errorf("%s.%s has no comment", v.Type().Name(), f.Name)
			case v.Field(i).Kind() != reflect.Map:
				if want := limits(leaf{f.Name, f.Tag, v.Field(i)}); !strings.HasSuffix(doc, want) {
					t.Errorf("%s.%s: the comment does not end in %q", v.Type().Name(), f.Name, want)
				}
			}
		}
	}
	check(reflect.ValueOf(Default()))
}

func limits(l leaf) string {
	if l.tag.Get("required") != "" {
		return "Required."
	}
	s := "Default: " + literal(l.v) + "."
	if words := l.tag.Get("oneof"); words != "" {
		s += " One of: " + quoted(words) + "."
	}
	if l.v.CanInt() {
		s += " Limits: " + literal(bound(l, "min")) + " to " + literal(bound(l, "max")) + "."
	}
	return s
}

// What the sample has as examples is a configuration once it is no comment.
func TestSampleExamples(t *testing.T) {
	data, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var example strings.Builder
	for l := range strings.SplitSeq(string(data), "\n") {
		if text, ok := strings.CutPrefix(l, "#"); ok && text != "" && text[0] != ' ' {
			example.WriteString(text + "\n")
		}
	}
	c, err := Parse("example", []byte(example.String()), KnownReplies([]string{"spf_fail"}))
	if err != nil {
		t.Fatal(err)
	}
	want := Tenant{Name: "customer-a", Recipients: []string{"example.net", ".example.net", "user@example.org"}, Customers: []string{"acme"}, Policy: defaultPolicy()}
	want.Policy.Mode, want.Policy.DMARC.Reject = "shadow", "strict"
	want.Policy.Replies = map[string]string{"spf_fail": "{client} may not send for {sender}. Ask help@example.net [{id}]"}
	if diff := cmp.Diff([]Tenant{want}, c.Tenants, cmpopts.IgnoreUnexported(Tenant{})); diff != "" {
		t.Error(diff)
	}
}
