package dmarc

import (
	"fmt"
	"strings"
)

const maxForeign = 3 // passing strangers named in a Reason

func failedReason(s Step) string {
	return fmt.Sprintf("the DNS did not answer for _dmarc.%s (%s)", s.Domain, s.Why)
}

func badReason(s Step) string {
	return fmt.Sprintf("bad record at _dmarc.%s: p=, sp= or np= is not valid or p= is missing, and there is no valid rua=", s.Domain)
}

// missingReason tells, beside the fact, what an owner who believes that he has a
// record did wrong.
func (f Facts) missingReason() string {
	reason := fmt.Sprintf("no DMARC record at %s or above", f.Author)
	for _, name := range path(f.Author) {
		step := f.steps[name]
		if step.State == Several {
			return reason + fmt.Sprintf(" (_dmarc.%s has several, so none of them counts)", name)
		}
		if step.Stray != "" {
			return reason + fmt.Sprintf(" (a text at _dmarc.%s looks like one but does not begin with v=DMARC1)", name)
		}
	}
	return reason
}

func (f Facts) failReason(t tally) string {
	if len(t.foreign) == 0 {
		return fmt.Sprintf("neither SPF nor DKIM passed for a domain aligned with %s", f.Author)
	}
	more := ""
	if len(t.foreign) > maxForeign {
		more = fmt.Sprintf(" and %d more", len(t.foreign)-maxForeign)
	}
	shown := t.foreign[:min(len(t.foreign), maxForeign)]
	return fmt.Sprintf("%s%s, but no such domain is aligned with %s", strings.Join(shown, ", "), more, f.Author)
}

// notes are about the author's walk and the record that applies.
func (f Facts) notes(d discovery) []string {
	var notes []string
	for _, name := range path(f.Author) {
		if f.steps[name].State == Several {
			notes = append(notes, fmt.Sprintf("_dmarc.%s has several DMARC records, so none of them counts", name))
		}
	}
	letter, certain := f.selected(f.Author).only()
	if n, _ := f.organizational(f.Author).only(); certain && letter != n {
		notes = append(notes, fmt.Sprintf(
			"by the published records the public suffix %s would be the organizational domain (psd=y is missing there): it is taken to be %s",
			last(f.Author, letter), last(f.Author, n)))
	}
	for _, n := range d.step.Record.Notes {
		notes = append(notes, fmt.Sprintf("_dmarc.%s: %s", d.step.Domain, n.Text))
	}
	return notes
}
