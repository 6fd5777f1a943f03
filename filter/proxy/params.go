package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
)

// mirror offers clients what every host of the MTA offers. PIPELINING, 8BITMIME,
// CHUNKING and ENHANCEDSTATUSCODES the library offers in any case; BINARYMIME
// never, as chunks are sent on by DATA.
func (s *Server) mirror(lib *smtp.Server, g *conn) {
	u := s.Upstream
	g.limits.MessageSize = u.smallest(g.limits.MessageSize, "SIZE", "")
	g.limits.Recipients = int(u.smallest(int64(g.limits.Recipients), "LIMITS", "RCPTMAX="))
	lib.MaxMessageBytes = g.limits.MessageSize
	lib.MaxRecipients = g.limits.Recipients
	lib.EnableSMTPUTF8 = u.known("SMTPUTF8")
	lib.EnableDSN = u.known("DSN")
	// RFC 8689 section 4.2.1: only over TLS to a host whose name was verified.
	lib.EnableREQUIRETLS = u.known("REQUIRETLS") && u.TLS == TLSVerified
}

// lacks tells what the client asked for and this MTA does not do, against what
// was said before.
func lacks(o *smtp.MailOptions, offered offers) (reply, bool) {
	switch {
	case o.UTF8 && !offered.has("SMTPUTF8"):
		return own(550, "5.6.7", "SMTPUTF8 is not supported behind this host"), true
	case o.RequireTLS && !offered.has("REQUIRETLS"): // RFC 8689 section 4.2.1
		return own(550, "5.7.30", "REQUIRETLS is not supported behind this host"), true
	}
	return reply{}, false
}

// mailParams are the parameters as the client said them, as far as the MTA
// knows them.
func mailParams(o *smtp.MailOptions, offered offers) []string {
	var params []string
	add := func(set bool, keyword, param string) {
		if set && offered.has(keyword) {
			params = append(params, param)
		}
	}
	add(o.Size > 0, "SIZE", "SIZE="+strconv.FormatInt(o.Size, 10))
	add(o.Body != "", "8BITMIME", "BODY="+string(o.Body))
	add(o.UTF8, "SMTPUTF8", "SMTPUTF8")
	add(o.Return != "", "DSN", "RET="+string(o.Return))
	add(o.EnvelopeID != "", "DSN", "ENVID="+xtext(o.EnvelopeID))
	add(o.RequireTLS, "REQUIRETLS", "REQUIRETLS")
	return params
}

// rcptParams: RFC 3461 section 4.
func rcptParams(o *smtp.RcptOptions, international bool, offered offers) []string {
	if o == nil || !offered.has("DSN") {
		return nil
	}
	var params []string
	if len(o.Notify) > 0 {
		words := make([]string, len(o.Notify))
		for i, w := range o.Notify {
			words[i] = string(w)
		}
		params = append(params, "NOTIFY="+strings.Join(words, ","))
	}
	switch {
	case o.OriginalRecipient == "":
	case o.OriginalRecipientType == smtp.DSNAddressTypeUTF8:
		params = append(params, "ORCPT=utf-8;"+utf8Address(o.OriginalRecipient, international))
	default:
		params = append(params, "ORCPT=rfc822;"+xtext(o.OriginalRecipient))
	}
	return params
}

// utf8Address is a utf-8-addr-unitext or, where only ASCII may be sent, a
// utf-8-addr-xtext (RFC 6533 section 3).
func utf8Address(s string, international bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r > ' ' && r < 0x7f && r != '+' && r != '=' && r != '\\', r > 0x7f && international:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}
