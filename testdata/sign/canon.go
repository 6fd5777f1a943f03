package main

import (
	"bytes"
	"regexp"
	"strings"
)

// split cuts a header into fields with their line ends.
func split(header string) []string {
	var fields []string
	for _, line := range strings.SplitAfter(header, "\r\n") {
		switch {
		case line == "":
		case len(fields) > 0 && (line[0] == ' ' || line[0] == '\t'):
			fields[len(fields)-1] += line
		default:
			fields = append(fields, line)
		}
	}
	return fields
}

// canonicalField: RFC 6376 sections 3.4.1 and 3.4.2.
func canonicalField(field, canon string) string {
	if canon != "relaxed" {
		return field
	}
	name, value, _ := strings.Cut(field, ":")
	value = strings.ReplaceAll(value, "\r\n", "")
	value = strings.Trim(regexp.MustCompile(`[ \t]+`).ReplaceAllString(value, " "), " ")
	return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + value + "\r\n"
}

// canonicalBody: RFC 6376 sections 3.4.3 and 3.4.4.
func canonicalBody(body []byte, canon string) []byte {
	if canon == "relaxed" {
		body = regexp.MustCompile(`[ \t]+`).ReplaceAll(body, []byte(" "))
		body = bytes.ReplaceAll(body, []byte(" \r\n"), []byte("\r\n"))
		body = bytes.TrimSuffix(body, []byte(" "))
	}
	for bytes.HasSuffix(body, []byte("\r\n")) {
		body = body[:len(body)-2]
	}
	if len(body) > 0 || canon != "relaxed" {
		body = append(bytes.Clone(body), "\r\n"...)
	}
	return body
}
