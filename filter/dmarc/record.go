package dmarc

import (
	"fmt"
	"slices"
	"strings"
)

// Record is a DMARC Policy Record (RFC 9989 section 4.7) with its defaults
// filled in.
type Record struct {
	Text         string // as published, printable ASCII, at most 1024 bytes
	Policy       Policy // p; "" if the record asks for no DMARC processing (section 4.10.1)
	Subdomain    Policy // sp; "" if absent
	NonExistent  Policy // np; "" if absent
	StrictDKIM   bool   // adkim=s
	StrictSPF    bool   // aspf=s
	PSD          PSD
	Testing      bool     // t=y
	FailureCases string   // fo, lower case; "0" by default and without ruf
	RUA          []string // mailto URIs for aggregate reports, at most 20
	RUF          []string // mailto URIs for failure reports, at most 20; of no use in a record with psd=y
	Notes        []Note   // what the parser passed over, at most 20
}

// PSD is the value of the psd tag.
type PSD string

// The values of psd.
const (
	PSDUnknown PSD = "u" // the default: the tree walk finds out
	PSDYes     PSD = "y" // a public suffix
	PSDNo      PSD = "n" // an organizational domain
)

// Kind is what a Note is about.
type Kind string

// The closed set of kinds.
const (
	Obsolete    Kind = "obsolete"    // was in RFC 7489, is ignored now
	Unknown     Kind = "unknown"     // a tag that RFC 9989 does not know
	Invalid     Kind = "invalid"     // a value out of the grammar
	Duplicate   Kind = "duplicate"   // a tag that stands twice
	Unsupported Kind = "unsupported" // a report URI that is not mailto
	Spelling    Kind = "spelling"    // read by us, perhaps not by everybody
)

// Note is something in a record that its owner should know.
type Note struct {
	Kind Kind
	Tag  string // lower-case letters, at most 16; "" if it could not be told
	Text string // plain words
}

const (
	maxText  = 1024
	maxNotes = 20
	maxURIs  = 20
	maxTag   = 16
)

// Parse reads a TXT record. ok is false if it is none of DMARC's: it must begin
// with the tag v and the value DMARC1. What follows may be of any quality:
// unknown tags are ignored and syntax errors give way to the defaults
// (section 4.7); Notes names them.
func Parse(txt string) (record Record, ok bool) {
	version, rest, _ := strings.Cut(txt, ";")
	if !isVersion(version) {
		return Record{}, false
	}
	p := parser{record: Record{Text: printable(txt), PSD: PSDUnknown, FailureCases: "0"}, seen: map[string]bool{"v": true}}
	if txt[0] == 'V' {
		p.note(Spelling, "v", "the tag v is written as a capital letter: others may not read this record")
	}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, ";")
		p.tag(trim(part))
	}
	p.finish()
	return p.record, true
}

// isVersion: RFC 9989 section 4.8, dmarc-version. The value is case-sensitive,
// and nothing stands before the v. A tag's name is ABNF, which has no case.
func isVersion(s string) bool {
	if s == "" || s[0] != 'v' && s[0] != 'V' {
		return false
	}
	value, ok := strings.CutPrefix(trim(s[1:]), "=")
	return ok && trim(value) == "DMARC1"
}

type parser struct {
	record Record
	seen   map[string]bool // known tags: true once a valid value was met, false after an invalid one
}

func (p *parser) tag(s string) {
	if s == "" {
		return
	}
	name, value, ok := strings.Cut(s, "=")
	name, value = trim(name), trim(value)
	letters := isTagName(name)
	name = strings.ToLower(name)
	switch {
	case !ok || !letters:
		p.note(Invalid, "", "a part of the record is not of the form tag=value")
	case name == "pct" || name == "rf" || name == "ri":
		// RFC 9989 appendix A.6, A.7: removed, so unknown. pct=0 changes nothing.
		p.note(Obsolete, name, fmt.Sprintf("%s= was removed by RFC 9989 and is ignored", name))
	case !isKnown(name):
		p.note(Unknown, name, fmt.Sprintf("%s= is not a tag of RFC 9989 and is ignored", printableTag(name)))
	case p.seen[name]:
		p.note(Duplicate, name, fmt.Sprintf("%s= stands twice: the first valid one counts", name))
	default:
		p.seen[name] = isValue(value) && p.set(name, value)
		if !p.seen[name] {
			p.note(Invalid, name, fmt.Sprintf("the value of %s= is not valid", name))
		}
	}
}

