package authres

import (
	"bytes"
	"errors"
	"strings"
)

// maxDepth is how deep comments may nest: nobody needs more than three.
const maxDepth = 20

// What a field may have wrong.
var (
	errUnclosed = errors.New("comment or quoted string without an end")
	errDepth    = errors.New("comments nest too deep")
	errByte     = errors.New("a byte that may not stand there")
	errEnd      = errors.New("the field ends too early")
)

// scanner reads the lexical parts of a structured field (RFC 5322 section 3.2)
// from its front, each byte once.
type scanner struct {
	rest     []byte
	comments []string // texts of those that the last cfws met
}

// at tells whether c comes next.
func (s *scanner) at(c byte) bool { return len(s.rest) > 0 && s.rest[0] == c }

// take reads c if it comes next.
func (s *scanner) take(c byte) bool {
	if !s.at(c) {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// white is the length of the white space at the front: SP, HT, or a fold.
func (s *scanner) white() int {
	switch {
	case s.at(' ') || s.at('\t'):
		return 1
	case bytes.HasPrefix(s.rest, []byte("\r\n ")) || bytes.HasPrefix(s.rest, []byte("\r\n\t")):
		return 3
	}
	return 0
}

// cfws reads comments and folding white space and tells whether there were any.
func (s *scanner) cfws() (bool, error) {
	s.comments = nil
	start := len(s.rest)
	for {
		if n := s.white(); n > 0 {
			s.rest = s.rest[n:]
			continue
		}
		if !s.at('(') {
			return len(s.rest) < start, nil
		}
		text, err := s.comment()
		if err != nil {
			return false, err
		}
		s.comments = append(s.comments, text)
	}
}

// comment reads one comment and gives its text, white space as single blanks.
func (s *scanner) comment() (string, error) {
	var text []byte
	depth := 0
	for len(s.rest) > 0 {
		c, n, err := s.char()
		if err != nil {
			return "", err
		}
		switch escaped := n == 2; {
		case c == '(' && !escaped:
			depth++
		case c == ')' && !escaped:
			depth--
		}
		if depth > maxDepth {
			return "", errDepth
		}
		s.rest = s.rest[n:]
		text = append(text, c)
		if depth == 0 {
			return strings.Join(strings.Fields(string(text[1:len(text)-1])), " "), nil
		}
	}
	return "", errUnclosed
}

// quoted reads one quoted-string and gives what it means.
func (s *scanner) quoted() (string, error) {
	if !s.take('"') {
		return "", errByte
	}
	var text []byte
	for len(s.rest) > 0 {
		c, n, err := s.char()
		if err != nil {
			return "", err
		}
		s.rest = s.rest[n:]
		if c == '"' && n == 1 {
			return string(text), nil
		}
		text = append(text, c)
	}
	return "", errUnclosed
}

// char is the next character within a comment or a quoted-string and its length
// in the field: 1, 2 for a quoted-pair, 3 for the CRLF and WSP of a fold.
func (s *scanner) char() (c byte, length int, err error) {
	if n := s.white(); n > 0 {
		return s.rest[n-1], n, nil
	}
	c, length = s.rest[0], 1
	if c == '\\' {
		if len(s.rest) < 2 {
			return 0, 0, errUnclosed
		}
		c, length = s.rest[1], 2
		if c == ' ' || c == '\t' {
			return c, length, nil
		}
	}
	if c < ' ' || c == 0x7f {
		return 0, 0, errByte
	}
	return c, length, nil
}

// run reads as long as ok holds.
func (s *scanner) run(ok func(byte) bool) string {
	n := 0
	for n < len(s.rest) && ok(s.rest[n]) {
		n++
	}
	run := string(s.rest[:n])
	s.rest = s.rest[n:]
	return run
}

// keyword reads a Keyword (RFC 5321 section 4.1.2), in lower case.
func (s *scanner) keyword() (string, error) {
	word := s.run(func(c byte) bool { return isAlnum(c) || c == '-' })
	if !isKeyword(word) {
		return "", s.unexpected()
	}
	return strings.ToLower(word), nil
}

// value reads token / quoted-string (RFC 2045 section 5.1).
func (s *scanner) value() (string, error) {
	if s.at('"') {
		return s.quoted()
	}
	word := s.run(isTokenByte)
	if word == "" {
		return "", s.unexpected()
	}
	return word, nil
}

// digits reads 1*DIGIT.
func (s *scanner) digits() string {
	return s.run(func(c byte) bool { return c >= '0' && c <= '9' })
}

func (s *scanner) unexpected() error {
	if len(s.rest) == 0 {
		return errEnd
	}
	return errByte
}
