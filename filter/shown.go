package filter

import (
	"bytes"
	"mime"
	"strings"

	"sekimori/filter/mail"
)

// Shown is what the header shows to its reader, for the log: hostile, and
// nothing is decided by it.
type Shown struct {
	MessageID string // of the topmost Message-ID, as written, without white space and angle brackets; at most 250 bytes
	Subject   string // of the topmost Subject, its encoded words read (RFC 2047); "" unless Filter.Subject; at most 1000 bytes
}

// Bounds of what is shown.
const (
	maxMessageID = 250
	maxSubject   = 1000
)

func (f *Filter) shown(h *mail.Header) Shown {
	s := Shown{MessageID: strings.Trim(shownField(h, "Message-ID", maxMessageID+4), "<> \t")}
	if f.Subject {
		s.Subject = decoded(shownField(h, "Subject", maxSubject))
	}
	return s
}

// shownField is the topmost field, unfolded.
func shownField(h *mail.Header, name string, limit int) string {
	field := h.Get(name)
	if field == nil {
		return ""
	}
	v := bytes.TrimSpace(mail.Unfold(field.Value))
	return string(v[:min(len(v), limit)])
}

// decoded reads encoded words of the character sets that Go knows by itself; any
// other word stays as it is.
func decoded(s string) string {
	var d mime.WordDecoder
	text, err := d.DecodeHeader(s)
	if err != nil {
		return s
	}
	return text[:min(len(text), maxSubject)]
}
