package mail

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Bounds of one From field.
const (
	maxFrom      = 64 << 10 // octets
	maxMailboxes = 100
	maxComments  = 20 // nested
	maxAddresses = 10 // told; all count
)

// addressParser reads an address list (RFC 5322 section 3.4, RFC 6532 section
// 3.2, RFC 6854) for the domains in it and nothing else. It goes forward only,
// byte by byte. It takes what the grammar has, and of what it does not have:
//
//   - dots and square brackets in a display name, and 8-bit bytes of any kind;
//   - dots at the ends of a local part and twice in a row (`a..b.@example.jp`,
//     which carriers gave out): they leave no doubt about the domain.
//
// It refuses what the grammar has as obsolete and where readers disagree:
// source routes, empty list members, white space and comments inside of a local
// part or a domain, a local part in several quoted pieces. Encoded words (RFC
// 2047) are never decoded; section 5 (3) there keeps them out of addresses.
//
// Methods which give a bool give false where it ends in a fault.
type addressParser struct {
	in []byte
	at int

	domains   []string // as ASCIIDomain, each once
	addresses []string // local part as written, domain as ASCIIDomain; the first maxAddresses
	local     []byte   // of the mailbox that is being read
	literal   bool     // there is an address literal
	mailboxes int
	fault     string // plain words

	steps int // bytes looked at: linear in the input
}

func (p *addressParser) fail(why string) bool {
	p.fault = why
	return false
}

// peek is the next byte, 0 at the end. A NUL in the input fails wherever it is.
func (p *addressParser) peek() byte {
	p.steps++
	if p.at == len(p.in) {
		return 0
	}
	return p.in[p.at]
}

func (p *addressParser) accept(c byte) bool {
	if p.peek() != c || p.at == len(p.in) {
		return false
	}
	p.at++
	return true
}

// list = address *("," address), to the end of the input.
func (p *addressParser) list() bool {
	if len(p.in) > maxFrom {
		return p.fail("the From field is too long")
	}
	for {
		if !p.address(false) {
			return false
		}
		if p.at == len(p.in) {
			return true
		}
		if !p.accept(',') {
			return p.unexpected("after an address")
		}
	}
}

// address = mailbox / group, and the CFWS on both sides of it. A group's
// members are mailboxes only.
func (p *addressParser) address(member bool) bool {
	if !p.skipCFWS() {
		return false
	}
	words, first, ok := p.phrase()
	if !ok {
		return false
	}
	switch c := p.peek(); {
	case c == '<':
		return p.angle() && p.skipCFWS()
	case c == '@' && words == 1:
		return p.mailbox(first) && p.skipCFWS()
	case c == '@' && words > 1:
		return p.fail("text that is not in quotes stands before an address without angle brackets")
	case c == ':' && words > 0 && !member:
		return p.group() && p.skipCFWS()
	case words == 1 && isEncodedWord(first):
		return p.fail("an encoded word stands where an address must")
	case words > 0 && (p.at == len(p.in) || c == ',' || c == ';'):
		return p.fail("the From field has an address without an @")
	case p.at == len(p.in) || c == ',' || c == ';':
		return p.fail("the From field has an empty place where an address must be")
	}
	return p.unexpected("in the From field")
}

// phrase reads words, as many as there are, each with the CFWS after it. They
// may turn out to be a display name, or, if one, a local part: first.
func (p *addressParser) phrase() (words int, first []byte, ok bool) {
	for {
		w, ok := p.word(true)
		if !ok {
			return 0, nil, false
		}
		if len(w) == 0 {
			return words, first, true
		}
		if words == 0 {
			first = w
		}
		words++
		if !p.skipCFWS() {
			return 0, nil, false
		}
	}
}

// angle = "<" addr-spec ">"
func (p *addressParser) angle() bool {
	p.at++
	if !p.skipCFWS() {
		return false
	}
	local, ok := p.word(false)
	switch {
	case !ok || !p.skipCFWS():
		return false
	case len(local) == 0 && p.peek() == '@':
		return p.fail("the From field has a source route or an empty local part")
	case len(local) == 0 && p.peek() == '>':
		return p.fail("the From field has an empty address")
	case p.peek() != '@':
		if p.peek() == '>' {
			return p.fail("the From field has an address without an @")
		}
		return p.unexpected("in an address")
	}
	if !p.mailbox(local) || !p.skipCFWS() {
		return false
	}
	if !p.accept('>') {
		return p.unexpected("in an address")
	}
	return true
}

// mailbox reads on at the @ after a local part.
func (p *addressParser) mailbox(local []byte) bool {
	switch {
	case isEncodedWord(local):
		return p.fail("an encoded word stands in an address")
	case local[0] != '"' && bytes.ContainsAny(local, "[]"):
		return p.fail("a local part has square brackets")
	case !utf8.Valid(local):
		return p.fail("a local part is not UTF-8")
	}
	if p.mailboxes++; p.mailboxes > maxMailboxes {
		return p.fail("the From field has too many addresses")
	}
	p.at++
	p.local = local
	if !p.skipCFWS() {
		return false
	}
	if p.peek() == '[' {
		return p.domainLiteral()
	}
	return p.domain()
}

// domain = dot-atom, in what RFC 6532 section 3.2 makes of it.
func (p *addressParser) domain() bool {
	d, ok := p.word(false)
	if !ok || len(d) == 0 || d[0] == '"' {
		return p.fail("the From field has an address without a domain")
	}
	name, absolute, err := asciiDomain(string(d))
	if absolute {
		return p.fail("the From field has a domain with a dot at its end")
	}
	if err != nil {
		return p.fail("the From field: " + err.Error())
	}
	if !slices.Contains(p.domains, name) {
		p.domains = append(p.domains, name)
	}
	if len(p.addresses) < maxAddresses {
		p.addresses = append(p.addresses, string(p.local)+"@"+name)
	}
	return true
}

// domainLiteral = "[" *dtext "]"; what it says is nothing to us.
func (p *addressParser) domainLiteral() bool {
	p.at++
	for {
		switch c := p.peek(); {
		case c == ']':
			p.at++
			p.literal = true
			return true
		case c <= ' ' || c >= 0x7f || c == '[' || c == '\\':
			return p.fail("the From field has an address literal that cannot be read")
		}
		p.at++
	}
}

// group = display-name ":" [group-list] ";" (RFC 6854 lets it stand in From).
func (p *addressParser) group() bool {
	p.at++
	if !p.skipCFWS() {
		return false
	}
	if p.accept(';') {
		return true
	}
	for {
		if !p.address(true) {
			return false
		}
		if p.accept(';') {
			return true
		}
		if !p.accept(',') {
			return p.unexpected("in a group of addresses")
		}
	}
}

// unexpected says what stands where nothing like it may.
func (p *addressParser) unexpected(where string) bool {
	c := p.peek()
	switch {
	case p.at == len(p.in):
		return p.fail("the From field ends too early")
	case isControl(c):
		return p.fail("the From field has a control character")
	case c == '<' || c == '>':
		return p.fail("there is an angle bracket too many " + where)
	case c == '\\':
		return p.fail("there is a backslash outside quotes " + where)
	case c == '@':
		return p.fail("there is an @ too many " + where)
	}
	return p.fail("there is text that cannot be read " + where)
}

// isEncodedWord: there is, or might be, an encoded word in w (RFC 2047 section 2).
func isEncodedWord(w []byte) bool {
	i := bytes.Index(w, []byte("=?"))
	return i >= 0 && bytes.Contains(w[i+2:], []byte("?="))
}
