package mail

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

const (
	maxDomain = 253     // octets, RFC 1035 section 2.3.4 without the root's
	maxLabel  = 63      // octets, the same section
	maxULabel = 4 * 63  // octets: of UTF-8 that could still become 63 of an A-label
	maxUName  = 4 * 255 // likewise of a name
	acePrefix = "xn--"  // RFC 5890 section 2.3.2.5
)

// ASCIIDomain turns a domain name into the one form in which names are
// compared, looked up and printed: A-labels, lower case, no trailing dot
// (RFC 5890, UTS 46 non-transitional). LDH and underscore labels of 1 to 63
// octets, 253 in all; an address literal, an empty label or anything else is an
// error. A single label is fine here.
//
// One trailing dot, the mark of an absolute name, is taken off; where the
// grammar has no place for it the caller must look for it first. U-labels are
// mapped as UTS 46 says (case, width, composition), but a character that it maps
// to nothing is an error: what vanishes in our eyes may not in a reader's. An
// A-label must be one that its U-label gives. Errors hold no bytes of s.
func ASCIIDomain(s string) (string, error) {
	d, _, err := asciiDomain(s)
	return d, err
}

// asciiDomain also tells whether there was a trailing dot of any kind.
func asciiDomain(s string) (d string, absolute bool, err error) {
	if isPlainDomain(s) {
		return s, false, nil
	}
	if len(s) > maxUName {
		return "", false, errors.New("domain too long")
	}
	if !utf8.ValidString(s) {
		return "", false, errors.New("domain is not UTF-8")
	}
	labels := strings.Split(strings.Map(fullStop, s), ".")
	if n := len(labels); n > 1 && labels[n-1] == "" {
		labels, absolute = labels[:n-1], true
	}
	for i, l := range labels {
		if labels[i], err = asciiLabel(l); err != nil {
			return "", absolute, err
		}
	}
	d = strings.Join(labels, ".")
	if len(d) > maxDomain {
		return "", absolute, errors.New("domain too long")
	}
	return d, absolute, nil
}

// fullStop: UTS 46 section 4.5 (RFC 3490 section 3.1) has three more dots.
func fullStop(r rune) rune {
	switch r {
	case '\u3002', '\uff0e', '\uff61':
		return '.'
	}
	return r
}

// isPlainDomain: s is in its final form already, as nearly every name is.
func isPlainDomain(s string) bool {
	if len(s) > maxDomain {
		return false
	}
	for rest, more := s, true; more; {
		var l string
		l, rest, more = strings.Cut(rest, ".")
		if !isLabel(l) || strings.HasPrefix(l, acePrefix) {
			return false
		}
	}
	return true
}

// isLabel: letters, digits and acePrefix (RFC 5890 section 2.3.1), lower case,
// and the underscores of service names (RFC 8552).
func isLabel(l string) bool {
	n := len(l)
	if n == 0 || n > maxLabel || l[0] == '-' || l[n-1] == '-' {
		return false
	}
	for i := range n {
		c := l[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// asciiLabel brings one label into its final form.
func asciiLabel(l string) (string, error) {
	if l == "" {
		return "", errors.New("empty label in domain")
	}
	if lowered := strings.ToLower(l); isASCII(l) && !strings.HasPrefix(lowered, acePrefix) {
		if !isLabel(lowered) {
			return "", errors.New("domain has a label that is too long or has characters not allowed")
		}
		return lowered, nil
	}
	if len(l) > maxULabel {
		return "", errors.New("domain has a label that is too long")
	}
	if strings.ContainsFunc(l, vanishes) {
		return "", errors.New("domain has invisible characters")
	}
	// RFC 5891 section 5, UTS 46 section 4: an A-label is taken apart, held to the
	// same rules and put together again. The work is bounded by the length above.
	p := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule())
	a, err := p.ToASCII(l)
	if err != nil || !isLabel(a) || !lasts(p, a) {
		return "", errors.New("domain has a label that is no valid internationalized one")
	}
	return a, nil
}

// lasts: the label is the same when it is read again. The library makes A-labels
// that it refuses itself, of characters with very many marks.
func lasts(p *idna.Profile, label string) bool {
	again, err := p.ToASCII(label)
	return err == nil && again == label
}

// vanishes: UTS 46 maps these to nothing, or nobody sees them. The two joiners
// have a use in some scripts and rules of their own (RFC 5892 appendix A).
func vanishes(r rune) bool {
	if r < utf8.RuneSelf || r == '\u200c' || r == '\u200d' {
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// SplitAddress cuts an address at its last @ that stands outside quotes.
// ok is false if there is none, either side is empty, or a quote stays open.
// Nothing is unquoted.
func SplitAddress(a string) (local, domain string, ok bool) {
	at, quoted := -1, false
	for i := 0; i < len(a); i++ {
		switch c := a[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '@' && !quoted:
			at = i
		}
	}
	if quoted || at <= 0 || at == len(a)-1 {
		return "", "", false
	}
	return a[:at], a[at+1:], true
}
