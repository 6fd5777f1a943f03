package filter

import (
	"slices"
	"strings"

	"sekimori/filter/mail"
)

// masker takes the local parts out of one Record.
type masker struct {
	*Privacy
	known   []known  // the local parts of its addresses, the longest first
	domains []string // its domains, lower case: a part of one is no local part
}

// known is a local part in one of the ways in which a text may spell it.
type known struct{ local, mask string }

func newMasker(p *Privacy, r *Record) *masker {
	m := &masker{Privacy: p}
	res := &r.Verdict.Results
	all := slices.Concat([]string{r.Envelope.MailFrom}, r.Envelope.Rcpts, res.Author.Addresses)
	for _, a := range all {
		_, domain, _ := mail.SplitAddress(a)
		m.domains = append(m.domains, lower(domain))
	}
	all = append(all, res.Shown.MessageID)
	for _, d := range res.DKIM {
		all = append(all, d.Identifier)
		m.domains = append(m.domains, d.Domain)
	}
	m.domains = append(m.domains, res.Author.Domains...)
	m.domains = append(m.domains, res.SPF.Helo.Domain, res.SPF.MailFrom.Domain, res.DMARC.PolicyDomain, r.Verdict.Protected)
	for _, a := range all {
		m.learn(a)
	}
	slices.SortFunc(m.known, func(a, b known) int { return len(b.local) - len(a.local) })
	return m
}

// learn keeps an address's local part as it stands, without its quotes, without
// what follows a + (RFC 5233), and turned around by its dots, as SPF's macros do
// it (RFC 7208 section 7.3).
func (m *masker) learn(address string) {
	local, domain, ok := mail.SplitAddress(address)
	if !ok {
		local = strings.Trim(address, "@")
	}
	mask := m.mask(local, domain)
	bare := strings.ReplaceAll(strings.Trim(local, `"`), `\`, "")
	base, _, _ := strings.Cut(bare, "+")
	parts := strings.Split(bare, ".")
	slices.Reverse(parts)
	for _, spelt := range []string{local, bare, base, strings.Join(parts, ".")} {
		one := known{lower(spelt), mask}
		if spelt != "" && !slices.ContainsFunc(m.known, func(k known) bool { return k.local == one.local }) {
			m.known = append(m.known, one)
		}
	}
}

// mask is what stands for a local part. Letter case does not count in it.
func (m *masker) mask(local, domain string) string {
	if m.mode == Hashed {
		return m.id + "." + m.sum(lower(local)+"@"+lower(domain))
	}
	return "*"
}

// address masks one that a field holds. What is none is masked as a whole.
func (m *masker) address(a string) string {
	if a == "" {
		return ""
	}
	local, domain, ok := mail.SplitAddress(a)
	if !ok {
		return m.mask(a, "")
	}
	return m.mask(local, domain) + "@" + m.words(domain)
}

func (m *masker) addresses(all []string) []string {
	masked := make([]string, len(all))
	for i, a := range all {
		masked[i] = m.address(a)
	}
	return masked
}

// text masks the local parts of the Record's own addresses wherever they stand as
// a word, and whatever else looks like an address.
func (m *masker) text(s string) string {
	s = m.words(s)
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '@')
		if at < 0 {
			return b.String() + s
		}
		start := localStart(s[:at])
		end := at + 1 + strings.IndexFunc(s[at+1:]+" ", func(r rune) bool { return !isHostRune(r) })
		b.WriteString(s[:start])
		if local := s[start:at]; m.masked(local) {
			b.WriteString(local)
		} else if local != "" {
			b.WriteString(m.mask(local, strings.TrimRight(s[at+1:end], ".")))
		}
		b.WriteString(s[at:end])
		s = s[end:]
	}
}

func (m *masker) masked(local string) bool {
	return slices.ContainsFunc(m.known, func(k known) bool { return k.mask == local })
}

// localStart is where the local part begins that ends s.
func localStart(s string) int {
	if strings.HasSuffix(s, `"`) {
		if i := strings.LastIndexByte(s[:len(s)-1], '"'); i >= 0 {
			return i
		}
	}
	start := strings.LastIndexAny(s, " \t\r\n<>()[],;:\"") + 1
	return start + len(s[start:]) - len(strings.TrimLeft(s[start:], "'"))
}

func isHostRune(r rune) bool { return r == '.' || r == '-' || isWordRune(r) }

func isWordRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
}

func (m *masker) words(s string) string {
	for _, k := range m.known {
		s = m.word(s, k)
	}
	return s
}

// word masks one local part where it stands by itself.
func (m *masker) word(s string, k known) string {
	folded := lower(s)
	var b strings.Builder
	from := 0
	for at := 0; ; {
		i := strings.Index(folded[at:], k.local)
		if i < 0 {
			break
		}
		i += at
		end := i + len(k.local)
		at = i + 1
		if !apart(folded, i, end) || m.ofDomain(folded, i, end) {
			continue
		}
		b.WriteString(s[from:i] + k.mask)
		from, at = end, end
	}
	return b.String() + s[from:]
}

// apart tells whether s[i:end] is no part of a longer word.
func apart(s string, i, end int) bool {
	before := i == 0 || !isWordRune(rune(s[i-1])) || !isWordRune(rune(s[i]))
	after := end == len(s) || !isWordRune(rune(s[end])) || !isWordRune(rune(s[end-1]))
	return before && after
}

// maxHost is how long names are (RFC 1035 section 3.1): nobody looks further.
const maxHost = 255

// ofDomain tells whether s[i:end] is a part of one of the Record's domains, or of
// a name below one.
func (m *masker) ofDomain(s string, i, end int) bool {
	low, high := max(0, i-maxHost), min(len(s), end+maxHost)
	s, i, end = s[low:high], i-low, end-low
	first := strings.LastIndexFunc(s[:i], func(r rune) bool { return !isHostRune(r) }) + 1
	last := end + strings.IndexFunc(s[end:]+" ", func(r rune) bool { return !isHostRune(r) })
	name := strings.Trim(s[first:last], ".-")
	return slices.ContainsFunc(m.domains, func(d string) bool {
		rest, ok := strings.CutSuffix(name, d)
		return d != "" && ok && (rest == "" || strings.HasSuffix(rest, ".") && i >= first+len(rest))
	})
}

// lower folds ASCII alone, so that places stay where they are.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
