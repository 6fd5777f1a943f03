package metrics

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const boardsFolder = "../../deploy/grafana/dashboards/sekimori"

// The files that an operator copies are these dashboards.
func TestDashboardsAreWritten(t *testing.T) {
	for name, b := range boards() {
		want, err := b.file()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(boardsFolder, name+".json")
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != string(want) {
			t.Errorf("%s is not what is described here (%v): go test ./filter/metrics -run Dashboards -update", file, err)
		}
	}
	files, err := os.ReadDir(boardsFolder)
	if err != nil || len(files) != len(boards()) {
		t.Errorf("%d files for %d dashboards (%v)", len(files), len(boards()), err)
	}
}

// Grafana takes a dashboard with a mistake and shows nonsense, so that they are
// looked for here.
func TestDashboardsAreSound(t *testing.T) {
	seen := map[string]bool{}
	for name, b := range boards() {
		if b.UID == "" || seen[b.UID] || b.SchemaVersion < 39 || b.Description == "" {
			t.Errorf("%s: no identity of its own, or an old schema", name)
		}
		seen[b.UID] = true
		for _, fault := range boardFaults(b) {
			t.Errorf("%s: %s", name, fault)
		}
		text, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range b.Templating.List {
			if !strings.Contains(strings.ReplaceAll(string(text), "label_values", ""), "$"+v.Name) && !strings.Contains(string(text), "${"+v.Name+"}") {
				t.Errorf("%s: nobody asks for the variable %s", name, v.Name)
			}
		}
	}
}

func TestDashboardFaultsAreFound(t *testing.T) {
	b := newBoard("x", "X", "x")
	b.lines(12, "a", "a", "mps", true, q{"sekimori_connections", ""})
	b.lines(12, "b", "", "furlongs", true, q{"sekimori_nothing", ""})
	b.Panels[1].GridPos, b.Panels[1].ID = b.Panels[0].GridPos, 1
	if got := boardFaults(b); len(got) != 5 {
		t.Errorf("five faults were planted, found %q", got)
	}
}

// units are those of Grafana that we use: of what counts, of time, of bytes.
func units() []string {
	return []string{"none", "short", "percentunit", "s", "bytes", "mps", "cps", "reqps", "ops"}
}

func boardFaults(b *board) []string {
	var faults []string
	ids := map[int]bool{}
	for i, p := range b.Panels {
		if ids[p.ID] {
			faults = append(faults, p.Title+" has an id that another panel has")
		}
		ids[p.ID] = true
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			faults = append(faults, p.Title+" is outside of the grid")
		}
		for _, o := range b.Panels[:i] {
			if g.X < o.GridPos.X+o.GridPos.W && o.GridPos.X < g.X+g.W && g.Y < o.GridPos.Y+o.GridPos.H && o.GridPos.Y < g.Y+g.H {
				faults = append(faults, p.Title+" lies over "+o.Title)
			}
		}
		if p.Type != "row" {
			faults = append(faults, panelFaults(p)...)
		}
	}
	return faults
}

func panelFaults(p panel) []string {
	var faults []string
	if !slices.Contains([]string{"timeseries", "stat", "table", "heatmap"}, p.Type) {
		faults = append(faults, p.Title+" is of an old type or none: "+p.Type)
	}
	if p.Description == "" || p.Title == "" || len(p.Targets) == 0 {
		faults = append(faults, p.Title+" has no title, no description or no query")
	}
	if !slices.Contains(units(), p.FieldConfig.Defaults.Unit) {
		faults = append(faults, p.Title+" has the unknown unit "+p.FieldConfig.Defaults.Unit)
	}
	for _, one := range p.Targets {
		if one.Source == nil || one.Source.UID != "${datasource}" {
			faults = append(faults, p.Title+" does not ask the chosen Prometheus")
		}
		faults = append(faults, queryFaults(one.Expr)...)
	}
	return faults
}

// What Grafana is provisioned with leads to where the README has it copied, and
// from a point to its message.
func TestGrafanaIsProvisioned(t *testing.T) {
	const copied = "/etc/grafana/provisioning/"
	readme := readFile(t, "../../README.md")
	if !strings.Contains(readme, "cp -r deploy/grafana/. "+copied+"\n") {
		t.Error("the README copies deploy/grafana to elsewhere")
	}
	if !strings.Contains(readFile(t, "../../deploy/grafana/dashboards/sekimori.yml"), "path: "+copied+"dashboards/sekimori\n") {
		t.Error("Grafana looks for the dashboards elsewhere")
	}
	source := readFile(t, "../../deploy/grafana/datasources/sekimori.yml")
	for label := range exemplarOf(testRecord()) {
		if !strings.Contains(source, "- name: "+label+"\n") {
			t.Errorf("a point's %s leads nowhere", label)
		}
	}
	for name, b := range boards() {
		if !strings.Contains(readme, "| "+strings.TrimPrefix(b.Title, "Sekimori / ")+" |") {
			t.Errorf("the README does not tell of the dashboard %s", name)
		}
	}
}

// Nothing is exported that nobody looks at: each metric is in a panel or in an
// alert, or has its reason here.
func TestEveryMetricIsLookedAt(t *testing.T) {
	text := readFile(t, rulesFolder, "rules/alerts.yml") + readFile(t, rulesFolder, "rules/recording.yml")
	for _, b := range boards() {
		for _, p := range b.Panels {
			for _, one := range p.Targets {
				text += one.Expr + "\n"
			}
		}
	}
	used := map[string]bool{}
	for _, s := range selector.FindAllStringSubmatch(text, -1) {
		if row, ok := tableRow(s[1]); ok {
			used[row.Name] = true
		}
	}
	for _, row := range Table() {
		if !used[row.Name] {
			t.Errorf("%s is in no panel and no alert", row.Name)
		}
	}
}
