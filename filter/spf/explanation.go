package spf

import (
	"context"
	"strings"
	"time"
)

const (
	maxExplanation  = 200             // bytes
	explanationTime = 3 * time.Second // for a text that changes nothing
)

// explanation: RFC 7208 section 6.2. It is looked up after a fail only, within
// what is left of the identity's questions, and whatever is wrong with it means
// that there is none. f is the record that decided: an include's exp is not
// seen here, and neither is that of a record which redirects.
func (e *evaluation) explanation(ctx context.Context, f *frame) string {
	target := f.record.explanation
	if target == nil || !e.defined(target) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, explanationTime)
	defer cancel()
	value := func(letter byte) string { return e.value(ctx, letter, f.domain) }
	name := expandName(target, value)
	if !askable(name) {
		return ""
	}
	txts, _, err := e.ask.txt(ctx, name)
	if err != nil || len(txts) != 1 {
		return ""
	}
	macros, ok := parseExplanation(txts[0])
	if !ok || !e.defined(macros) {
		return ""
	}
	return strings.TrimSpace(expandText(macros, maxExplanation, value))
}

// parseExplanation: explain-string = *( macro-string / SP ).
func parseExplanation(txt string) ([]macro, bool) {
	if len(txt) > maxRecord {
		return nil, false
	}
	for i := range len(txt) {
		if txt[i] < ' ' || txt[i] > '~' {
			return nil, false
		}
	}
	macros, err := parseMacros(txt, explanationLetters)
	return macros, err == nil
}
