package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// status is how a monitoring plugin ends (Monitoring Plugins guidelines: exit
// codes).
type status int

// The states.
const (
	stateOK status = iota
	stateWarning
	stateCritical
	stateUnknown
)

func (s status) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s]
}

// Error: all has been said, the exit code is what is left.
func (s status) Error() string { return "state " + s.String() }

// limits is a range of the guidelines: "10" alerts below 0 and above 10, "10:"
// below 10, "~:10" above 10, "10:20" outside of both, "@10:20" inside.
type limits struct {
	low, high float64
	inside    bool
	text      string
}

func parseLimits(s string) (limits, error) {
	l := limits{high: math.Inf(1), text: s}
	rest, inside := strings.CutPrefix(s, "@")
	l.inside = inside
	low, high, colon := strings.Cut(rest, ":")
	if !colon {
		low, high = "0", low
		if high == "" {
			return l, errors.New("an empty range")
		}
	}
	var err1, err2 error
	if low == "~" {
		l.low = math.Inf(-1)
	} else if low != "" {
		l.low, err1 = strconv.ParseFloat(low, 64)
	}
	if high != "" {
		l.high, err2 = strconv.ParseFloat(high, 64)
	}
	if err1 != nil || err2 != nil || math.IsNaN(l.low) || math.IsNaN(l.high) || l.low > l.high {
		return l, fmt.Errorf("%q is no range, as 10, 10:, ~:10, 10:20 or @10:20", s)
	}
	return l, nil
}

func (l limits) alert(v float64) bool {
	return (l.low <= v && v <= l.high) == l.inside
}

// thresholds are ranges by the name of their figure.
type thresholds map[string]limits

// take reads "name=range".
func (t thresholds) take(all []string) error {
	for _, one := range all {
		name, text, ok := strings.Cut(one, "=")
		if _, known := t[name]; !ok || !known {
			return fmt.Errorf("%q is no NAME=RANGE with a NAME of %s", one, strings.Join(figureNames(), ", "))
		}
		l, err := parseLimits(text)
		if err != nil {
			return err
		}
		t[name] = l
	}
	return nil
}

// figure is one number that is looked at. One that is not known, such as the
// latency before the first message, alerts nobody.
type figure struct {
	name, unit string
	value      float64
	known      bool
	words      string // for people
}

func (f figure) state(warning, critical thresholds) status {
	switch {
	case !f.known:
		return stateOK
	case critical[f.name].alert(f.value):
		return stateCritical
	case warning[f.name].alert(f.value):
		return stateWarning
	}
	return stateOK
}

// perfdata is 'label'=value[UOM];[warn];[crit], and U for what is not known.
func (f figure) perfdata(warning, critical thresholds) string {
	value := "U"
	if f.known {
		value = strconv.FormatFloat(math.Round(f.value*1e6)/1e6, 'f', -1, 64) + f.unit
	}
	return fmt.Sprintf("%s=%s;%s;%s", f.name, value, warning[f.name].text, critical[f.name].text)
}

// verdictLine is the one line that a plugin prints, the worst first.
func verdictLine(figures []figure, warning, critical thresholds) (string, status) {
	worst := stateOK
	var words [3][]string
	var data []string
	for _, f := range figures {
		s := f.state(warning, critical)
		worst = max(worst, s)
		if f.known {
			words[s] = append(words[s], f.words)
		}
		data = append(data, f.perfdata(warning, critical))
	}
	said := words[stateOK]
	if worst > stateOK {
		said = append(words[stateCritical], words[stateWarning]...)
	}
	return fmt.Sprintf("SEKIMORI %s - %s|%s", worst.String(), plainWords(strings.Join(said, ", ")), strings.Join(data, " ")), worst
}

// plainWords keeps the line one line, and its bar the only one.
func plainWords(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '|' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
