package metrics

import (
	"bytes"
	"encoding/json"
	"strings"
)

// What Grafana reads, as far as the dashboards use it. The dashboards themselves
// are in boards_test.go; deploy/grafana is written from them.

type board struct {
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	Description   string     `json:"description"`
	Tags          []string   `json:"tags"`
	SchemaVersion int        `json:"schemaVersion"`
	Version       int        `json:"version"`
	Editable      bool       `json:"editable"`
	GraphTooltip  int        `json:"graphTooltip"` // 1: the crosshair is shared
	Refresh       string     `json:"refresh"`
	Timezone      string     `json:"timezone"`
	Time          span       `json:"time"`
	Templating    templating `json:"templating"`
	Annotations   templating `json:"annotations"`
	Links         []link     `json:"links"`
	Panels        []panel    `json:"panels"`
}

type span struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type templating struct {
	List []variable `json:"list"`
}

// variable is one of a dashboard, or an annotation, which is written alike.
type variable struct {
	Name        string  `json:"name"`
	Label       string  `json:"label,omitempty"`
	Type        string  `json:"type,omitempty"`
	Datasource  *source `json:"datasource,omitempty"`
	Query       any     `json:"query,omitempty"`
	Refresh     int     `json:"refresh,omitempty"` // 2: whenever the time range changes
	IncludeAll  bool    `json:"includeAll,omitempty"`
	Multi       bool    `json:"multi,omitempty"`
	AllValue    string  `json:"allValue,omitempty"`
	Current     *option `json:"current,omitempty"`
	Sort        int     `json:"sort,omitempty"`
	Enable      bool    `json:"enable,omitempty"`
	Expr        string  `json:"expr,omitempty"`
	IconColor   string  `json:"iconColor,omitempty"`
	TitleFormat string  `json:"titleFormat,omitempty"`
	Step        string  `json:"step,omitempty"`
}

type option struct {
	Text  any `json:"text"`
	Value any `json:"value"`
}

type link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	URL         string   `json:"url,omitempty"`
	AsDropdown  bool     `json:"asDropdown,omitempty"`
	IncludeVars bool     `json:"includeVars,omitempty"`
	KeepTime    bool     `json:"keepTime,omitempty"`
	TargetBlank bool     `json:"targetBlank,omitempty"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type panel struct {
	ID          int            `json:"id"`
	Type        string         `json:"type"`
	Title       string         `json:"title"`
	Description string         `json:"description"`
	Datasource  *source        `json:"datasource,omitempty"`
	GridPos     place          `json:"gridPos"`
	Targets     []target       `json:"targets"`
	FieldConfig fieldConfig    `json:"fieldConfig"`
	Options     map[string]any `json:"options"`
	Transform   []any          `json:"transformations,omitempty"`
}

type place struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type target struct {
	RefID    string  `json:"refId"`
	Source   *source `json:"datasource"`
	Expr     string  `json:"expr"`
	Legend   string  `json:"legendFormat,omitempty"`
	Format   string  `json:"format,omitempty"`
	Instant  bool    `json:"instant"`
	Range    bool    `json:"range"`
	Exemplar bool    `json:"exemplar"`
}

type fieldConfig struct {
	Defaults  field `json:"defaults"`
	Overrides []any `json:"overrides"`
}

type field struct {
	Unit       string         `json:"unit"`
	Min        *float64       `json:"min,omitempty"`
	Max        *float64       `json:"max,omitempty"`
	Decimals   *int           `json:"decimals,omitempty"`
	NoValue    string         `json:"noValue,omitempty"`
	Color      map[string]any `json:"color"`
	Thresholds thresholds     `json:"thresholds"`
	Mappings   []any          `json:"mappings"`
	Custom     map[string]any `json:"custom,omitempty"`
	Links      []link         `json:"links,omitempty"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

func prometheusSource() *source { return &source{"prometheus", "${datasource}"} }

