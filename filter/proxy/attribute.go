package proxy

import (
	"net/netip"
	"strconv"
	"strings"
)

// attributeLine is what a command with attributes may take, without its line
// end.
const attributeLine = 510

// lines are the commands that say of a client what the MTA wants to hear.
func (w introduction) lines(verb, listed string) []string {
	var all []string
	line := verb
	for name := range strings.FieldsSeq(strings.ToUpper(listed)) {
		value, ok := w.attribute(verb, name)
		if !ok {
			continue
		}
		word := " " + name + "=" + value
		if len(line)+len(word) > attributeLine && line != verb {
			all = append(all, line)
			line = verb
		}
		line += word
	}
	if line == verb {
		return all
	}
	return append(all, line)
}

const unavailable = "[UNAVAILABLE]"

// attribute gives the value of one; false: it is not ours to tell.
func (w introduction) attribute(verb, name string) (string, bool) {
	switch name {
	case "NAME":
		return w.nameValue(w.name.Verified), true
	case "REVERSE_NAME":
		return w.nameValue(w.name.Reverse), true
	case "ADDR":
		return addressValue(w.client), true
	case "PORT":
		return portValue(w.client), true
	case "DESTADDR":
		return addressValue(w.dest), true
	case "DESTPORT":
		return portValue(w.dest), true
	case "HELO":
		return xtext(w.helo), true
	case "PROTO":
		if w.esmtp {
			return "ESMTP", true
		}
		return "SMTP", true
	case "SOURCE":
		return "REMOTE", verb == "XFORWARD"
	}
	return "", false
}

// nameValue keeps to names that no MTA could stumble over.
func (w introduction) nameValue(name string) string {
	switch {
	case name == "" && w.name.Unsure:
		return "[TEMPUNAVAIL]"
	case name == "" || name != traceName(name):
		return unavailable
	}
	return xtext(name)
}

func addressValue(a netip.AddrPort) string {
	switch {
	case !a.IsValid():
		return unavailable
	case a.Addr().Is6():
		return "IPV6:" + a.Addr().String()
	}
	return a.Addr().String()
}

func portValue(a netip.AddrPort) string {
	if !a.IsValid() {
		return unavailable
	}
	return strconv.Itoa(int(a.Port()))
}

// xtext: RFC 3461 section 4.
func xtext(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c > ' ' && c < 0x7f && c != '+' && c != '=' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'+', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}
