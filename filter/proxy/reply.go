package proxy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
)

// reply is what a client is told or an MTA has said: a code and the lines after
// it, enhanced code and all. The zero value leaves the success to the library.
type reply struct {
	code  int
	lines []string
}

const (
	replyLine   = 480  // octets of text in a line of ours; RFC 5321 section 4.5.3.1.5: 512 with code and CRLF
	recordedMax = 512  // octets of a reply in a Record
	replyLines  = 100  // of one reply of the MTA
	replyOctets = 2000 // of one line of it
)

// own makes a reply of ours. The enhanced code stands in every line (RFC 2034
// section 4).
func own(code int, enhanced, text string) reply {
	r := reply{code: code}
	for _, line := range strings.Split(text, "\n") {
		for _, part := range wrap(printable(line), replyLine-len(enhanced)) {
			r.lines = append(r.lines, strings.TrimLeft(enhanced+" "+part, " "))
		}
	}
	r.lines = r.lines[:min(len(r.lines), replyLines)]
	return r
}

// wrap cuts a line into parts of at most n octets, at spaces where there are
// any.
func wrap(s string, n int) []string {
	var parts []string
	for len(s) > n {
		cut := strings.LastIndexByte(s[:n], ' ')
		if cut <= 0 {
			for cut = n; cut > 1 && !utf8.RuneStart(s[cut]); cut-- {
			}
		}
		parts = append(parts, s[:cut])
		s = strings.TrimLeft(s[cut:], " ")
	}
	return append(parts, s)
}

// printable replaces whatever cannot be printed. Beyond ASCII there is something
// only in the reply of a verdict, and there only where the client said SMTPUTF8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// positive tells that the MTA agreed.
func (r reply) positive() bool { return r.code/100 == 2 }

// negative tells that r is a refusal that may be passed on.
func (r reply) negative() bool { return r.code/100 == 4 || r.code/100 == 5 }

// asError is for replies that are trouble.
func (r reply) asError() error { return fmt.Errorf("%d %s", r.code, strings.Join(r.lines, " ")) }

// wire turns the reply into what the library says word for word; nil where its
// own words will do. Nothing else may leave a session: the library gives any
// other error to the client as 554 with its text.
func (r reply) wire() error {
	if r.code == 0 {
		return nil
	}
	return &smtp.SMTPError{
		Code:         r.code,
		EnhancedCode: smtp.NoEnhancedCode, // it stands in the lines
		Message:      strings.Join(r.lines, "\n"),
	}
}

var enhancedCode = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)

// record is the reply for the Record.
func (r reply) record() filter.Reply {
	text := strings.Join(r.lines, "\n")
	return filter.Reply{
		Code:     r.code,
		Enhanced: enhancedCode.FindString(text),
		Text:     strings.ToValidUTF8(text[:min(len(text), recordedMax)], "?"),
	}
}

// judged makes the reply of a verdict that refuses. A verdict without a proper
// one still refuses: later, unless it said for good.
func judged(v filter.Verdict, id string) reply {
	r, class := v.Reply, 4
	if v.Enforced() == filter.Reject {
		class = 5
	}
	if r.Code/100 == class && r.Code < class*100+60 {
		if e := enhancedCode.FindString(r.Enhanced); e == "" || e != r.Enhanced || int(e[0]-'0') != class {
			r.Enhanced = fmt.Sprintf("%d.7.0", class)
		}
		return own(r.Code, r.Enhanced, r.Text)
	}
	if class == 5 {
		return own(550, "5.7.1", "message refused by policy ("+id+")")
	}
	return own(451, "4.7.0", "message cannot be judged now, try again later ("+id+")")
}

// Replies of ours that need no further words.
func trouble() reply      { return own(451, "4.3.0", "trouble of ours, try again later") }
func shuttingDown() reply { return own(421, "4.3.2", "the service is shutting down, try again later") }
func tooManyFaults() reply {
	return own(421, "4.7.0", "too many errors, closing the connection")
}