// newBoard has what all dashboards have; ask are the variables beside instance.
func newBoard(uid, title, description string, ask ...string) *board {
	b := &board{
		UID: "sekimori-" + uid, Title: "Sekimori / " + title, Description: description, Tags: []string{"sekimori"},
		SchemaVersion: 41, Version: 1, Editable: true, GraphTooltip: 1, Refresh: "30s", Timezone: "browser",
		Time: span{"now-6h", "now"},
	}
	b.Templating.List = []variable{{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus", Refresh: 1}}
	for _, name := range append([]string{"instance"}, ask...) {
		b.Templating.List = append(b.Templating.List, ofLabel(name))
	}
	b.Templating.List = append(b.Templating.List, variable{
		Name: "console", Label: "Console", Type: "textbox", Query: "http://127.0.0.1:9925",
		Current: &option{"http://127.0.0.1:9925", "http://127.0.0.1:9925"}})
	b.Annotations.List = []variable{{
		Name: "Reloads", Datasource: prometheusSource(), Enable: true, IconColor: "blue", Step: "60s", TitleFormat: "{{instance}} read its configuration",
		Expr: `changes(sekimori_config_loaded_timestamp_seconds{instance=~"$instance"}[2m]) > 0`}}
	b.Links = []link{
		{Title: "Sekimori", Type: "dashboards", Tags: []string{"sekimori"}, AsDropdown: true, IncludeVars: true, KeepTime: true},
		{Title: "Messages in the console", Type: "link", URL: "${console}/messages", TargetBlank: true},
	}
	return b
}

// ofLabel is a variable with the values that a label has now.
func ofLabel(name string) variable {
	from := map[string]string{
		"instance": "sekimori_build_info", "domain": "sekimori_domain_messages_total", "tenant": "sekimori_tenant_messages_total",
	}[name]
	query := map[string]any{"query": "label_values(" + from + ", " + name + ")", "refId": name}
	return variable{Name: name, Label: strings.ToUpper(name[:1]) + name[1:], Type: "query", Datasource: prometheusSource(), Query: query,
		Refresh: 2, IncludeAll: true, Multi: true, AllValue: ".*", Current: &option{"All", "$__all"}, Sort: 1}
}

// add puts a panel behind the last one, or on a new row where there is no room.
func (b *board) add(p panel) *panel {
	const width = 24
	if n := len(b.Panels); n > 0 {
		last := b.Panels[n-1].GridPos
		p.GridPos.X, p.GridPos.Y = last.X+last.W, last.Y
		if p.GridPos.X+p.GridPos.W > width {
			p.GridPos.X, p.GridPos.Y = 0, b.bottom()
		}
	}
	p.ID = len(b.Panels) + 1
	b.Panels = append(b.Panels, p)
	return &b.Panels[len(b.Panels)-1]
}

func (b *board) bottom() int {
	y := 0
	for _, p := range b.Panels {
		y = max(y, p.GridPos.Y+p.GridPos.H)
	}
	return y
}

// row has a title of its own and nothing else.
func (b *board) row(title string) {
	b.Panels = append(b.Panels, panel{ID: len(b.Panels) + 1, Type: "row", Title: title, GridPos: place{1, 24, 0, b.bottom()},
		Targets: []target{}, FieldConfig: fieldConfig{Overrides: []any{}}, Options: map[string]any{}})
}

// q is a query with the legend of its series.
type q struct{ expr, legend string }

func newPanel(kind, title, description, unit string, size place, queries []q) panel {
	p := panel{Type: kind, Title: title, Description: description, Datasource: prometheusSource(), GridPos: size, Options: map[string]any{}}
	for i, one := range queries {
		p.Targets = append(p.Targets, target{RefID: string(rune('A' + i)), Source: prometheusSource(), Expr: one.expr, Legend: one.legend, Range: true})
	}
	p.FieldConfig = fieldConfig{Overrides: []any{}, Defaults: field{
		Unit: unit, Color: map[string]any{"mode": "palette-classic"}, Mappings: []any{},
		Thresholds: thresholds{"absolute", []step{{"green", nil}}},
	}}
	return p
}

// lines is a graph over time; stacked where the series are parts of one whole.
func (b *board) lines(width int, title, description, unit string, stacked bool, queries ...q) *panel {
	p := newPanel("timeseries", title, description, unit, place{H: 8, W: width}, queries)
	stack, fill := "none", 10
	if stacked {
		stack, fill = "normal", 30
	}
	zero := 0.0
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Custom = map[string]any{
		"drawStyle": "line", "lineWidth": 1, "fillOpacity": fill, "showPoints": "never", "spanNulls": false,
		"stacking": map[string]any{"mode": stack, "group": "A"}, "thresholdsStyle": map[string]any{"mode": "off"},
	}
	p.Options["legend"] = map[string]any{"displayMode": "table", "placement": "bottom", "calcs": []string{"mean", "max"}, "showLegend": true}
	p.Options["tooltip"] = map[string]any{"mode": "multi", "sort": "desc"}
	return b.add(p)
}

// stat is one number; each limit, from the second colour on, is where it begins.
func (b *board) stat(title, description, unit string, expr string, limits ...float64) *panel {
	p := newPanel("stat", title, description, unit, place{H: 4, W: 4}, []q{{expr, ""}})
	p.Targets[0].Instant, p.Targets[0].Range = true, false
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	p.above(limits...)
	p.Options = map[string]any{
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		"colorMode":     "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
	}
	return b.add(p)
}

// above colours what is beyond limits: yellow or red, or red alone.
func (p *panel) above(limits ...float64) *panel {
	colours := []string{"orange", "red"}[max(0, 2-len(limits)):]
	steps := []step{{"green", nil}}
	for i, l := range limits {
		steps = append(steps, step{colours[i], &l})
	}
	p.FieldConfig.Defaults.Thresholds.Steps = steps
	if p.Type == "timeseries" && len(limits) > 0 {
		p.FieldConfig.Defaults.Custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	return p
}

// below colours what is under a limit red.
func (p *panel) below(limit float64) *panel {
	p.FieldConfig.Defaults.Thresholds.Steps = []step{{"red", nil}, {"green", &limit}}
	return p
}

// table has one line a series, with the value last.
func (b *board) table(width int, title, description, unit, expr string) *panel {
	p := newPanel("table", title, description, unit, place{H: 8, W: width}, []q{{expr, ""}})
	p.Targets[0].Instant, p.Targets[0].Range, p.Targets[0].Format = true, false, "table"
	p.FieldConfig.Defaults.Color["mode"] = "thresholds"
	p.FieldConfig.Defaults.Custom = map[string]any{"align": "auto", "filterable": true, "cellOptions": map[string]any{"type": "auto"}}
	p.Options = map[string]any{"showHeader": true, "cellHeight": "sm", "sortBy": []any{map[string]any{"displayName": "Value", "desc": true}}}
	p.Transform = []any{map[string]any{"id": "organize", "options": map[string]any{"excludeByName": map[string]any{"Time": true}}}}
	return b.add(p)
}

// heat shows a histogram over time, of classic buckets or of native ones.
func (b *board) heat(width int, title, description, metric, matchers string) *panel {
	expr := "sum by (le) (rate(" + metric + "_bucket{" + matchers + "}[$__rate_interval]))\nor\nsum(rate(" + metric + "{" + matchers + "}[$__rate_interval]))"
	p := newPanel("heatmap", title, description, "s", place{H: 8, W: width}, []q{{expr, "{{le}}"}})
	p.Targets[0].Format, p.Targets[0].Exemplar = "heatmap", true
	p.FieldConfig.Defaults.Custom = map[string]any{"scaleDistribution": map[string]any{"type": "linear"}}
	p.Options = map[string]any{
		"calculate": false, "cellGap": 1, "color": map[string]any{"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
		"yAxis": map[string]any{"axisPlacement": "left", "unit": "s"}, "rowsFrame": map[string]any{"layout": "auto"},
		"tooltip": map[string]any{"mode": "single", "yHistogram": false}, "legend": map[string]any{"show": true},
		"exemplars": map[string]any{"color": "rgba(255,0,255,0.7)"}, "filterValues": map[string]any{"le": 1e-9},
	}
	return b.add(p)
}

// exemplars shows the messages behind the points.
func (p *panel) exemplars() *panel {
	for i := range p.Targets {
		p.Targets[i].Exemplar = true
	}
	return p
}

// words shows 1 and 0 as words.
func (p *panel) words(one, zero string) *panel {
	p.FieldConfig.Defaults.Mappings = []any{map[string]any{"type": "value", "options": map[string]any{
		"1": map[string]any{"text": one, "color": "green", "index": 0}, "0": map[string]any{"text": zero, "color": "red", "index": 1}}}}
	return p
}

// file is the dashboard as Grafana reads it.
func (b *board) file() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(b)
	return out.Bytes(), err
}
