package console

import "time"

// results are the words for what became of a message, in the order in which they
// stand on each other in a chart, from the bottom.
var results = [...]string{"accept", "tag", "quarantine", "reject", "defer", "other"}

// period is a time to look at.
type period struct {
	Name string
	span time.Duration
	step time.Duration // of one bar; divides a day, and is whole spans of the history's sums
}

var periods = [...]period{
	{"6h", 6 * time.Hour, 10 * time.Minute},
	{"24h", 24 * time.Hour, 30 * time.Minute},
	{"7d", 7 * 24 * time.Hour, 3 * time.Hour},
	{"30d", 30 * 24 * time.Hour, 12 * time.Hour},
}

// periodOf is the one of that name, else the first.
func periodOf(name string) period {
	for _, p := range periods {
		if p.Name == name {
			return p
		}
	}
	return periods[0]
}

// bounds are whole bars, the last of which is the present one.
func (p period) bounds(now time.Time) (from, to time.Time) {
	to = now.UTC().Truncate(p.step).Add(p.step)
	return to.Add(-p.span), to
}

// chart is counts by time, ready to be drawn.
type chart struct {
	Step   time.Duration
	Bars   []bar
	Totals []total // by result, those that are not 0
	Total  int64
	Shadow int64 // would have been treated otherwise
	Top    int64 // of the vertical axis
	Width  int
	Height int
	Hours  []tick
}

type bar struct {
	At    time.Time
	N     int64
	X     int
	W     int
	Parts []part // without the empty ones
}

type part struct {
	Result string
	N      int64
	Y, H   float64
}

type total struct {
	Result string
	N      int64
	Share  float64 // percent
}

type tick struct {
	X    int
	At   time.Time
	Days bool // the date tells more than the clock
}

// Of the drawing, in its own units.
const (
	chartWidth  = 1080
	chartHeight = 180
	hourTicks   = 6
)

// newChart sums counts up by bar and result.
func newChart(counts []Count, p period, from, to time.Time) chart {
	n := int(to.Sub(from) / p.step)
	c := chart{Step: p.step, Bars: make([]bar, n), Width: chartWidth, Height: chartHeight, Top: 4}
	sums, all := make([][len(results)]int64, n), [len(results)]int64{}
	for _, one := range counts {
		at := int(one.Start.Sub(from) / p.step)
		if at < 0 || at >= n || one.Start.Before(from) {
			continue
		}
		i := resultIndex(outcomeOf(one.Outcome, one.Action))
		sums[at][i] += one.N
		all[i] += one.N
		c.Bars[at].N += one.N
		c.Total += one.N
		if one.Shadow != "" && one.Shadow != one.Action {
			c.Shadow += one.N
		}
		c.Top = max(c.Top, c.Bars[at].N)
	}
	c.Top = nice(c.Top)
	for i := range c.Bars {
		c.Bars[i].At = from.Add(time.Duration(i) * p.step)
		c.Bars[i].X, c.Bars[i].W = i*chartWidth/n, chartWidth/n-3
		c.Bars[i].stack(sums[i], c.Top)
	}
	for i, n := range all {
		if n > 0 {
			c.Totals = append(c.Totals, total{results[i], n, 100 * float64(n) / float64(c.Total)})
		}
	}
	for i := range hourTicks {
		at := i * n / hourTicks
		c.Hours = append(c.Hours, tick{at * chartWidth / n, c.Bars[at].At, p.span > 48*time.Hour})
	}
	return c
}

// stack puts the parts of a bar on each other. What is there is at least so high
// that it is seen.
func (b *bar) stack(sums [len(results)]int64, top int64) {
	y := float64(chartHeight)
	for i, n := range sums {
		if n == 0 {
			continue
		}
		h := max(2, float64(n)*chartHeight/float64(top))
		y -= h
		b.Parts = append(b.Parts, part{results[i], n, y, h})
	}
}

func resultIndex(result string) int {
	for i, r := range results {
		if r == result {
			return i
		}
	}
	return len(results) - 1
}

// Half of the vertical axis, for its middle line.
func (c chart) Half() int64 { return c.Top / 2 }

// Of a result, how many in a bar, for the table.
func (b bar) Of(result string) int64 {
	for _, p := range b.Parts {
		if p.Result == result {
			return p.N
		}
	}
	return 0
}

// Of a result, how many in all.
func (c chart) Of(result string) int64 {
	for _, t := range c.Totals {
		if t.Result == result {
			return t.N
		}
	}
	return 0
}

// nice is the next even number with one or two digits that are not 0.
func nice(n int64) int64 {
	for step := int64(1); ; step *= 10 {
		for _, m := range [...]int64{4, 6, 8, 10, 16, 20, 30} {
			if m*step >= n {
				return m * step
			}
		}
	}
}
