package mail

import "unicode/utf8"

// The tokens of an address list (RFC 5322 section 3.2).

// word reads a quoted string, with its quotes, or a run of atext, dots, 8-bit
// bytes and perhaps square brackets. It may be empty.
func (p *addressParser) word(brackets bool) (w []byte, ok bool) {
	start := p.at
	if p.peek() == '"' {
		ok := p.quoted()
		return p.in[start:p.at], ok
	}
	for {
		c := p.peek()
		bracket := brackets && (c == '[' || c == ']')
		if !isAtext(c) && c != '.' && c < utf8.RuneSelf && !bracket {
			return p.in[start:p.at], true
		}
		p.at++
	}
}

// quoted = DQUOTE *([FWS] qcontent) [FWS] DQUOTE
func (p *addressParser) quoted() bool {
	p.at++
	for p.at < len(p.in) {
		switch c := p.peek(); {
		case c == '"':
			p.at++
			return true
		case c == '\\':
			if !p.pair() {
				return false
			}
		case !p.text(c):
			return false
		}
	}
	return p.fail("a quoted string in the From field does not end")
}

// pair = "\" (VCHAR / WSP)
func (p *addressParser) pair() bool {
	p.at++
	if c := p.peek(); isControl(c) && c != '\t' {
		return p.fail("a control character is quoted in the From field")
	}
	p.at++
	return true
}

// text takes one byte, or one fold, of a quoted string or a comment.
func (p *addressParser) text(c byte) bool {
	if p.fold() {
		return true
	}
	if isControl(c) && c != '\t' {
		return p.fail("the From field has a control character")
	}
	p.at++
	return true
}

// fold takes a line end that WSP follows (RFC 5322 section 2.2.3). An LF without
// CR is one here as it is one for the header: BareNewline says what is wrong.
func (p *addressParser) fold() bool {
	rest := p.in[p.at:]
	switch {
	case len(rest) > 2 && rest[0] == '\r' && rest[1] == '\n' && isWSP(rest[2]):
		p.at += 3
	case len(rest) > 1 && rest[0] == '\n' && isWSP(rest[1]):
		p.at += 2
	default:
		return false
	}
	return true
}

// skipCFWS goes past comments and folding white space (RFC 5322 section 3.2.2).
func (p *addressParser) skipCFWS() bool {
	for {
		switch c := p.peek(); {
		case isWSP(c):
			p.at++
		case c == '(':
			if !p.comment() {
				return false
			}
		case !p.fold():
			return true
		}
	}
}

func (p *addressParser) comment() bool {
	depth := 0
	for p.at < len(p.in) {
		switch c := p.peek(); {
		case c == '(':
			if depth++; depth > maxComments {
				return p.fail("comments in the From field are nested too deep")
			}
			p.at++
		case c == ')':
			p.at++
			if depth--; depth == 0 {
				return true
			}
		case c == '\\':
			if !p.pair() {
				return false
			}
		case !p.text(c):
			return false
		}
	}
	return p.fail("a comment in the From field does not end")
}

// isAtext: RFC 5322 section 3.2.3.
func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '/', '=', '?', '^', '_', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

func isControl(c byte) bool { return c < ' ' || c == 0x7f }
