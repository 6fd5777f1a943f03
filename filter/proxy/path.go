package proxy

import (
	"errors"
	"strings"
	"unicode/utf8"

	"sekimori/filter/mail"
)

// path makes a mailbox, from which the library has taken the quotes, fit to be
// said to an MTA: nothing in it can end the path or begin a parameter. syntax is
// the enhanced code of a bad one. What was refused has a code in the reply.
func path(mailbox string, international bool, syntax string) (string, reply) {
	p, err := mail.ParsePath(mailbox, international)
	var bad *mail.PathError
	switch {
	case errors.As(err, &bad) && bad.UTF8: // RFC 6531 section 3.5
		return "", own(553, "5.6.7", bad.Reason)
	case errors.As(err, &bad):
		return "", own(501, syntax, bad.Reason)
	case err != nil || p == "":
		return "", own(501, syntax, "bad address syntax")
	}
	return p, reply{}
}

// hello tells whether a HELO name may be repeated anywhere at all. Syntax is
// not asked for: RFC 5321 section 4.1.4 forbids to refuse for more.
func hello(name string) bool {
	if name == "" || len(name) > 255 || !utf8.ValidString(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
