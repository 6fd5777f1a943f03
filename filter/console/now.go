package console

import (
	"net/http"
	"slices"
)

// nowPage is the first page: does mail flow, and what is refused.
type nowPage struct {
	Period  period
	Periods [len(periods)]period
	Chart   chart
	Health  []Health
	Worst   State
	Targets []DomainCount // protected domains, those impersonated most first
	Spoofs  int64
	Latest  []Message // refused, deferred or quarantined
}

// latestShown is how many messages the first page lists.
const latestShown = 8

func (c *Console) now(r *http.Request, v *view) error {
	p := &nowPage{Period: periodOf(r.URL.Query().Get("period")), Periods: periods, Health: c.Health()}
	cleanAll(&p.Health)
	p.Worst = worst(p.Health)
	v.Data = p
	from, to := p.Period.bounds(v.At)
	counts, err := c.History.Counts(r.Context(), from, to, p.Period.step, "")
	if err != nil {
		return v.history(err)
	}
	p.Chart = newChart(counts, p.Period, from, to)
	if p.Targets, err = c.History.Domains(r.Context(), from, to, 50); err != nil {
		return err
	}
	for _, d := range p.Targets {
		p.Spoofs += d.Failed
	}
	p.Targets = slices.DeleteFunc(p.Targets, func(d DomainCount) bool { return d.Failed == 0 })
	p.Targets = p.Targets[:min(len(p.Targets), 5)]
	for _, action := range [...]string{"reject", "quarantine"} {
		found, err := c.History.Search(r.Context(), Query{Action: action, From: from, To: to, Limit: latestShown})
		if err != nil {
			return err
		}
		p.Latest = append(p.Latest, found...)
	}
	slices.SortStableFunc(p.Latest, func(a, b Message) int { return b.At.Compare(a.At) })
	p.Latest = p.Latest[:min(len(p.Latest), latestShown)]
	cleanAll(&p.Targets)
	cleanAll(&p.Latest)
	return nil
}

// worst of the parts that are not off.
func worst(all []Health) State {
	for _, s := range [...]State{Bad, Warn} {
		if slices.ContainsFunc(all, func(h Health) bool { return h.State == s }) {
			return s
		}
	}
	return Good
}
