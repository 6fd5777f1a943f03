package mail

import (
	"errors"
	"net/netip"
	"strings"
)

// Received is what a Received field (RFC 5321 section 4.4) says of the client
// from which its writer got the message.
type Received struct {
	Client        netip.Addr // never IPv4-mapped, no zone
	Helo          string     // as the client said it: hostile, unvalidated; "" if the field does not tell
	Authenticated bool       // by SMTP AUTH (RFC 3848): a submission, not mail between hosts

	// Queue marks what qmail-queue writes above the field of its own SMTP
	// server: nothing else is told, and the next field is of the same host.
	Queue bool
}

// The bounds of a Received field. Honest ones have some hundred octets.
const (
	maxReceived      = 4096
	maxReceivedDepth = 16
)

var (
	errReceivedForm   = errors.New("the Received field cannot be read")
	errReceivedClient = errors.New("the Received field names no client")
	errReceivedTwo    = errors.New("the Received field can be read in two ways")
)

// ParseReceived reads the value of a Received field in the forms in which MTAs
// write the client's address, which RFC 5321 wants in a comment (TCP-info):
//
//	from HELO (NAME [ADDRESS]) by ...           Postfix, Sendmail and most others; ident@NAME, or no NAME
//	from NAME ([ADDRESS]:PORT helo=HELO) by ... Exim
//	from [ADDRESS] (port=PORT helo=HELO) by ... Exim, for a client without a name
//	from HELO (ADDRESS) by ...                  Exchange
//	from NAME (HELO HELO) (IDENT@ADDRESS) by    qmail and its heirs, also with brackets
//
// The client has chosen HELO, its name in the DNS and the ident. What is not one
// of these forms from end to end, or holds a second address, is an error: a
// client must not be able to put words in the writer's mouth. The field is only
// ever as true as its writer; which those are, the caller must know. Errors
// hold no bytes of the field.
func ParseReceived(value []byte) (Received, error) {
	p := receivedParser{in: value}
	if len(value) > maxReceived || !p.tokenize() {
		return Received{}, errReceivedForm
	}
	if p.isQueue() {
		return Received{Queue: true}, nil
	}
	return p.read()
}

// receivedToken is a word or a comment without its parentheses.
type receivedToken struct {
	text    string
	comment bool
}

type receivedParser struct {
	in     []byte
	at     int
	tokens []receivedToken

	// What the comments behind "from" say.
	client netip.Addr
	helo   string
	found  int  // comments with the client's address
	said   int  // places that tell HELO
	exim   bool // there is a comment of Exim's form
}

// tokenize takes all up to the date.
func (p *receivedParser) tokenize() bool {
	for p.at < len(p.in) {
		switch c := p.in[p.at]; {
		case isWSP(c), c == '\r', c == '\n':
			p.at++
		case c == ';':
			return true
		case c == '(':
			if !p.comment() {
				return false
			}
		case !p.word():
			return false
		}
	}
	return true
}

func (p *receivedParser) word() bool {
	start := p.at
	for p.at < len(p.in) && strings.IndexByte(" \t\r\n();", p.in[p.at]) < 0 {
		if isControl(p.in[p.at]) {
			return false
		}
		p.at++
	}
	p.tokens = append(p.tokens, receivedToken{text: string(p.in[start:p.at])})
	return p.at > start
}

// comment may hold others, and quoted pairs (RFC 5322 section 3.2.2).
func (p *receivedParser) comment() bool {
	start, depth := p.at+1, 0
	for ; p.at < len(p.in); p.at++ {
		switch c := p.in[p.at]; {
		case c == '\\':
			if p.at++; p.at < len(p.in) && isControl(p.in[p.at]) {
				return false
			}
		case c == '(':
			if depth++; depth > maxReceivedDepth {
				return false
			}
		case c == ')':
			if depth--; depth == 0 {
				p.tokens = append(p.tokens, receivedToken{text: string(p.in[start:p.at]), comment: true})
				p.at++
				return true
			}
		case isControl(c) && c != '\t' && c != '\r' && c != '\n':
			return false
		}
	}
	return false
}

// isQueue: "(qmail 4242 invoked from network)". Invoked by a user or by an alias
// it is a message that was made there.
func (p *receivedParser) isQueue() bool {
	if len(p.tokens) != 1 || !p.tokens[0].comment {
		return false
	}
	f := strings.Fields(p.tokens[0].text)
	return len(f) == 5 && f[0] == "qmail" && strings.Join(f[2:], " ") == "invoked from network"
}

