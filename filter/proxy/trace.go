package proxy

import (
	"net/netip"
	"strings"
	"time"
)

// trace makes the Received field of this hop (RFC 5321 section 4.4). It says
// nothing of recipients, who may be blind copies.
func (x *session) trace(tx *transaction) string {
	var b strings.Builder
	b.WriteString("Received: from " + traceName(tx.env.Helo) + " (" + traceAddress(tx.env.Client) + ")\r\n")
	b.WriteString("\tby " + x.server.Hostname + " (Sekimori) with " + protocol(tx))
	b.WriteString(" id " + tx.env.ID)
	if t := tx.env.TLS; t.Version != "" {
		b.WriteString("\r\n\t(" + t.Version + " " + t.Cipher + ")")
	}
	b.WriteString(";\r\n\t" + x.server.now().Format(time.RFC1123Z) + "\r\n")
	return b.String()
}

// traceName is the HELO name if it is a Domain or an address literal, which
// cannot hide anything in a field; else it is kept out.
func traceName(helo string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(helo, "["), "]")
	ok := name != "" && len(helo) <= 255
	for i := range len(name) {
		c := name[i]
		if !(digit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_' || c == ':') {
			ok = false
		}
	}
	if !ok {
		return "unknown"
	}
	return helo
}

// traceAddress: RFC 5321 section 4.1.3.
func traceAddress(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "local"
	case a.Is6():
		return "[IPv6:" + a.String() + "]"
	}
	return "[" + a.String() + "]"
}

// protocol: RFC 3848 and RFC 6531 section 4.3.
func protocol(tx *transaction) string {
	word := "SMTP"
	switch {
	case tx.env.SMTPUTF8:
		word = "UTF8SMTP"
	case tx.env.ESMTP:
		word = "ESMTP"
	}
	if word != "SMTP" && tx.env.TLS.Version != "" {
		word += "S"
	}
	return word
}
