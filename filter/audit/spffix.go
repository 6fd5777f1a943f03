package audit

import (
	"cmp"
	"net/netip"
	"strings"

	"sekimori/filter/spf"
)

const spfVersion = "v=spf1"

// maxFlattened bounds the addresses that stand for one term.
const maxFlattened = 12

func isAll(term string) bool { return strings.EqualFold(strings.TrimLeft(term, "+-~?"), "all") }

func isRedirect(term string) bool {
	return len(term) > len("redirect=") && strings.EqualFold(term[:len("redirect=")], "redirect=")
}

// addresses are the terms that can stand in place of a or mx; none if there are
// too many, or if it names networks.
func (m *spfTerm) addresses() []string {
	if m.Name != "a" && m.Name != "mx" || m.Bits4 != 32 || m.Bits6 != 128 || len(m.addrs) > maxFlattened {
		return nil
	}
	qualifier := ""
	if m.Qualifier != '+' {
		qualifier = string(m.Qualifier)
	}
	var words []string
	for _, addr := range m.addrs {
		word := qualifier + "ip4:" + addr.String()
		if addr.Is6() {
			word = qualifier + "ip6:" + addr.String()
		}
		words = append(words, word)
	}
	return words
}

// closeDoor cures a term that lets everybody pass.
func (m *spfTerm) closeDoor() {
	switch m.Name {
	case "all":
		m.fix = "~all"
	case "a", "mx":
		m.narrow()
	default:
		m.drop = true
	}
	m.loses = true
}

// narrow takes the prefix lengths off a and mx.
func (m *spfTerm) narrow() {
	if m.Name == "a" || m.Name == "mx" {
		text, _, _ := strings.Cut(m.Text, "/")
		if isTerm(text) {
			m.fix, m.loses = text, true
		}
	}
}

// repair finds what an unreadable term was meant to be. If that cannot be known, it
// leaves a place for it, unless it was not to let anybody send.
func (m *spfTerm) repair() {
	m.fix = repairedTerm(m.Text)
	switch {
	case m.fix != "":
	case strings.HasPrefix(m.Text, "-") || strings.HasPrefix(m.Text, "~") || strings.HasPrefix(m.Text, "?"),
		strings.EqualFold(m.Text, spfVersion), m.Name == "v":
		m.drop = true
	default:
		m.fix = openTerm
	}
}

// looksLikeMechanism: such a modifier was meant to be a mechanism, or is a second
// version.
func looksLikeMechanism(name string) bool {
	switch name {
	case "all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists", "ip", "ipv4", "ipv6", "v":
		return true
	}
	return false
}

// isTerm: the text is one term that can be read, and no modifier that would be
// ignored.
func isTerm(text string) bool {
	if !isPrintable(text) || strings.Contains(text, " ") {
		return false
	}
	terms, err := spf.Terms(spfVersion + " " + text)
	return err == nil && len(terms) == 1 && terms[0].Err == nil &&
		(terms[0].Qualifier != 0 || terms[0].Name == "redirect" || terms[0].Name == "exp")
}

// repairedTerm finds the term that a misspelt one was meant to be; "" if none
// suggests itself.
func repairedTerm(text string) string {
	if len(text) > 512 {
		return ""
	}
	text = strings.NewReplacer("\u2013", "-", "\u2014", "-", "\u2212", "-", "\t", "", "\u00a0", "").Replace(text)
	text = strings.Trim(text, ",;\"'\\.")
	if text == "" || strings.EqualFold(text, spfVersion) {
		return ""
	}
	rest := strings.TrimLeft(text, "+-~?")
	qualifier := text[:len(text)-len(rest)]
	if len(qualifier) > 1 {
		qualifier = qualifier[:1]
	}
	name, value := rest, ""
	if i := strings.IndexAny(rest, ":="); i >= 0 {
		name, value = rest[:i], strings.TrimLeft(rest[i:], ":=")
	}
	name = strings.ToLower(name)
	for _, try := range []string{
		text,
		qualifier + rest,
		qualifier + name + ":" + value,
		name + "=" + value,
		qualifier + networkTerm(rest),
		qualifier + networkTerm(value),
	} {
		if isTerm(try) {
			return try
		}
	}
	return ""
}

// networkTerm writes an address or network as a term.
func networkTerm(s string) string {
	network, err := netip.ParsePrefix(s)
	if addr, bad := netip.ParseAddr(s); bad == nil {
		network, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	switch {
	case err != nil:
		return ""
	case network.Addr().Is4():
		return "ip4:" + s
	}
	return "ip6:" + s
}

// repairedSPF makes a record of a text that was meant to be one.
func repairedSPF(text string) string {
	at := indexFold(text, "spf1")
	if at < 0 || len(text) > maxVisible {
		return ""
	}
	words := []string{spfVersion}
	for _, w := range strings.FieldsFunc(text[at+len("spf1"):], func(c rune) bool { return c == ' ' || c == ';' || c == ',' || c == '\t' }) {
		// What cannot be repaired stays, to be judged as a term.
		if word := cmp.Or(repairedTerm(w), w); !strings.EqualFold(strings.Trim(word, ".\"'\\"), "") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
