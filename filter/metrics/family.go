package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// family is a metric with its series. Those whose labels are closed are made at
// the start, so that the first event is an increase from 0 and not the birth of
// a series, and are found without the library's hashing.
type family[T any] struct {
	labels []Label
	known  map[key]T
	with   func(values ...string) T
}

// key has the values of the labels in their order.
type key [3]string

func newFamily[T any](labels []Label, with func(...string) T) *family[T] {
	f := &family[T]{labels: labels, known: map[key]T{}, with: with}
	for _, values := range product(labels) {
		f.known[keyOf(values)] = with(values...)
	}
	return f
}

func keyOf(values []string) (k key) {
	copy(k[:], values)
	return k
}

// product lists all combinations of closed labels; none if one is not closed.
func product(labels []Label) [][]string {
	all := [][]string{nil}
	for _, l := range labels {
		var longer [][]string
		for _, values := range all {
			for _, v := range l.Values {
				longer = append(longer, append(slices.Clone(values), v))
			}
		}
		all = longer
	}
	return all
}

// at gives the series of these values. A value beyond its closed set counts as
// "other", so that no mistake elsewhere can make series without end.
func (f *family[T]) at(values ...string) T {
	if series, ok := f.known[keyOf(values)]; ok {
		return series
	}
	bounded := slices.Clone(values)
	for i, l := range f.labels {
		if l.Values != nil && !slices.Contains(l.Values, values[i]) {
			bounded[i] = other
		}
	}
	return f.with(bounded...)
}

// counters makes a counter of the table.
func (m *Metrics) counters(name string) (*family[prometheus.Counter], *prometheus.CounterVec) {
	row := m.row(name)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: row.Name, Help: row.Help}, row.names())
	m.registry.MustRegister(v)
	return newFamily(row.Labels, func(values ...string) prometheus.Counter { return v.WithLabelValues(values...) }), v
}

// counter makes a counter of closed labels.
func (m *Metrics) counter(name string) *family[prometheus.Counter] {
	f, _ := m.counters(name)
	return f
}

func (m *Metrics) histogram(name string, buckets []float64) *family[prometheus.Observer] {
	row := m.row(name)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: row.Name, Help: row.Help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: nativeReset,
	}, row.names())
	m.registry.MustRegister(v)
	return newFamily(row.Labels, v.WithLabelValues)
}

func (m *Metrics) gauge(name string) prometheus.Gauge { return m.gauges(name).WithLabelValues() }

func (m *Metrics) gauges(name string) *prometheus.GaugeVec {
	row := m.row(name)
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: row.Name, Help: row.Help}, row.names())
	m.registry.MustRegister(v)
	return v
}

// row finds a metric in the table. One that is not there is a mistake of the
// programmer, which shows in every start.
func (m *Metrics) row(name string) Metric {
	i := slices.IndexFunc(m.table, func(r Metric) bool { return r.Name == namespace+name })
	return m.table[i]
}

func (m Metric) names() []string {
	var all []string
	for _, l := range m.Labels {
		all = append(all, l.Name)
	}
	return all
}
