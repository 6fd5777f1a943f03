package main

import (
	"bytes"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// maxLookedFrom bounds what is looked at of one From field.
const maxLookedFrom = 4 << 10

// fromNotes show the From fields where they do not give one author, and all that
// a From field hides from the eye.
func fromNotes(m *mail.Message) []string {
	var all []string
	if status := m.Author().Status; status != mail.AuthorDomain {
		all = append(all, authorlessNotes(m)...)
	}
	looked := 0
	for _, f := range m.Header.All("From") {
		if looked++; looked > maxSame {
			break
		}
		value := mail.Unfold(f.Value[:min(len(f.Value), maxLookedFrom)])
		if s := strange(string(value)); s != "" {
			all = append(all, "From has characters that cannot be seen or that turn the direction of reading: "+s)
		}
		all = append(all, encodedNotes(string(value))...)
	}
	return all
}

// authorlessNotes show what each program picks its author from.
func authorlessNotes(m *mail.Message) []string {
	var all []string
	for _, f := range m.Header.All("From") {
		if len(all) < maxSame {
			all = append(all, fmt.Sprintf("Line %d of the header has a From field, of which programs make different authors: %s", line(m, f.Offset), quoted(f.Raw)))
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, name := range []string{"Sender", "Resent-From", "Resent-Sender", "Reply-To"} {
		if f := m.Header.Get(name); f != nil {
			all = append(all, fmt.Sprintf("Without a From field some programs show what %s has: %s", name, quoted(f.Value)))
		}
	}
	if len(all) == 0 {
		all = append(all, "Without a From field programs show no author, or the address of MAIL FROM")
	}
	return all
}

// strange names the characters that cannot be seen, each once.
func strange(s string) string {
	var found []string
	for _, r := range s {
		hidden := unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zs, r) && r != ' '
		if u := fmt.Sprintf("%U", r); hidden && !slices.Contains(found, u) && len(found) < maxSame {
			found = append(found, u)
		}
	}
	return strings.Join(found, ", ")
}

// encodedNotes tell of encoded words (RFC 2047) what they read as, where that
// could be taken for an address.
func encodedNotes(from string) []string {
	var all []string
	for _, word := range strings.FieldsFunc(from, func(r rune) bool { return strings.ContainsRune(" \t,<>@\"", r) }) {
		if !strings.HasPrefix(word, "=?") || !strings.HasSuffix(word, "?=") || len(all) == maxSame {
			continue
		}
		charset, _, _ := strings.Cut(word[2:], "?")
		text, err := new(mime.WordDecoder).Decode(word)
		switch {
		case strings.EqualFold(charset, "utf-7"):
			all = append(all, "From has an encoded word in UTF-7, in which some programs read characters such as @ and < that others do not see: "+quoted([]byte(word)))
		case err != nil:
			all = append(all, "From has an encoded word that not every program can read: "+quoted([]byte(word)))
		case strings.ContainsAny(text, "@<>,.") || strange(text) != "":
			all = append(all, fmt.Sprintf("From has the encoded word %s, which some programs show and use as %s", quoted([]byte(word)), quoted([]byte(text))))
		}
	}
	return all
}

// authorNotes tell of a sole author what his address looks like.
func authorNotes(m *mail.Message, r filter.Results) []string {
	var all []string
	for i, d := range r.Author.Domains {
		if i == maxSame {
			break
		}
		if text := lookalike(d); text != "" {
			all = append(all, text)
		}
	}
	if r.Author.Status != mail.AuthorDomain {
		return all
	}
	name, _ := splitFrom(m)
	for _, d := range domainsIn(name) {
		if d != r.Author.Domain {
			all = append(all, fmt.Sprintf("The display name in From has an address of %s, which many programs show alone, but the author's domain is %s", quoted([]byte(d)), r.Author.Domain))
		}
	}
	return all
}

// lookalike shows an internationalized domain (RFC 5890) as mail programs do.
func lookalike(domain string) string {
	if !strings.Contains(domain, "xn--") {
		return ""
	}
	shown, err := idna.ToUnicode(domain)
	if err != nil || shown == domain {
		return ""
	}
	var foreign []string
	for _, r := range shown {
		if u := fmt.Sprintf("%U %s", r, script(r)); r > unicode.MaxASCII && !slices.Contains(foreign, u) && len(foreign) < maxSame {
			foreign = append(foreign, u)
		}
	}
	return fmt.Sprintf("The author's domain %s is shown as %s (with %s): it may be a lookalike of another name, and DMARC speaks for this one only",
		domain, quoted([]byte(shown)), strings.Join(foreign, ", "))
}

func script(r rune) string {
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return "of no script"
}

// splitFrom gives display name and comments of a From field with a sole author,
// encoded words decoded, and the local part of his address.
func splitFrom(m *mail.Message) (name, local string) {
	f := m.Header.Get("From")
	if f == nil || len(f.Value) > maxLookedFrom {
		return "", ""
	}
	value := mail.Unfold(f.Value)
	before, address := []byte(nil), value
	if i := bytes.LastIndexByte(value, '<'); i >= 0 {
		before, address = value[:i], value[i+1:]
	} else if i := bytes.IndexByte(value, '('); i >= 0 {
		address, before = value[:i], value[i:]
	}
	if i := bytes.LastIndexByte(address, '@'); i >= 0 {
		local = string(bytes.TrimSpace(address[:i]))
	}
	name = string(before)
	if text, err := new(mime.WordDecoder).DecodeHeader(name); err == nil {
		name = text
	}
	return name, local
}

// domainsIn gives the domains of what looks like addresses, each once, as A-labels.
func domainsIn(text string) []string {
	var all []string
	for i, after := range strings.Split(text, "@") {
		if i == 0 || len(all) == maxSame {
			continue
		}
		end := strings.IndexFunc(after, func(r rune) bool {
			return r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		})
		if end < 0 {
			end = len(after)
		}
		d, err := mail.ASCIIDomain(strings.Trim(after[:end], ".-"))
		if err == nil && strings.Contains(d, ".") && !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	return all
}