func (p *receivedParser) read() (Received, error) {
	name, ok := p.keyword(0, "from")
	if !ok {
		return Received{}, errReceivedClient
	}
	i := 2
	for ; i < len(p.tokens) && p.tokens[i].comment; i++ {
		p.tell(strings.Fields(p.tokens[i].text))
	}
	if _, ok := p.keyword(i, "by"); !ok {
		return Received{}, errReceivedForm
	}
	p.exim = p.exim || p.markOfExim(i)
	if literal, ok := bracketed(name); ok && p.found == 0 && p.exim {
		p.client, p.found = literal, 1
	}
	switch {
	case p.found == 0:
		return Received{}, errReceivedClient
	case p.found > 1, p.said > 1:
		return Received{}, errReceivedTwo
	case p.said == 0:
		p.helo = name
	}
	return Received{Client: p.client, Helo: p.helo, Authenticated: isAuthenticated(p.protocol(i + 2))}, nil
}

// keyword gives the word that stands after key at i.
func (p *receivedParser) keyword(i int, key string) (string, bool) {
	if i+1 >= len(p.tokens) || p.tokens[i].comment || p.tokens[i+1].comment || !strings.EqualFold(p.tokens[i].text, key) {
		return "", false
	}
	return p.tokens[i+1].text, true
}

// protocol is what follows "with", behind comments and "via".
func (p *receivedParser) protocol(i int) string {
	for ; i < len(p.tokens); i++ {
		if p.tokens[i].comment {
			continue
		}
		if with, ok := p.keyword(i, "with"); ok {
			return with
		}
		if _, ok := p.keyword(i, "via"); !ok {
			return ""
		}
		i++
	}
	return ""
}

// isAuthenticated: RFC 3848, RFC 6531 section 4.3 and LMTP's; Exim writes them
// in small letters.
func isAuthenticated(protocol string) bool {
	switch strings.ToUpper(protocol) {
	case "ESMTPA", "ESMTPSA", "LMTPA", "LMTPSA", "UTF8SMTPA", "UTF8SMTPSA", "UTF8LMTPA", "UTF8LMTPSA":
		return true
	}
	return false
}

func (p *receivedParser) markOfExim(i int) bool {
	for ; i < len(p.tokens); i++ {
		if p.tokens[i].comment && strings.HasPrefix(p.tokens[i].text, "Exim ") {
			return true
		}
	}
	return false
}

// tell takes the words of one comment behind "from". Those that are not about
// the client's address or its HELO, about TLS say, tell nothing.
func (p *receivedParser) tell(words []string) {
	if len(words) == 2 && (strings.EqualFold(words[0], "HELO") || strings.EqualFold(words[0], "EHLO")) {
		p.hello(words[1])
		return
	}
	if len(words) > 0 && isPairs(words) {
		p.exim = true
		p.pairs(words)
		return
	}
	client, rest, ok := tcpInfo(words)
	switch {
	case !ok:
	case isPairs(rest):
		p.found++
		p.client = client
		p.pairs(rest)
	case strings.Join(rest, " ") == "(may be forged)":
		p.found++
		p.client = client
	}
}

// hello: a name with a parenthesis may as well end before a comment within.
func (p *receivedParser) hello(name string) {
	p.helo, p.said = name, p.said+1
	if strings.ContainsAny(name, "()") {
		p.said++
	}
}

func (p *receivedParser) pairs(words []string) {
	for _, w := range words {
		if helo, ok := strings.CutPrefix(w, "helo="); ok {
			p.hello(helo)
		}
	}
}

// isPairs tells whether all the words are of the kind that Exim writes.
func isPairs(words []string) bool {
	for _, w := range words {
		key, _, ok := strings.Cut(w, "=")
		if !ok || key != "helo" && key != "port" && key != "ident" {
			return false
		}
	}
	return true
}

// tcpInfo finds the address in the words of a comment: in brackets as the first
// word or behind a name, or the only word without any.
func tcpInfo(words []string) (client netip.Addr, rest []string, ok bool) {
	if len(words) == 0 {
		return netip.Addr{}, nil, false
	}
	last := words[0][strings.LastIndexByte(words[0], '@')+1:]
	if client, ok = bracketed(last); ok {
		return client, words[1:], true
	}
	if len(words) == 1 {
		client, ok = receivedAddr(last)
		return client, nil, ok
	}
	if strings.ContainsAny(words[0], "[]=") {
		return netip.Addr{}, nil, false
	}
	client, ok = bracketed(words[1])
	return client, words[2:], ok
}

// bracketed reads [ADDRESS] or [ADDRESS]:PORT.
func bracketed(s string) (netip.Addr, bool) {
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return netip.Addr{}, false
	}
	inner, port, ok := strings.Cut(inner, "]")
	if !ok || port != "" && (port[0] != ':' || strings.Trim(port[1:], "0123456789") != "") {
		return netip.Addr{}, false
	}
	return receivedAddr(inner)
}

// receivedAddr: RFC 5321 section 4.1.3, also without the tag of IPv6.
func receivedAddr(s string) (netip.Addr, bool) {
	const tag = "IPv6:"
	if len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag) {
		s = s[len(tag):]
	}
	a, err := netip.ParseAddr(s)
	return a.Unmap(), err == nil && a.Zone() == ""
}
