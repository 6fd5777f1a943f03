package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	library "blitiri.com.ar/go/spf"

	"sekimori/filter/mail"
)

// evaluation is one run of check_host() (RFC 7208 section 4).
type evaluation struct {
	ask      *asker
	sender   sender
	client   netip.Addr
	helo     string
	receiver string
	now      func() time.Time

	targets []target // what the placeholders stand for
	root    *frame
	lookups int
	trouble string // why it could not be ended
	ptr     reverse
}

// target is what one placeholder stands for.
type target struct {
	step *step
	host string // of an MX record of the step; "" for the step's own domain-spec
}

// frame is one record under evaluation.
type frame struct {
	domain   string // RFC 7208 section 4.1, <domain>: of the macro "d"
	record   record
	steps    []*step
	redirect *step
}

// step is a directive, or redirect, with what was learned of it.
type step struct {
	directive
	frame *frame
	child *frame // the record it led to
	hit   bool   // the DNS said that it matches
}

// Names of steps that no record can have.
const (
	redirectStep = "redirect="
	validateStep = "%{p}"  // counts the lookups of that macro
	neverStep    = "never" // cannot match, is not asked about
)

const maxMechanism = 255

func (e *evaluation) run(ctx context.Context, voids uint) Result {
	e.targets = []target{{}}
	root := placeholder(0)
	word, err := library.CheckHostWithSender(e.client.AsSlice(), root, "postmaster@"+root,
		library.WithContext(ctx), library.WithResolver(answers{e}), library.OverrideVoidLookupLimit(voids))
	result := Result{Word: Word(word), Domain: e.sender.domain}
	switch result.Word {
	case None, TempError, PermError:
		result.Reason = e.reason(err)
	default:
		e.explain(ctx, &result)
	}
	result.Lookups = e.lookups
	return result
}

// explain says which directive led to the result.
func (e *evaluation) explain(ctx context.Context, result *Result) {
	s := e.root.deciding(e.client)
	if s == nil {
		result.Reason = "no directive matched" // RFC 7208 section 4.7
		return
	}
	result.Mechanism = s.text[:min(len(s.text), maxMechanism)]
	if result.Word == Fail {
		result.Explanation = e.explanation(ctx, s.frame)
	}
}

// reason gives words for a run without a usable end.
func (e *evaluation) reason(err error) string {
	switch {
	case errors.Is(err, library.ErrLookupLimitReached):
		e.lookups++ // the one too many
		return "more than 10 terms need the DNS"
	case errors.Is(err, library.ErrVoidLookupLimitReached):
		return "too many lookups found nothing"
	case errors.Is(err, library.ErrTooManyMXRecords):
		return "an mx term names more than 10 hosts"
	}
	return e.trouble
}

// deciding is the directive that ended the evaluation: the first that matched,
// on the way along redirects. Nil if none did.
func (f *frame) deciding(client netip.Addr) *step {
	for f != nil {
		for _, s := range f.steps {
			if s.matched(client) {
				return s
			}
		}
		if f.redirect == nil {
			return nil
		}
		f = f.redirect.child
	}
	return nil
}

func (s *step) matched(client netip.Addr) bool {
	switch s.name {
	case "all":
		return true
	case "ip4", "ip6":
		return s.network.Contains(client)
	case "include":
		// RFC 7208 section 5.2: a pass of the included domain matches.
		inner := s.child.deciding(client)
		return inner != nil && inner.qualifier == '+'
	}
	return s.hit
}

// contains compares under the step's prefix length (RFC 7208 section 5.6).
func (s *step) contains(addr, client netip.Addr) bool {
	bits := s.bits6
	if addr.Is4() {
		bits = s.bits4
	}
	return netip.PrefixFrom(addr, bits).Contains(client)
}

// frame takes the record that stands at a domain, and gives the equal record
// for the library.
func (e *evaluation) frame(domain string, r record) (*frame, string) {
	f := &frame{domain: domain, record: r}
	var b strings.Builder
	b.WriteString(version)
	for _, d := range r.directives {
		e.write(&b, f, d)
	}
	if r.redirect != nil && e.defined(r.redirect) {
		f.redirect = &step{directive: directive{name: redirectStep, target: r.redirect}, frame: f}
		e.validate(&b, f, r.redirect)
		b.WriteString(" redirect=")
		b.WriteString(e.placeholder(target{step: f.redirect}))
	}
	return f, b.String()
}

