package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sekimori/filter"
	"sekimori/filter/mail"
)

var update = flag.Bool("update", false, "write testdata/CONFORMANCE.md")

const conformanceFile = caseFiles + "/CONFORMANCE.md"

// rule is one of testdata/rules.txt.
type rule struct {
	id, place, words string
	tests            []string // "filter/dns.TestClientTruncated"
	departs          string   // what we do otherwise on purpose
}

// group is some rules under one title.
type group struct {
	title string
	rules []rule
}

// readRules reads a file of rules and gives all its faults at once.
func readRules(text string) (groups []group, faults []string) {
	known := map[string]bool{}
	last := func() *rule {
		if len(groups) == 0 || len(groups[len(groups)-1].rules) == 0 {
			return &rule{}
		}
		g := &groups[len(groups)-1]
		return &g.rules[len(g.rules)-1]
	}
	for n, line := range strings.Split(text, "\n") {
		fault := func(what string) { faults = append(faults, fmt.Sprintf("line %d: %s", n+1, what)) }
		parts := strings.Split(line, " | ")
		switch {
		case line == "", line[0] == '#':
		case strings.HasPrefix(line, "== ") && len(parts) == 2:
			groups = append(groups, group{title: parts[1]})
		case strings.HasPrefix(line, "  test: "):
			last().tests = append(last().tests, strings.TrimPrefix(line, "  test: "))
		case strings.HasPrefix(line, "  departs: ") && last().departs == "":
			last().departs = strings.TrimPrefix(line, "  departs: ")
		case line[0] == ' ' || len(parts) != 3 || len(groups) == 0:
			fault("not `ID | place | words`, test: or departs:")
		case known[parts[0]]:
			fault(parts[0] + " stands twice")
		default:
			known[parts[0]] = true
			g := &groups[len(groups)-1]
			g.rules = append(g.rules, rule{id: parts[0], place: parts[1], words: parts[2]})
		}
	}
	return groups, faults
}

// shown is a case with what came of it.
type shown struct {
	name    string // "spf/spf-031-fail"
	outcome func(ruleID string) string
}

// unproved gives what is wrong between rules and proofs: a rule that nothing
// holds, a test that is not there, a case of a rule that nobody knows.
func unproved(groups []group, cases map[string][]shown, exists func(test string) bool) []string {
	var faults []string
	known := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.rules {
			known[r.id] = true
			if len(cases[r.id])+len(r.tests) == 0 {
				faults = append(faults, r.id+": neither a case nor a test holds it")
			}
			for _, test := range r.tests {
				if !exists(test) {
					faults = append(faults, r.id+": there is no "+test)
				}
			}
		}
	}
	for id, of := range cases {
		if !known[id] {
			faults = append(faults, of[0].name+": no rule "+id)
		}
	}
	slices.Sort(faults)
	return faults
}

