package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// checkText holds text against a named form. The error completes the sentence
// `"..." is ...`.
func checkText(form, s string) error {
	switch form {
	case "fqdn":
		return checkFQDN(s)
	case "token":
		return checkToken(s)
	case "host":
		return checkHost(s)
	case "listen":
		return checkListen(s)
	case "name":
		return checkName(s)
	case "customer":
		return checkCustomer(s)
	case "mode":
		return checkMode(s)
	case "rate":
		_, _, err := ParseRate(s)
		return err
	case "email":
		return checkEmail(s)
	case "dial":
		return checkDial(s)
	case "server":
		return checkServer(s)
	case "output":
		_, _, err := Output(s)
		return err
	case "path":
		return checkPath(s)
	case "postgres":
		return checkPostgres(s)
	case "url":
		return checkURL(s)
	case "user":
		return checkUser(s)
	case "bcrypt":
		return checkBcrypt(s)
	case "reply":
		return checkReply(s)
	}
	return nil
}

// isHostname holds for LDH labels (RFC 1123 section 2.1) whose last is no
// number, so that no address is among them.
func isHostname(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := range len(l) {
			if c := l[i]; !isAlnum(c) && c != '-' {
				return false
			}
		}
	}
	_, err := strconv.ParseUint(labels[len(labels)-1], 10, 64)
	return len(s) <= 253 && err != nil
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// RFC 5321 section 2.3.5: only names that resolve, so no bare word.
func checkFQDN(s string) error {
	if !isHostname(s) || !strings.Contains(s, ".") {
		return errors.New(`not a fully qualified domain name, as "mx.example.com"`)
	}
	return nil
}

// RFC 8601 section 2.2: an authserv-id is a value of RFC 2045 section 5.1. Its
// quoted form gains nothing and is often misread.
func checkToken(s string) error {
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?=`, r) {
			return fmt.Errorf("not an authserv-id: %s cannot stand in it (RFC 8601 section 2.2)", quote(string(r)))
		}
	}
	if s == "" || len(s) > 253 {
		return errors.New("not an authserv-id: it has 1 to 253 characters")
	}
	return nil
}

func checkHost(s string) error {
	if _, err := netip.ParseAddr(s); err != nil && !isHostname(s) {
		return errors.New("not a host name or address")
	}
	return nil
}

func checkListen(s string) error {
	if network, path := Network(s); network == "unix" {
		return checkSocket(path)
	}
	host, _, err := splitAddress(s, 0)
	if err != nil {
		return err
	}
	if host != "" {
		return checkHost(host)
	}
	return nil
}

func checkDial(s string) error {
	if network, path := Network(s); network == "unix" {
		return checkSocket(path)
	}
	host, _, err := splitAddress(s, 1)
	if err != nil {
		return err
	}
	if host == "" {
		return errors.New("an address without a host")
	}
	return checkHost(host)
}

// A resolver has no name: who would resolve it?
func checkServer(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	host, _, err := splitAddress(s, 1)
	if _, bad := netip.ParseAddr(host); err != nil || bad != nil {
		return errors.New(`not an address of a resolver, as "192.0.2.53", "192.0.2.53:5353" or "[2001:db8::53]:53"`)
	}
	return nil
}

// splitAddress cuts host:port; the port is a number from low up.
func splitAddress(s string, low uint64) (host string, port uint64, err error) {
	host, word, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, errors.New(`not an address with a port, as "127.0.0.1:25" or "[::1]:25"`)
	}
	port, err = strconv.ParseUint(word, 10, 16)
	if err != nil || port < low {
		return "", 0, fmt.Errorf("an address whose port is not a number of %d to 65535", low)
	}
	return host, port, nil
}

// meet tells whether a listener and a second address are the same place, as
// far as their texts show.
func meet(listen, other string) bool {
	h1, p1, err1 := splitAddress(listen, 0)
	h2, p2, err2 := splitAddress(other, 0)
	if err1 != nil || err2 != nil || p1 != p2 || p1 == 0 {
		return false
	}
	return strings.EqualFold(h1, h2) || isAny(h1) && (isAny(h2) || isLoopback(h2)) || isAny(h2) && isLoopback(h1)
}

func isAny(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && a.IsLoopback()
}

func checkPath(s string) error {
	if s == "" || len(s) > 4096 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return errors.New("not a path")
	}
	return nil
}

// checkURL keeps to what can stand in an SMTP reply as it is.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case len(s) > 200:
		return errors.New("longer than 200 characters")
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^{|}`+"`", r) }):
		return errors.New("not a URL in ASCII: write other characters percent-encoded")
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil:
		return errors.New(`not an https URL, as "https://example.com/help"`)
	}
	return nil
}

// placeholders of policy.replies.
func placeholders() []string {
	return []string{"client", "domain", "domains", "sender", "mailfrom", "named", "policy", "owner", "advice", "spf", "dkim", "iprev", "fault", "trouble", "id", "help"}
}

const (
	maxReplyLines = 3
	maxReplyLine  = 400
)

// checkReply keeps to what RFC 5321 section 4.2 allows in a reply's text.
func checkReply(s string) error {
	lines := strings.Split(s, "\n")
	if len(lines) > maxReplyLines {
		return fmt.Errorf("longer than %d lines", maxReplyLines)
	}
	for _, l := range lines {
		switch {
		case l == "":
			return errors.New("empty, or has an empty line")
		case len(l) > maxReplyLine:
			return fmt.Errorf("longer than %d characters in one line", maxReplyLine)
		case strings.ContainsFunc(l, func(r rune) bool { return r < ' ' || r > '~' }):
			return errors.New("not printable ASCII")
		}
	}
	return checkPlaceholders(s)
}

func checkPlaceholders(s string) error {
	for {
		before, after, found := strings.Cut(s, "{")
		if strings.Contains(before, "}") {
			return errors.New("a text with } that closes nothing")
		}
		if !found {
			return nil
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			return errors.New("a text with { that is not closed")
		}
		if err := checkPlaceholder(name); err != nil {
			return err
		}
		s = rest
	}
}

func checkPlaceholder(name string) error {
	if slices.Contains(placeholders(), name) {
		return nil
	}
	return fmt.Errorf("a text with the unknown placeholder {%s}%s", name, didYouMean(name, placeholders()))
}
