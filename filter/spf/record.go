package spf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxRecord bounds the length of a record in bytes. RFC 7208 section 3.4 asks
// for less than 512; the longest in use stay below this, and the DNS itself
// would allow 65535.
const maxRecord = 10_000

const version = "v=spf1"

// record is an SPF record whose grammar was checked from end to end.
type record struct {
	directives  []directive
	redirect    []macro // nil if there is none
	explanation []macro // of exp=; nil if there is none
}

// directive is one term that may match.
type directive struct {
	text      string // as written, without the qualifier
	qualifier byte
	name      string       // "all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"
	target    []macro      // the domain-spec, nil if there is none
	network   netip.Prefix // ip4, ip6: masked
	bits4     int          // a, mx
	bits6     int
}

var (
	errLength    = fmt.Errorf("more than %d bytes", maxRecord)
	errMechanism = errors.New("an unknown mechanism")
	errArgument  = errors.New("a mechanism with a malformed argument")
	errDomain    = errors.New("a malformed domain")
	errNetwork   = errors.New("a malformed network")
	errBits      = errors.New("a malformed prefix length")
	errTwice     = errors.New("a modifier that stands twice")
)

// isRecord: RFC 7208 section 4.5. The version ends with a space or the record.
func isRecord(txt string) bool {
	return len(txt) >= len(version) && strings.EqualFold(txt[:len(version)], version) &&
		(len(txt) == len(version) || txt[len(version)] == ' ')
}

// parse checks the whole of a record against RFC 7208 section 12; section 4.6:
// an error anywhere spoils it all. isRecord(txt) holds. One pass.
func parse(txt string) (record, error) {
	if len(txt) > maxRecord {
		return record{}, errLength
	}
	var r record
	n := 0
	for term := range strings.SplitSeq(txt[len(version):], " ") {
		if term == "" {
			continue
		}
		n++
		if err := r.add(term); err != nil {
			return record{}, fmt.Errorf("term %d is %w", n, err)
		}
	}
	return r, nil
}

func (r *record) add(term string) error {
	for i := range len(term) {
		if term[i] <= ' ' || term[i] > '~' {
			return errByte // RFC 7208 section 3.1
		}
	}
	name, value, ok := cutModifier(term)
	if !ok {
		d, err := parseDirective(term)
		r.directives = append(r.directives, d)
		return err
	}
	switch name {
	case "redirect":
		return modifier(&r.redirect, value)
	case "exp":
		return modifier(&r.explanation, value)
	}
	// RFC 7208 section 6: unknown modifiers are ignored; but their syntax is not.
	_, err := parseMacros(value, termLetters)
	return err
}

// modifier: RFC 7208 section 6, redirect and exp stand at most once each.
func modifier(to *[]macro, value string) (err error) {
	if *to != nil {
		return errTwice
	}
	*to, err = parseDomainSpec(value)
	return err
}

// cutModifier: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) before the "=".
func cutModifier(term string) (name, value string, ok bool) {
	i := 0
	for i < len(term) && (alphanum(term[i]) || strings.IndexByte("-_.", term[i]) >= 0) {
		i++
	}
	if i == 0 || i == len(term) || term[i] != '=' || !alpha(term[0]) {
		return "", "", false
	}
	return strings.ToLower(term[:i]), term[i+1:], true
}

func parseDirective(term string) (d directive, err error) {
	d.qualifier = '+' // RFC 7208 section 4.6.2
	if strings.IndexByte("+-~?", term[0]) >= 0 {
		d.qualifier, term = term[0], term[1:]
	}
	d.text = term
	end := strings.IndexAny(term, ":/")
	if end < 0 {
		end = len(term)
	}
	argument := term[end:]
	d.name = strings.ToLower(term[:end])
	switch d.name {
	case "all":
		if argument != "" {
			return d, errArgument
		}
	case "include", "exists":
		return d, d.spec(argument)
	case "ptr":
		if argument != "" {
			return d, d.spec(argument)
		}
	case "a", "mx":
		argument, d.bits4, d.bits6, err = cutDualBits(argument)
		if err == nil && argument != "" {
			err = d.spec(argument)
		}
		return d, err
	case "ip4", "ip6":
		return d, d.parseNetwork(argument)
	default:
		return d, errMechanism
	}
	return d, nil
}

// spec reads ":" domain-spec.
func (d *directive) spec(argument string) (err error) {
	domain, ok := strings.CutPrefix(argument, ":")
	if !ok {
		return errArgument
	}
	d.target, err = parseDomainSpec(domain)
	return err
}

// parseDomainSpec: domain-spec = macro-string domain-end, where the end is a
// macro or "." toplabel [ "." ].
func parseDomainSpec(s string) ([]macro, error) {
	macros, err := parseMacros(s, termLetters)
	if err != nil {
		return nil, err
	}
	if n := len(macros); n > 0 && !macros[n-1].written {
		return macros, nil
	}
	s = strings.TrimSuffix(s, ".")
	if dot := strings.LastIndexByte(s, '.'); dot < 0 || !toplabel(s[dot+1:]) {
		return nil, errDomain
	}
	return macros, nil
}

// toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
func toplabel(s string) bool {
	if s == "" || !alphanum(s[0]) || !alphanum(s[len(s)-1]) {
		return false
	}
	digits := true
	for i := range len(s) {
		if !alphanum(s[i]) && s[i] != '-' {
			return false
		}
		digits = digits && digit(s[i])
	}
	return !digits
}

// cutDualBits takes a dual-cidr-length off the end. A domain-spec cannot end in
// a slash and digits, so there is no other way to read those.
func cutDualBits(s string) (rest string, bits4, bits6 int, err error) {
	bits4, bits6 = 32, 128
	if i := strings.LastIndex(s, "//"); i >= 0 && digits(s[i+2:]) {
		if bits6, err = parseBits(s[i+2:], 128); err != nil {
			return "", 0, 0, err
		}
		s = s[:i]
	}
	if i := strings.LastIndexByte(s, '/'); i >= 0 && digits(s[i+1:]) {
		if bits4, err = parseBits(s[i+1:], 32); err != nil {
			return "", 0, 0, err
		}
		s = s[:i]
	}
	return s, bits4, bits6, nil
}

// parseNetwork reads ":" ip4-network [ ip4-cidr-length ] and its like.
func (d *directive) parseNetwork(argument string) error {
	network, ok := strings.CutPrefix(argument, ":")
	if !ok {
		return errArgument
	}
	text, length, given := strings.Cut(network, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Is4() != (d.name == "ip4") || addr.Zone() != "" {
		return errNetwork
	}
	bits := addr.BitLen()
	if given {
		if bits, err = parseBits(length, bits); err != nil {
			return err
		}
	}
	d.network = netip.PrefixFrom(addr, bits).Masked()
	return nil
}

// parseBits: "0" / %x31-39 0*2DIGIT, at most the limit.
func parseBits(s string, limit int) (int, error) {
	if !digits(s) || len(s) > 3 || s[0] == '0' && len(s) > 1 {
		return 0, errBits
	}
	n := 0
	for _, c := range []byte(s) {
		n = n*10 + int(c-'0')
	}
	if n > limit {
		return 0, errBits
	}
	return n, nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