// isKnown includes v: a second one is a duplicate like any other.
func isKnown(name string) bool {
	switch name {
	case "v", "p", "sp", "np", "adkim", "aspf", "psd", "t", "fo", "rua", "ruf":
		return true
	}
	return false
}

// set takes a value over and tells whether it was valid. RFC 9989 section 4.8:
// the literals are ABNF and have no case.
func (p *parser) set(name, value string) bool {
	r := &p.record
	lower := strings.ToLower(value)
	switch name {
	case "p":
		return setPolicy(&r.Policy, lower)
	case "sp":
		return setPolicy(&r.Subdomain, lower)
	case "np":
		return setPolicy(&r.NonExistent, lower)
	case "adkim":
		r.StrictDKIM = lower == "s"
		return lower == "s" || lower == "r"
	case "aspf":
		r.StrictSPF = lower == "s"
		return lower == "s" || lower == "r"
	case "t":
		r.Testing = lower == "y"
		return lower == "y" || lower == "n"
	case "psd":
		return setPSD(&r.PSD, lower)
	case "fo":
		return setFailureCases(&r.FailureCases, lower)
	case "rua":
		r.RUA = p.uris(name, value)
		return len(r.RUA) > 0
	case "ruf":
		r.RUF = p.uris(name, value)
		return len(r.RUF) > 0
	}
	return false
}

func setPolicy(to *Policy, value string) bool {
	switch v := Policy(value); v {
	case PolicyNone, PolicyQuarantine, PolicyReject:
		*to = v
		return true
	}
	return false
}

func setPSD(to *PSD, value string) bool {
	switch v := PSD(value); v {
	case PSDYes, PSDNo, PSDUnknown:
		*to = v
		return true
	}
	return false
}

// setFailureCases: 0 and 1 exclude each other, none stands twice.
func setFailureCases(to *string, value string) bool {
	var cases []string
	for c := range strings.SplitSeq(value, ":") {
		c = trim(c)
		if len(c) != 1 || !strings.Contains("01ds", c) || slices.Contains(cases, c) {
			return false
		}
		cases = append(cases, c)
	}
	if slices.Contains(cases, "0") && slices.Contains(cases, "1") {
		return false
	}
	*to = strings.Join(cases, ":")
	return true
}

// finish applies the rules that need the whole record.
func (p *parser) finish() {
	r := &p.record
	// RFC 9989 section 4.7, fo: ignored without ruf.
	if len(r.RUF) == 0 {
		r.FailureCases = "0"
	}
	// RFC 9989 section 4.10.1: without a valid p, or with an invalid sp or np,
	// the record means p=none if it has a valid rua, and no DMARC otherwise.
	if p.seen["p"] && !p.invalid("sp") && !p.invalid("np") {
		return
	}
	r.Policy, r.Subdomain, r.NonExistent = "", "", ""
	if len(r.RUA) > 0 {
		r.Policy = PolicyNone
	}
	if _, met := p.seen["p"]; !met {
		p.note(Invalid, "p", "the record has no p=")
	}
}

func (p *parser) invalid(name string) bool {
	valid, met := p.seen[name]
	return met && !valid
}

func (p *parser) note(k Kind, tag, text string) {
	if len(p.record.Notes) < maxNotes {
		p.record.Notes = append(p.record.Notes, Note{k, printableTag(tag), text})
	}
}

// below is the policy for a name under the record's own (section 4.10.1).
func (r Record) below(exists bool) Policy {
	if !exists && r.NonExistent != "" {
		return r.NonExistent
	}
	if r.Subdomain != "" {
		return r.Subdomain
	}
	return r.Policy
}

// effective: RFC 9989 section 4.7, t: the policy one level below the published one.
func (r Record) effective(p Policy) Policy {
	if !r.Testing {
		return p
	}
	if p == PolicyReject {
		return PolicyQuarantine
	}
	if p == PolicyQuarantine {
		return PolicyNone
	}
	return p
}

// isTagName: section 4.8, 1*ALPHA.
func isTagName(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return s != ""
}

// isValue: section 4.8, dmarc-value; the semicolon is gone already.
func isValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

func trim(s string) string { return strings.Trim(s, " \t") }

func printableTag(s string) string { return s[:min(len(s), maxTag)] }

// printable makes text from the wire fit for logs and headers.
func printable(s string) string {
	s = s[:min(len(s), maxText)]
	if isValue(s) {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
