package testdata

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// expectation is one line of a .want about the result.
type expectation struct {
	line int
	path string // into the object of `check --json`, parts divided by dots
	op   string // ":" equals, "~" contains, "!~" contains not
	text string
}

// parse reads a .want file.
func (c *Case) parse(file, text string) error {
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		e, err := split(line)
		if err == nil && e.op == ":" && !repeatable[e.path] && seen[e.path] {
			err = errors.New("stands twice: " + e.path)
		}
		if err == nil {
			e.line = i + 1
			seen[e.path] = seen[e.path] || e.op == ":"
			err = c.directive(e)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	for _, need := range []string{"title", "envelope.client_ip", "envelope.helo", "envelope.mail_from", "envelope.rcpt_to"} {
		if !seen[need] {
			return fmt.Errorf("%s: no %s", file, need)
		}
	}
	if len(c.expects) == 0 && c.SMTP == "" {
		return fmt.Errorf("%s: nothing is expected", file)
	}
	return nil
}

var repeatable = map[string]bool{"config": true, "protected": true, "entry": true, "envelope.rcpt_to": true}

// split cuts a line into path, operator and text.
func split(line string) (expectation, error) {
	name, rest, _ := strings.Cut(line, " ")
	if p, ok := strings.CutSuffix(name, ":"); ok {
		return expectation{path: p, op: ":", text: strings.TrimSpace(rest)}, nil
	}
	op, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
	text = strings.TrimSpace(text)
	if (op == "~" || op == "!~") && text != "" {
		return expectation{path: name, op: op, text: text}, nil
	}
	return expectation{}, fmt.Errorf("not `path: text`, `path ~ text` or `path !~ text`: %s", line)
}

// directive takes in one line.
func (c *Case) directive(e expectation) error {
	if e.op == ":" {
		if known, err := c.input(e.path, e.text); known {
			return err
		}
	}
	section, _, _ := strings.Cut(e.path, ".")
	if !sections[section] {
		return errors.New("unknown: " + e.path)
	}
	c.expects = append(c.expects, e)
	return nil
}

// sections are the members of the object of `check --json` but for the
// envelope, which is input.
var sections = map[string]bool{
	"author": true, "relay": true, "iprev": true, "spf": true, "dkim": true, "arc": true, "dmarc": true, "impersonation": true,
	"sender": true, "claims": true, "defects": true, "verdict": true, "edit": true, "dns": true,
}

// input takes in what is no expectation on the object.
func (c *Case) input(name, text string) (known bool, err error) {
	switch name {
	case "title":
		c.Title = text
	case "rule":
		for rule := range strings.SplitSeq(text, ",") {
			c.Rules = append(c.Rules, strings.TrimSpace(rule))
		}
	case "time":
		c.Time, err = time.Parse(time.RFC3339, text)
	case "config":
		c.Config += text + "\n"
	case "protected":
		c.Protected = append(c.Protected, text)
	case "entry":
		c.Entries = append(c.Entries, text)
	case "smtp":
		c.SMTP = text
	case "envelope.client_ip":
		c.ClientIP = text
	case "envelope.helo":
		c.Helo = text
	case "envelope.mail_from":
		c.MailFrom = text
	case "envelope.rcpt_to":
		c.Rcpts = append(c.Rcpts, text)
	default:
		return false, nil
	}
	if err == nil && text == "" && name != "envelope.mail_from" && name != "envelope.helo" {
		err = errors.New("nothing after " + name + ":")
	}
	return true, err
}
