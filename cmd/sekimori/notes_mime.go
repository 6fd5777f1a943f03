package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"regexp"
	"strings"

	"sekimori/filter/mail"
)

// maxLooked bounds what is looked at of the body for notes, and maxContentType
// the field that is parsed.
const (
	maxLooked      = 1 << 20
	maxContentType = 4 << 10
)

func mimeNotes(m *mail.Message) []string {
	return append(bodyNotes(m), typeNotes(m)...)
}

// bodyNotes tell of a body that begins as a header would.
func bodyNotes(m *mail.Message) []string {
	begin := make([]byte, maxContentType)
	n, _ := io.ReadFull(m.Body(), begin)
	first, _, _ := bytes.Cut(begin[:n], []byte("\n"))
	name, _, ok := strings.Cut(string(first), ":")
	if !ok || !isShown(name) {
		return nil
	}
	return []string{"The body begins like another header, and nobody has checked what that says of the author or of results: " + quoted(first)}
}

func typeNotes(m *mail.Message) []string {
	f := m.Header.Get("Content-Type")
	if f == nil || len(f.Value) > maxContentType {
		return nil
	}
	kind, params, err := mime.ParseMediaType(string(mail.Unfold(f.Value)))
	if err != nil {
		return []string{"The Content-Type cannot be read, and each program makes something else of it: " + quoted(f.Value)}
	}
	var all []string
	if strings.EqualFold(params["charset"], "utf-7") {
		all = append(all, "The body is in UTF-7, in which text can hide from whatever does not expect it: hardly any honest program writes it")
	}
	if name, _, ok := strings.Cut(params["boundary"], ":"); ok && isShown(name) {
		all = append(all, fmt.Sprintf("The MIME boundary looks like a %s field, for which careless programs may take it: %s", quoted([]byte(name)), quoted([]byte(params["boundary"]))))
	}
	if kind == "message/rfc822" || kind == "message/global" || strings.HasPrefix(kind, "multipart/") && hasAttachedMessage(m) {
		all = append(all, "A message is attached (message/rfc822): its header has an author and perhaps results of checks too, and nobody has checked them")
	}
	return all
}

// isShown tells of the fields that mail programs show or go by.
func isShown(name string) bool {
	for _, known := range []string{"From", "Sender", "Reply-To", "To", "Subject", "Date", "Authentication-Results"} {
		if strings.EqualFold(strings.TrimSpace(name), known) {
			return true
		}
	}
	return false
}

// hasAttachedMessage looks for a part that is a message, without regard to how
// parts are nested.
func hasAttachedMessage(m *mail.Message) bool {
	part := regexp.MustCompile(`(?i)(?:^|\n)content-type:[ \t]*(?:\r?\n[ \t]+)?message/(?:rfc822|global)\b`)
	body, err := io.ReadAll(io.LimitReader(m.Body(), maxLooked))
	return err == nil && part.Match(body)
}