// write adds a directive as the library is to see it.
func (e *evaluation) write(b *strings.Builder, f *frame, d directive) {
	s := &step{directive: d, frame: f}
	f.steps = append(f.steps, s)
	switch {
	case !e.defined(d.target):
		s.name = neverStep
	case d.network.IsValid() && d.network.Addr().Is4() != e.client.Is4():
		return // RFC 7208 section 5: never matches, whatever the library makes of mapped addresses
	}
	e.validate(b, f, d.target)
	b.WriteByte(' ')
	b.WriteByte(d.qualifier)
	switch s.name {
	case "all":
		b.WriteString("all")
	case "ip4", "ip6":
		b.WriteString(s.name + ":")
		b.WriteString(s.network.String())
	case "a", "mx":
		b.WriteString(s.name + ":")
		b.WriteString(e.placeholder(target{step: s}))
		b.WriteString(e.bits(d))
	case "include":
		b.WriteString("include:")
		b.WriteString(e.placeholder(target{step: s}))
	default:
		// What else there is asks about addresses and is answered with yes or no.
		b.WriteString("exists:")
		b.WriteString(e.placeholder(target{step: s}))
	}
}

// validate: RFC 7208 section 4.6.4 counts the lookups of %{p} as those of a
// term, so one that never matches goes before the term that needs them.
func (e *evaluation) validate(b *strings.Builder, f *frame, macros []macro) {
	if uses(macros, "p") {
		s := &step{directive: directive{name: validateStep}, frame: f}
		b.WriteString(" exists:")
		b.WriteString(e.placeholder(target{step: s}))
	}
}

// defined: RFC 8616 section 4. A term with %{s} or %{l} matches nothing if the
// local part is not ASCII.
func (e *evaluation) defined(macros []macro) bool {
	return !uses(macros, "sl") || ascii(e.sender.local)
}

// bits is the prefix length for the client's family.
func (e *evaluation) bits(d directive) string {
	if e.client.Is4() {
		return fmt.Sprintf("/%d", d.bits4)
	}
	return fmt.Sprintf("//%d", d.bits6)
}

// placeholder makes a name for the library of which no record knows.
func (e *evaluation) placeholder(t target) string {
	e.targets = append(e.targets, t)
	return placeholder(len(e.targets) - 1)
}

func placeholder(n int) string { return "#" + strconv.Itoa(n) }

func (e *evaluation) target(name string) target {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "#"))
	if err != nil || n < 0 || n >= len(e.targets) {
		return target{}
	}
	return e.targets[n]
}

// name is the domain that a step asks about.
func (e *evaluation) name(ctx context.Context, s *step) string {
	if s.target == nil {
		return s.frame.domain
	}
	return expandName(s.target, func(letter byte) string { return e.value(ctx, letter, s.frame.domain) })
}

// value of a macro letter (RFC 7208 sections 7.2 and 7.3).
func (e *evaluation) value(ctx context.Context, letter byte, domain string) string {
	switch letter {
	case 's':
		return e.sender.local + "@" + e.sender.domain
	case 'l':
		return e.sender.local
	case 'o':
		return e.sender.domain
	case 'd':
		return domain
	case 'i':
		return dotted(e.client)
	case 'p':
		return e.validated(ctx, domain)
	case 'v':
		if e.client.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.helo
	case 'c':
		return e.client.String()
	case 'r':
		if e.receiver != "" {
			return e.receiver
		}
	case 't':
		return strconv.FormatInt(e.clock().Unix(), 10)
	}
	return "unknown"
}

func (e *evaluation) clock() time.Time {
	if e.now == nil {
		return time.Now()
	}
	return e.now()
}

// dotted is an IPv4 address as ever, an IPv6 address nibble by nibble.
func dotted(addr netip.Addr) string {
	if addr.Is4() {
		return addr.String()
	}
	v := addr.As16()
	nibbles := make([]string, 0, 32)
	for _, b := range v {
		nibbles = append(nibbles, strconv.FormatUint(uint64(b>>4), 16), strconv.FormatUint(uint64(b&15), 16))
	}
	return strings.Join(nibbles, ".")
}

// printed is a name fit for words to people.
func printed(name string) string {
	if domain, err := mail.ASCIIDomain(name); err == nil {
		return domain
	}
	return "a name that is not a domain name"
}
