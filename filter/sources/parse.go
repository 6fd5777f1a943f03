package sources

import (
	"bytes"
	"strings"
)

// parser reads the text of one file into a collector.
type parser func(text []byte, c *collector) error

// parserOf gives the parser of a kind's files.
func parserOf(k Kind) parser {
	switch k {
	case CPanel:
		return parseCPanel
	case Postfix:
		return parsePostfix
	}
	return parseList
}

// eachLine gives the lines of a text with their numbers, from 1, to a function;
// the first error ends it.
func eachLine(text []byte, c *collector, line func(n int, s string) error) error {
	if bytes.IndexByte(text, 0) >= 0 {
		return errBinary
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for n := 1; len(text) > 0; n++ {
		one, rest, _ := bytes.Cut(text, []byte("\n"))
		text = rest
		if len(one) > maxLine {
			c.fault(n, "is longer than %d characters", maxLine)
			continue
		}
		if err := line(n, string(bytes.TrimSuffix(one, []byte("\r")))); err != nil {
			return err
		}
	}
	return nil
}

// parseList reads one domain a line, with its customer, if one is named, after
// blanks. What follows a # is a comment.
func parseList(text []byte, c *collector) error {
	return eachLine(text, c, func(n int, s string) error {
		s, _, _ = strings.Cut(s, "#")
		words := strings.Fields(s)
		switch len(words) {
		case 0:
			return nil
		case 1:
			return c.add(n, words[0], "")
		case 2:
			return c.add(n, words[0], words[1])
		}
		c.fault(n, "%s is more than a domain and its customer", quote(s))
		return nil
	})
}

// parseCPanel reads "domain: user", as /etc/userdomains has it, and lines of a
// domain alone, as /etc/localdomains has them. "*: nobody" is everybody else.
func parseCPanel(text []byte, c *collector) error {
	return eachLine(text, c, func(n int, s string) error {
		s = strings.TrimSpace(s)
		if s == "" || s[0] == '#' || strings.HasPrefix(s, "*:") {
			return nil
		}
		domain, user, _ := strings.Cut(s, ":")
		return c.add(n, strings.TrimSpace(domain), strings.TrimSpace(user))
	})
}

// parsePostfix reads the text of a lookup table (postmap(1), "TABLE FORMAT"),
// which is also what "postmap -s" prints: a key, blanks, a value; a line that
// begins with a blank goes on with the one before it. Keys are domains.
func parsePostfix(text []byte, c *collector) error {
	alone, at := "", 0 // a key whose value may come in the next line
	without := func() {
		if alone != "" {
			c.fault(at, "%s has no value: Postfix wants a key, a blank and a value", quote(alone))
		}
		alone = ""
	}
	err := eachLine(text, c, func(n int, s string) error {
		words := strings.Fields(s)
		switch {
		case len(words) == 0 || words[0][0] == '#':
			return nil
		case s[0] == ' ' || s[0] == '\t':
			key := alone
			alone = ""
			return c.key(at, key)
		}
		without()
		if len(words) == 1 {
			alone, at = words[0], n
			return nil
		}
		return c.key(n, words[0])
	})
	without()
	return err
}

// key takes a key of a table that has a value. Tables of aliases mix domains
// with addresses, which are passed over.
func (c *collector) key(line int, key string) error {
	switch {
	case key == "":
		return nil
	case strings.Contains(key, "@"):
		c.good++
		return nil
	}
	return c.add(line, key, "")
}
