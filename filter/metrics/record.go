package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sekimori/filter"
)

// Done counts one message. What it took is told with the message's id, so that
// from a point in a graph one gets to the line in the log.
func (m *Metrics) Done(r filter.Record) {
	exemplar := exemplarOf(r)
	shown := exemplar
	if !m.example.due(r) {
		shown = nil
	}
	m.outcomes.at(string(r.Outcome)).Inc()
	observe(m.transaction.at(), r.Total, shown)
	if r.Size > 0 {
		m.size.at().Observe(float64(r.Size))
	}
	// RFC 3463: X.3.1, there was no room for it.
	if r.Outcome == filter.Refused && r.Reply.Code == 452 {
		m.shed.at("spool").Inc()
	}
	if !r.Judged {
		return
	}
	m.times(r, shown)
	m.verdict(r.Verdict)
	m.named(r.Verdict, exemplar)
	m.results(r.Verdict)
	m.dns(r.Verdict.Results, shown)
}

// exemplarOf is nil for a record without an id that fits: OpenMetrics allows 128
// characters, and the library panics beyond.
func exemplarOf(r filter.Record) prometheus.Labels {
	if id := r.Envelope.ID; id != "" && len(id) <= 64 {
		return prometheus.Labels{"message_id": id}
	}
	return nil
}

// example spares the work that exemplars make: of a bucket only the last one is
// ever scraped, so that of many quick messages a few are enough.
type example struct {
	mu   sync.Mutex
	last time.Time
}

const (
	exampleEvery = 100 * time.Millisecond
	exampleSlow  = time.Second // what takes so long is always told
)

// due tells whether a message's id goes with its times.
func (e *example) due(r filter.Record) bool {
	if r.Check+r.Delivery >= exampleSlow {
		return true
	}
	now := r.Start.Add(r.Total)
	e.mu.Lock()
	defer e.mu.Unlock()
	since := now.Sub(e.last)
	if since >= 0 && since < exampleEvery {
		return false
	}
	e.last = now
	return true
}

func observe(o prometheus.Observer, took time.Duration, exemplar prometheus.Labels) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && exemplar != nil {
		e.ObserveWithExemplar(took.Seconds(), exemplar)
		return
	}
	o.Observe(took.Seconds())
}

func increase(c prometheus.Counter, exemplar prometheus.Labels) {
	if e, ok := c.(prometheus.ExemplarAdder); ok && exemplar != nil {
		e.AddWithExemplar(1, exemplar)
		return
	}
	c.Inc()
}

func (m *Metrics) times(r filter.Record, exemplar prometheus.Labels) {
	observe(m.check.at(), r.Check, exemplar)
	observe(m.stage.at("whole"), r.Check+r.Delivery, exemplar)
	if r.Delivery > 0 {
		observe(m.stage.at("upstream"), r.Delivery, exemplar)
	}
	if !r.Verdict.Results.Checked {
		return
	}
	s := r.Verdict.Results.Stages
	observe(m.stage.at("spf"), s.SPF, exemplar)
	observe(m.stage.at("dkim"), s.DKIM, exemplar)
	observe(m.stage.at("dmarc"), s.DMARC, exemplar)
	observe(m.stage.at("dns"), s.DNS, exemplar)
	if s.IPRev > 0 {
		observe(m.stage.at("iprev"), s.IPRev, exemplar)
	}
}

func (m *Metrics) verdict(v filter.Verdict) {
	m.messages.at(v.Enforced().String(), string(v.Reason)).Inc()
	if v.Shadow {
		m.shadow.at(v.Action.String(), string(v.Reason)).Inc()
	}
	if v.Fault != "" {
		m.panics.at().Inc()
	}
	if v.Results.Starved {
		m.shed.at("dns").Inc()
	}
}

func (m *Metrics) results(v filter.Verdict) {
	r := v.Results
	if r.Author.Status != "" {
		m.authors.at(string(r.Author.Status)).Inc()
	}
	if !r.Checked {
		return
	}
	m.spf.at("mailfrom", string(r.SPF.MailFrom.Word)).Inc()
	m.spf.at("helo", string(r.SPF.Helo.Word)).Inc()
	m.signatures(r)
	m.dmarc.at(string(r.DMARC.Word), or(string(r.DMARC.Effective), none), v.Enforced().String()).Inc()
	if r.DMARC.Word == "fail" {
		m.fails.at(or(string(r.DMARC.Policy), none)).Inc()
	}
	if r.IPRev.Word != none {
		m.iprev.at(string(r.IPRev.Word)).Inc()
	}
}

func (m *Metrics) signatures(r filter.Results) {
	if len(r.DKIM) == 0 {
		m.dkim.at(none, none).Inc()
	}
	for _, d := range r.DKIM {
		m.dkim.at(string(d.Word), or(d.Algorithm, "unknown")).Inc()
		if d.KeyBits > 0 {
			m.keys.at(size(d)).Inc()
		}
	}
}

func (m *Metrics) dns(r filter.Results, exemplar prometheus.Labels) {
	for _, e := range r.DNS {
		source := e.Source()
		if source == "network" {
			observe(m.dnsDuration.at(string(e.Question.Type)), e.Took, exemplar)
		}
		m.dnsQueries.at(string(e.Question.Type), string(e.Answer.Outcome), source).Inc()
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
