package metrics

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekimori/testdata/peer"
)

const rulesFolder = "../../deploy/prometheus"

func readFile(t *testing.T, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// promtool comes with Prometheus. It is missed only where the tests are to be complete.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	peer.Require(t, err == nil, "promtool is not installed (Debian: apt-get install prometheus)")
	cmd := exec.Command(tool, args...)
	cmd.Dir = rulesFolder
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreValid(t *testing.T) {
	promtool(t, "check", "rules", "rules/recording.yml", "rules/alerts.yml")
	promtool(t, "check", "config", "prometheus.yml")
}

func TestAlertsFireAndKeepQuiet(t *testing.T) {
	promtool(t, "test", "rules", "tests/minutes.yml", "tests/days.yml")
}

// promtool evaluates groups that have no place in the order at random: what one
// group records another then sees an interval later, or not.
func TestRuleGroupsHaveAnOrder(t *testing.T) {
	groups := regexp.MustCompile(`(?m)^  - name: (\w+)$`).FindAllStringSubmatch(
		readFile(t, rulesFolder, "rules/recording.yml")+readFile(t, rulesFolder, "rules/alerts.yml"), -1)
	if len(groups) < 5 {
		t.Errorf("only %d groups", len(groups))
	}
	for _, file := range []string{"tests/minutes.yml", "tests/days.yml"} {
		order, _, _ := strings.Cut(readFile(t, rulesFolder, file), "\ntests:\n")
		for _, g := range groups {
			if !strings.Contains(order, "\n  - "+g[1]+"\n") {
				t.Errorf("%s: group_eval_order lacks %s", file, g[1])
			}
		}
	}
}

// Each alert has a case in which it fires, one in which it does not, and a section
// of the runbook that says what it means, what to look at and what to do.
func TestAlertsAreWholeAndTested(t *testing.T) {
	tests := readFile(t, rulesFolder, "tests/minutes.yml") + readFile(t, rulesFolder, "tests/days.yml")
	sections := map[string]string{}
	for _, s := range strings.Split(readFile(t, rulesFolder, "runbook.md"), "\n## ")[1:] {
		name, text, _ := strings.Cut(s, "\n")
		sections[name] = text
	}
	rules := strings.Split(readFile(t, rulesFolder, "rules/alerts.yml"), "- alert: ")[1:]
	if len(rules) < 20 {
		t.Errorf("only %d alerts", len(rules))
	}
	for _, rule := range rules {
		name, text, _ := strings.Cut(rule, "\n")
		for _, want := range []string{"name: " + name + " fires\n", "name: " + name + " keeps quiet, "} {
			if !strings.Contains(tests, want) {
				t.Errorf("no case %q", want)
			}
		}
		for _, want := range []string{"severity: ", "summary: ", "description: ", `runbook_url: "runbook.md#` + strings.ToLower(name) + `"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		for _, want := range []string{"**Means**", "**Look at**", "**"} {
			if !strings.Contains(sections[name], want) {
				t.Errorf("the runbook's section on %s has no %s", name, want)
			}
		}
		delete(sections, name)
	}
	for name := range sections {
		t.Errorf("the runbook has %s, which is no alert", name)
	}
}

// The runbook leads to fields of the log by their names.
func TestRunbookNamesFieldsOfTheLog(t *testing.T) {
	fields := regexp.MustCompile("`((?:event|error|source|sekimori)\\.[a-z_.]+)`").FindAllStringSubmatch(readFile(t, rulesFolder, "runbook.md"), -1)
	log := readFile(t, rulesFolder, "../log.md")
	if len(fields) < 5 {
		t.Errorf("only %q", fields)
	}
	for _, f := range fields {
		if !strings.Contains(log, "| `"+f[1]+"` |") {
			t.Errorf("the log has no %s", f[1])
		}
	}
}

// Rules ask for nothing that does not exist: metrics, labels, words of labels.
func TestRulesAskForWhatThereIs(t *testing.T) {
	text := readFile(t, rulesFolder, "rules/alerts.yml") + readFile(t, rulesFolder, "rules/recording.yml")
	for _, fault := range queryFaults(text) {
		t.Error(fault)
	}
	if got := queryFaults(`rate(sekimori_panic_total[5m]) + sekimori_spoofs_total{way="x"} + sekimori_shed_total{what=~"dns|disk"} + sekimori_check_duration_seconds_bucket{le="2.5"}`); len(got) != 3 {
		t.Errorf("three faults were planted, found %q", got)
	}
}

var (
	selector = regexp.MustCompile(`\b(sekimori_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
)

// queryFaults lists what queries ask for and the table does not have.
func queryFaults(text string) []string {
	var faults []string
	for _, s := range selector.FindAllStringSubmatch(text, -1) {
		row, ok := tableRow(s[1])
		if !ok {
			if !strings.Contains(text, "name: "+s[1]) { // a group of rules is named so
				faults = append(faults, "there is no "+s[1])
			}
			continue
		}
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			if fault := matcherFault(row, m[1], m[3]); fault != "" {
				faults = append(faults, fault)
			}
		}
	}
	return faults
}

func matcherFault(row Metric, label, value string) string {
	if slices.Contains([]string{"job", "instance", "le"}, label) {
		return ""
	}
	i := slices.IndexFunc(row.Labels, func(l Label) bool { return l.Name == label })
	if i < 0 {
		return row.Name + " has no label " + label
	}
	if row.Labels[i].Values == nil || strings.HasPrefix(value, "$") {
		return ""
	}
	for _, word := range strings.Split(value, "|") {
		if !slices.ContainsFunc(row.Labels[i].Values, func(v string) bool {
			ok, err := regexp.MatchString("^(?:"+word+")$", v)
			return err == nil && ok
		}) {
			return row.Name + "'s label " + label + " is never " + word
		}
	}
	return ""
}

// tableRow finds the metric that a series belongs to.
func tableRow(series string) (Metric, bool) {
	for _, row := range Table() {
		if row.Name == series {
			return row, true
		}
		if row.Kind == Histogram {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if row.Name+suffix == series {
					return row, true
				}
			}
		}
	}
	return Metric{}, false
}

// Who has a Prometheus already takes scrape.yml, who has none takes
// prometheus.yml: both scrape alike.
func TestScrapeConfigurationsAgree(t *testing.T) {
	whole := readFile(t, rulesFolder, "prometheus.yml")
	var job []string
	for line := range strings.Lines(readFile(t, rulesFolder, "scrape.yml")) {
		if !strings.HasPrefix(line, "#") {
			job = append(job, "  "+line)
		}
	}
	if text := strings.Join(job, ""); text == "" || !strings.Contains(whole, text) {
		t.Errorf("prometheus.yml does not scrape as scrape.yml says:\n%s", text)
	}
}
