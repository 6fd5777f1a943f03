package audit

import "slices"

// place is where records stand that replace each other.
type place struct{ name, kind string }

// instead notes what is to stand at a name in the end, with all its findings cured.
func (a *auditor) instead(records ...Record) {
	if len(records) == 0 {
		return
	}
	if a.final == nil {
		a.final = map[place][]Record{}
	}
	a.final[place{records[0].Name, records[0].Type}] = records
}

// agree lets all findings that propose records for a name propose the same. What
// should wait until reports have come proposes nothing beside what should not.
func (a *auditor) agree() {
	later := map[place][]Record{}
	for _, f := range a.report.Findings {
		if f.Code.waits() && len(f.Publish) > 0 {
			later[place{f.Publish[0].Name, f.Publish[0].Type}] = f.Publish // the last is the strictest
		}
	}
	for i := range a.report.Findings {
		f := &a.report.Findings[i]
		if len(f.Publish) == 0 {
			continue
		}
		at := place{f.Publish[0].Name, f.Publish[0].Type}
		final, known := a.final[at]
		switch {
		case f.Code.waits() && (known || a.hastens(at)):
			f.Publish = []Record{}
		case f.Code.waits():
			f.Publish = slices.Clone(later[at])
		case !known:
			a.instead(f.Publish...)
		default:
			f.Publish = slices.Clone(final)
		}
	}
}

// waits: the cure is for the time when the reports are good.
func (c Code) waits() bool { return c == DMARCNone || c == DMARCTesting }

// hastens: a finding proposes for the name what need not wait.
func (a *auditor) hastens(at place) bool {
	return slices.ContainsFunc(a.report.Findings, func(f Finding) bool {
		return !f.Code.waits() && len(f.Publish) > 0 && at == place{f.Publish[0].Name, f.Publish[0].Type}
	})
}
