package spf

import (
	"net/netip"
	"strings"
)

// Term is one term of a record, for tools that explain a record to its owner.
type Term struct {
	Text      string       // as written: any bytes but a space
	Name      string       // lower case, of a mechanism or modifier: "include", "redirect"; "" with Err
	Qualifier byte         // '+', '-', '~' or '?'; 0 for a modifier
	Network   netip.Prefix // of ip4 and ip6
	Bits4     int          // of a and mx: 0 to 32
	Bits6     int          // of a and mx: 0 to 128
	Err       error        // why the term spoils the record; has no byte of it

	target []macro
}

// IsRecord tells whether a text is an SPF record, of whatever quality (RFC 7208
// section 4.5).
func IsRecord(txt string) bool { return isRecord(txt) }

// Terms reads all terms of a text for which IsRecord holds, those behind "all"
// too. The error is about the record as a whole: it is longer than 10,000 bytes.
func Terms(txt string) ([]Term, error) {
	if len(txt) > maxRecord {
		return nil, errLength
	}
	var r record
	var terms []Term
	for text := range strings.SplitSeq(txt[len(version):], " ") {
		if text != "" {
			terms = append(terms, r.term(text))
		}
	}
	return terms, nil
}

func (r *record) term(text string) Term {
	before := len(r.directives)
	if err := r.add(text); err != nil {
		return Term{Text: text, Err: err}
	}
	if len(r.directives) > before {
		d := r.directives[before]
		return Term{Text: text, Name: d.name, Qualifier: d.qualifier, Network: d.network, Bits4: d.bits4, Bits6: d.bits6, target: d.target}
	}
	name, value, _ := cutModifier(text)
	target, _ := parseMacros(value, termLetters) // was read once already
	return Term{Text: text, Name: name, target: target}
}

// Lookups is what the term itself costs against the limit of ten, whatever it
// leads to (RFC 7208 section 4.6.4).
func (t Term) Lookups() int {
	n := 0
	switch t.Name {
	case "include", "a", "mx", "ptr", "exists", "redirect":
		n = 1
	}
	if n == 1 && uses(t.target, "p") {
		n++
	}
	return n
}

// Target is the domain that the term asks about in the record of domain, for
// mail of sender's domain. Not ok: it depends on the message (RFC 7208 section
// 7.2), or no question can be made of it.
func (t Term) Target(domain, sender string) (name string, ok bool) {
	if t.target == nil {
		return domain, askable(domain)
	}
	if uses(t.target, "slipvh") {
		return "", false
	}
	name = strings.ToLower(expandName(t.target, func(letter byte) string {
		if letter == 'o' {
			return sender
		}
		return domain
	}))
	return name, askable(name)
}
