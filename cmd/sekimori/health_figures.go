package main

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// sample is one line of /metrics.
type sample struct {
	labels map[string]string
	value  float64
}

// samples are those of /metrics by name; of a histogram its _sum and _count.
type samples map[string][]sample

func readSamples(page []byte) (samples, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return nil, fmt.Errorf("what came is no page of metrics: %w", err)
	}
	all := samples{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if h := m.GetHistogram(); h != nil {
				all[name+"_sum"] = append(all[name+"_sum"], sample{labels, h.GetSampleSum()})
				all[name+"_count"] = append(all[name+"_count"], sample{labels, float64(h.GetSampleCount())})
				continue
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
			all[name] = append(all[name], sample{labels, value})
		}
	}
	if len(all["sekimori_build_info"]) == 0 {
		return nil, fmt.Errorf("this is not Sekimori's page of metrics")
	}
	return all, nil
}

// sum adds up those whose label has one of the values; all without a label.
func (s samples) sum(name, label string, values ...string) float64 {
	total := 0.0
	for _, one := range s[name] {
		hit := label == ""
		for _, v := range values {
			hit = hit || one.labels[label] == v
		}
		if hit {
			total += one.value
		}
	}
	return total
}

// least is the smallest, infinite where there is none.
func (s samples) least(name string) float64 {
	low := math.Inf(1)
	for _, one := range s[name] {
		low = min(low, one.value)
	}
	return low
}

func figureNames() []string {
	return []string{"upstream", "errors", "latency", "dns", "spool", "certificate", "sources"}
}

func usualThresholds() (warning, critical thresholds) {
	warning, critical = thresholds{}, thresholds{}
	for name, pair := range map[string][2]string{
		"upstream": {"100:", "1:"}, "errors": {"5", "20"}, "latency": {"5", "20"}, "dns": {"10", "50"},
		"spool": {"80", "95"}, "certificate": {"14:", "3:"}, "sources": {"3600", "86400"},
	} {
		warning[name], _ = parseLimits(pair[0]) // ours are right
		critical[name], _ = parseLimits(pair[1])
	}
	return warning, critical
}

// figures are what the plugin looks at, in the order of figureNames.
func figures(s samples, now time.Time) []figure {
	hosts, up := float64(len(s["sekimori_upstream_up"])), s.sum("sekimori_upstream_up", "")
	ended, failed := s.sum("sekimori_outcomes_total", ""), s.sum("sekimori_outcomes_total", "outcome", "upstream_failed", "failed")
	judged, spent := s.sum("sekimori_check_duration_seconds_count", ""), s.sum("sekimori_check_duration_seconds_sum", "")
	asked := s.sum("sekimori_dns_queries_total", "")
	lost := s.sum("sekimori_dns_queries_total", "outcome", "servfail", "timeout", "busy")
	held, room := s.sum("sekimori_spool_memory_bytes", ""), s.sum("sekimori_spool_memory_limit_bytes", "")
	today := float64(now.UnixMilli()) / 1000
	days := (s.least("sekimori_certificate_expiry_timestamp_seconds") - today) / 86400
	age := today - s.least("sekimori_source_loaded_timestamp_seconds")
	all := []figure{
		ratio("upstream", up, hosts), ratio("errors", failed, ended),
		{name: "latency", unit: "s", value: spent / judged, known: judged > 0},
		ratio("dns", lost, asked), ratio("spool", held, room),
		{name: "certificate", value: days, known: !math.IsInf(days, 0)},
		{name: "sources", unit: "s", value: age, known: !math.IsInf(age, 0)},
	}
	words := []string{
		fmt.Sprintf("%.0f of %.0f hosts of the MTA answer", up, hosts), fmt.Sprintf("%.0f of %.0f messages failed", failed, ended),
		fmt.Sprintf("verdicts after %.3f s", all[2].value), fmt.Sprintf("%.0f of %.0f DNS questions without an answer", lost, asked),
		fmt.Sprintf("spool at %.0f %%", all[4].value), fmt.Sprintf("a certificate ends in %.0f days", days), fmt.Sprintf("the oldest source was read %.0f s ago", age),
	}
	for i := range all {
		all[i].words = words[i]
	}
	return all
}

func ratio(name string, part, whole float64) figure {
	f := figure{name: name, unit: "%", known: whole > 0}
	if f.known {
		f.value = 100 * part / whole
	}
	return f
}
