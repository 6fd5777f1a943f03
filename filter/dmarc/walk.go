package dmarc

import (
	"math/bits"
	"strings"
)

// State is what was found at one name.
type State string

// The closed set of states.
const (
	Missing State = "missing" // no DMARC record, for certain
	Found   State = "found"   // one
	Several State = "several" // more than one: none of them counts (RFC 9989 section 4.10)
	Failed  State = "failed"  // the DNS did not say
)

// Step is what one question of a tree walk gave.
type Step struct {
	Domain string // the record's owner without "_dmarc."
	State  State
	Record Record // with Found
	Why    string // with Failed: the outcome of the question in a word
	Stray  string // with Missing: a text, printable, that looks like a DMARC record but is none
}

// stops tells whether a walk ends here: RFC 9989 section 4.10, steps 2 and 7. A
// failure ends it too: what lies above can no longer settle anything, and a
// server that is down is not asked eight times.
func (s Step) stops() bool {
	return s.State == Failed || s.State == Found && s.Record.PSD != PSDUnknown
}

const (
	maxQueries = 8 // of one walk: RFC 9989 section 4.10
	maxName    = 253
)

// path gives the names of a walk from start: RFC 9989 section 4.10, steps 3 to 8.
func path(start string) []string { return appendPath(make([]string, 0, maxQueries), start) }

// appendPath stands apart so that callers who only look at a path have it on
// their stack.
func appendPath(names []string, start string) []string {
	names = append(names, start)
	next := parent(start)
	if x := labels(start); x >= maxQueries {
		next = last(start, maxQueries-1)
	}
	for ; next != ""; next = parent(next) {
		names = append(names, next)
	}
	return names
}

func labels(name string) int {
	if name == "" {
		return 0
	}
	return strings.Count(name, ".") + 1
}

func parent(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}

// last gives the n labels at the end of name; all of it if it has no more.
func last(name string, n int) string {
	at := len(name)
	for ; n > 0 && at >= 0; n-- {
		at = strings.LastIndexByte(name[:at], '.')
	}
	return name[at+1:]
}

// common counts the labels at the end that two names share.
func common(a, b string) int {
	n := 0
	for a != "" && b != "" {
		i, j := strings.LastIndexByte(a, '.'), strings.LastIndexByte(b, '.')
		if a[i+1:] != b[j+1:] {
			break
		}
		n++
		a, b = a[:max(i, 0)], b[:max(j, 0)]
	}
	return n
}

// normal brings a name that is as mail.ASCIIDomain, or all but its case and a last
// dot, into that form; "" if it is no such name.
func normal(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if len(name) > maxName || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") {
		return ""
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return ""
		}
	}
	return name
}

// lengths is a set of names that all end a longer one, by their count of labels
// (at most 127 in 253 octets). It holds the domains that may turn out to be the
// organizational one: one member when the DNS answered, more when it did not.
type lengths [2]uint64

func (s *lengths) add(n int) { s[n>>6&1] |= 1 << (n & 63) }

func (s lengths) or(t lengths) lengths { return lengths{s[0] | t[0], s[1] | t[1]} }

// upTo gives the members that are not above n.
func (s lengths) upTo(n int) lengths {
	if n >= 64 {
		return lengths{s[0], s[1] & (1<<(n-63) - 1)}
	}
	return lengths{s[0] & (1<<(n+1) - 1), 0}
}

func (s lengths) meets(t lengths) bool { return s[0]&t[0]|s[1]&t[1] != 0 }

// only gives the single member.
func (s lengths) only() (n int, ok bool) {
	if bits.OnesCount64(s[0])+bits.OnesCount64(s[1]) != 1 {
		return 0, false
	}
	if s[0] != 0 {
		return bits.TrailingZeros64(s[0]), true
	}
	return 64 + bits.TrailingZeros64(s[1]), true
}

// atLeast lifts the members below n to n.
func (s lengths) atLeast(n int) lengths {
	if n == 0 {
		return s
	}
	low := s.upTo(n - 1)
	if low == (lengths{}) {
		return s
	}
	s = lengths{s[0] &^ low[0], s[1] &^ low[1]}
	s.add(n)
	return s
}

// organizational selects the organizational domain of start: RFC 9989 section
// 4.10.2. Every question without an answer is taken to have any.
func (f Facts) organizational(start string) lengths {
	floor := 0
	if !f.strict {
		floor = registered(start)
	}
	return f.selected(start).atLeast(floor)
}

// selected is section 4.10.2 to the letter.
func (f Facts) selected(start string) lengths {
	var found, fewest lengths
	fewest.add(labels(start)) // no record at all: the start itself
	for i, name := range path(start) {
		n := labels(name)
		above := n + 1 // one label below a public suffix, on the way to start
		if i == 0 {
			above = n
		}
		step, asked := f.steps[name]
		switch {
		case !asked || step.State == Failed:
			found.add(n)     // it may have psd=n,
			found.add(above) // or psd=y,
			fewest.add(n)    // or neither
		case step.State != Found:
		case step.Record.PSD == PSDNo: // rule 1
			found.add(n)
			return found
		case step.Record.PSD == PSDYes: // rule 2, or 3 at the start
			found.add(above)
			return found
		default: // rule 3
			fewest = lengths{}
			fewest.add(n)
		}
	}
	return found.or(fewest)
}
