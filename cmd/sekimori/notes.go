package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Bounds of what notes tell, whatever the message.
const (
	maxNotes  = 30
	maxSame   = 3   // notes of one kind
	maxQuoted = 100 // bytes of the message in one quotation
)

// notesOf tells people what in a message deceives, or may: whom it deceives and
// where it stands. It decides nothing. All that is of the message is quoted.
func notesOf(m *mail.Message, r filter.Results) []string {
	all := []string{}
	for _, some := range [][]string{
		lineNotes(m), defectNotes(m), fromNotes(m), authorNotes(m, r), signatureNotes(m, r), senderNotes(m, r), contentNotes(m),
	} {
		all = append(all, some...)
	}
	return all[:min(len(all), maxNotes)]
}

// quoted shows bytes of the message.
func quoted(b []byte) string {
	b = bytes.TrimRight(b, "\r\n")
	if len(b) <= maxQuoted {
		return strconv.Quote(string(b))
	}
	cut := maxQuoted
	for cut > maxQuoted-utf8.UTFMax && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return strconv.Quote(string(b[:cut])) + "..."
}

// line is the number of the line, from 1, on which an offset stands.
func line(m *mail.Message, offset int) int {
	return 1 + bytes.Count(m.Header.Raw[:offset], []byte("\n"))
}

// lineNotes name the lines that are no field, or that not everybody sees as one.
func lineNotes(m *mail.Message) []string {
	var all []string
	for i := range m.Header.Fields {
		f := &m.Header.Fields[i]
		words := noField(f)
		if f.Name != "" {
			words = obsoleteField(f)
		}
		if words == "" {
			continue
		}
		if all = append(all, fmt.Sprintf("Line %d of the header %s: %s", line(m, f.Offset), words, quoted(f.Raw))); len(all) == maxSame {
			return all
		}
	}
	return all
}

func noField(f *mail.Field) string {
	first, rest, _ := bytes.Cut(f.Raw, []byte("\n"))
	name, _, colon := bytes.Cut(first, []byte(":"))
	switch {
	case len(bytes.TrimSpace(first)) == 0:
		return "is blank, but does not end it"
	case f.Raw[0] == ' ' || f.Raw[0] == '\t':
		return "begins with a blank, so that some programs see the field and others do not"
	case bytes.HasPrefix(f.Raw, []byte("From ")) && bytes.Contains(name, []byte("@")):
		return "is no field but the first line of a mailbox file, in which some programs see the author"
	case !colon && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte(":")):
		return "is a field name whose colon stands on the next line, so that some programs see the field and others do not"
	case colon && bytes.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }):
		return "has a field name that is not ASCII, which some programs read as the name without these characters"
	}
	return "is no field, which is a name, a colon and a text"
}

func obsoleteField(f *mail.Field) string {
	if colon := bytes.IndexByte(f.Raw, ':'); colon == len(f.Name) {
		return ""
	}
	return "has a blank before its colon, so that some programs see the field and others do not"
}

// defectNotes explain the defects that are no matter of one field.
func defectNotes(m *mail.Message) []string {
	var all []string
	if m.Has(mail.BareNewline) {
		all = append(all, "A CR or LF stands alone: some programs take it for the end of a line and see another header, or even another message, than others")
	}
	if m.Has(mail.HeaderNUL) {
		all = append(all, inLine(m, isControl, "has a control character, at which some programs cut the text and which others drop"))
	}
	if m.Has(mail.BlankFold) {
		all = append(all, blankNote(m))
	}
	if m.Has(mail.DuplicateField) {
		all = append(all, duplicateNotes(m)...)
	}
	if m.Has(mail.HeaderNotUTF8) {
		all = append(all, inLine(m, isBroken, "has bytes that are not UTF-8, of which each program makes other characters"))
	}
	if m.Has(mail.HeaderWithoutNL) {
		all = append(all, "The message ends within a line of its header")
	}
	if m.Has(mail.BodyNUL) {
		all = append(all, "The body has a NUL byte, at which some programs stop reading and which others drop")
	}
	return all
}

// inLine names the first line of the header with such a character, and shows
// what stands around that.
func inLine(m *mail.Message, is func(rune) bool, words string) string {
	at := bytes.IndexFunc(m.Header.Raw, is)
	if at < 0 {
		return "The header " + words
	}
	begin := max(bytes.LastIndexByte(m.Header.Raw[:at], '\n')+1, at-maxQuoted/2)
	text, _, _ := bytes.Cut(m.Header.Raw[begin:], []byte("\n"))
	return fmt.Sprintf("Line %d of the header %s: %s", line(m, at), words, quoted(text))
}

func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' }

// isBroken is so too of a character that is rightly there, which hardly anybody
// writes.
func isBroken(r rune) bool { return r == utf8.RuneError }

// blankNote shows what stands below the line: the header of one reader and the
// body of the other.
func blankNote(m *mail.Message) string {
	n, blank := 0, false
	for l := range bytes.Lines(m.Header.Raw) {
		if blank {
			return fmt.Sprintf("Line %d of the header holds blanks and nothing else: some programs take it for the end of the header, others go on with %s", n, quoted(l))
		}
		n++
		blank = n > 1 && len(bytes.TrimSpace(l)) == 0
	}
	return fmt.Sprintf("Line %d of the header holds blanks and nothing else: some programs take it for the end of the header, others go on below it", n)
}

func duplicateNotes(m *mail.Message) []string {
	var all []string
	for _, name := range []string{"Subject", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Message-ID", "In-Reply-To", "References"} {
		if n := m.Header.Count(name); n > 1 && len(all) < maxSame {
			all = append(all, fmt.Sprintf("There are %d %s fields, and programs differ on which of them counts", n, name))
		}
	}
	return all
}

// contentNotes tell of what is no matter of SPF, DKIM and DMARC, but may look so.
func contentNotes(m *mail.Message) []string {
	var all []string
	if f := m.Header.Get("ARC-Seal"); f != nil {
		all = append(all, "The message has ARC fields, in which anybody can claim any result: ARC is not evaluated here. The topmost: "+quoted(f.Raw))
	}
	for i := range m.Header.Fields {
		if f := &m.Header.Fields[i]; len(f.Name) > 5 && strings.EqualFold(f.Name[:5], "BIMI-") {
			all = append(all, "The message brings BIMI fields along, to have a logo shown beside its author; they are worth nothing: "+quoted(f.Raw))
			break
		}
	}
	return append(all, mimeNotes(m)...)
}