// No attack authenticates as its victim, but for the replay of what the victim
// has signed, which is his own mail to DKIM.
func TestAttacksDoNotPass(t *testing.T) {
	s := openCases(t)
	attacks := 0
	for _, c := range loadCases(t) {
		if c.Area != "attacks" || c.Name == "a14-replay-subject" {
			continue
		}
		attacks++
		p, err := s.play(c)
		if err != nil {
			t.Fatal(err)
		}
		if p.view != nil && p.view.DMARC.Result == "pass" && strings.Contains(p.view.DMARC.AuthorDomain, "victim") {
			t.Errorf("%s passes as %s", c.Name, p.view.DMARC.AuthorDomain)
		}
		if p.got == nil {
			continue
		}
		m, err := mail.Read(mail.Envelope{}, bytes.NewReader(p.got.data), mail.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ours := string(m.Header.Get("Authentication-Results").Value)
		if strings.Contains(ours, "dmarc=pass") && strings.Contains(ours, "victim") {
			t.Errorf("%s: the MTA reads %s", c.Name, ours)
		}
		m.Close()
	}
	if attacks < 70 {
		t.Errorf("only %d attacks", attacks)
	}
}

// TestConformance holds that each rule is proved and that CONFORMANCE.md says by
// what.
func TestConformance(t *testing.T) {
	text, err := os.ReadFile(caseFiles + "/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	groups, faults := readRules(string(text))
	cases := playCases(t)
	tests := goTests(t)
	faults = append(faults, unproved(groups, cases, func(test string) bool { return tests[test] })...)
	for _, f := range faults {
		t.Error(f)
	}
	want := conformance(groups, cases)
	if *update {
		if err := os.WriteFile(conformanceFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(conformanceFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("CONFORMANCE.md is not of these rules and cases; run go test ./cmd/sekimori -run Conformance -update\n%s", diff)
	}
}

// playCases plays all cases through the proxy and gives them by their rules.
func playCases(t *testing.T) map[string][]shown {
	s := openCases(t)
	byRule := map[string][]shown{}
	for _, c := range loadCases(t) {
		p, err := s.play(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range c.Rules {
			if slices.Contains(c.Rules[:i], id) {
				t.Errorf("%s/%s: %s twice", c.Area, c.Name, id)
			}
			byRule[id] = append(byRule[id], shown{c.Area + "/" + c.Name, p.outcome})
		}
	}
	return byRule
}

// outcome says in few words what came of a case, with an eye on the rule.
func (p played) outcome(ruleID string) string {
	if p.view == nil {
		return shortReply(p.reply)
	}
	v := p.view
	var words []string
	switch area, _, _ := strings.Cut(ruleID, "-"); area {
	case "SPF", "SA":
		words = append(words, "spf="+v.SPF.MailFrom.Result, "helo="+v.SPF.Helo.Result)
	case "DK", "KA":
		words = append(words, "dkim="+strings.Join(signatureWords(v.DKIM), ","))
	case "AR", "RA":
		words = append(words, fmt.Sprintf("dropped %d", len(v.Edit.Drop)), "iprev="+v.IPRev.Result)
	case "EA":
		words = append(words, "spf="+v.SPF.MailFrom.Result, "dmarc="+v.DMARC.Result)
	default:
		words = append(words, "dmarc="+v.DMARC.Result)
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "helo=none" || w == "iprev=none" })
	words = append(words, v.Verdict.Action)
	if !positive(p.reply) {
		words = append(words, shortReply(p.reply))
	}
	return strings.Join(words, " ")
}

func signatureWords(signatures []filter.DKIMView) []string {
	words := []string{}
	for _, d := range signatures {
		if !slices.Contains(words, d.Result) {
			words = append(words, d.Result)
		}
	}
	if len(words) == 0 {
		return []string{"none"}
	}
	return words
}

// shortReply is the code of a reply with its enhanced code.
func shortReply(reply string) string {
	words := strings.Fields(reply)
	return strings.Join(words[:min(2, len(words))], " ")
}

// goTests finds the tests of the module, as "filter/dns.TestX".
func goTests(t *testing.T) map[string]bool {
	const root = "../.."
	tests := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
				tests[filepath.ToSlash(dir)+"."+fn.Name.Name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// conformance writes the table.
func conformance(groups []group, cases map[string][]shown) string {
	var b strings.Builder
	rules, departures := 0, 0
	for _, g := range groups {
		rules += len(g.rules)
		for _, r := range g.rules {
			if r.departs != "" {
				departures++
			}
		}
	}
	b.WriteString("# Conformance\n\n" +
		"Made by `go test ./cmd/sekimori -run Conformance -update` of [rules.txt](rules.txt) and the cases; not to be edited.\n\n" +
		"Each rule is held by cases, which are files here and are played through the core and through the proxy, by Go tests, or by both. The\n" +
		"outcome is that of the proxy, line by line for each case: what the method said, what was done and, unless it is 250, the reply. Where we\n" +
		"do otherwise on purpose, the last column has the reason and the switch.\n\n" +
		"The suites of RFC 7208 run unchanged in `filter/spf.TestSuites`.\n\n")
	fmt.Fprintf(&b, "%d rules, %d with a word on departures, choices or limits.\n", rules, departures)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | where | what it says | held by | outcome | departure, switch |\n|---|---|---|---|---|---|\n", g.title)
		for _, r := range g.rules {
			proofs, outcomes := r.proofs(cases[r.id])
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.id, r.place, cell(r.words), proofs, outcomes, cell(r.departs))
		}
	}
	return b.String()
}

// proofs gives two cells whose lines belong together.
func (r rule) proofs(cases []shown) (proofs, outcomes string) {
	var left, right []string
	for _, c := range cases {
		_, name, _ := strings.Cut(c.name, "/")
		left = append(left, fmt.Sprintf("[%s](%s.want)", name, c.name))
		right = append(right, c.outcome(r.id))
	}
	for _, test := range r.tests {
		left = append(left, "`"+test+"`")
		right = append(right, "holds")
	}
	return strings.Join(left, "<br>"), strings.Join(right, "<br>")
}

// cell keeps text from ending a cell of a table or from being taken for HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`).Replace(text)
}

// The table cannot be whole by mistake.
func TestUnproved(t *testing.T) {
	groups, faults := readRules("# rules\n== A | Area\nA-1 | RFC 1 | one\n  test: filter/dns.TestThere\nA-2 | RFC 1 | two\n  test: filter/dns.TestGone\n" +
		"  departs: as we like\nA-3 | RFC 1 | three\nA-4 | RFC 1 | four\nA-4 | RFC 1 | four\nA-5\n  departed: x\n")
	if diff := cmp.Diff([]string{"line 10: A-4 stands twice", "line 11: not `ID | place | words`, test: or departs:", "line 12: not `ID | place | words`, test: or departs:"}, faults); diff != "" {
		t.Error(diff)
	}
	cases := map[string][]shown{"A-4": {{name: "x/four"}}, "A-9": {{name: "x/nine"}}}
	got := unproved(groups, cases, func(test string) bool { return test == "filter/dns.TestThere" })
	want := []string{"A-2: there is no filter/dns.TestGone", "A-3: neither a case nor a test holds it", "x/nine: no rule A-9"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
