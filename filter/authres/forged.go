package authres

import (
	"bytes"
	"strings"

	"sekimori/filter/mail"
)

// The names, as residue gives them.
const (
	resultsName  = "authentication-results"
	receivedName = "received-spf"

	usualName = 64 // bytes of a field's name, beyond which it costs an allocation
)

// Forged gives the indices of the fields of h which must be dropped, ascending:
// the Authentication-Results whose authserv-id is one of ids or cannot be told
// for certain (RFC 8601 section 5), those under a name that only looks like it,
// and the Received-SPF (RFC 7208 section 9.1) that name one of ids as receiver.
func Forged(h mail.Header, ids []string) []int {
	ours := canonicalIDs(ids)
	var drop []int
	room := make([]byte, 0, usualName)
	for i, f := range h.Fields {
		name, exact := residue(room, f)
		switch {
		case string(name) == resultsName && (!exact || forgedResults(f.Value, ours)),
			string(name) == receivedName && (!exact || forgedReceived(f.Value, ours)):
			drop = append(drop, i)
		}
	}
	return drop
}

// Prefixed gives the indices of the fields of h whose name begins with prefix or
// looks as if it did, ascending: nobody but us may write them.
func Prefixed(h mail.Header, prefix string) []int {
	lower := []byte(strings.ToLower(prefix))
	var drop []int
	room := make([]byte, 0, usualName)
	for i, f := range h.Fields {
		if name, _ := residue(room, f); bytes.HasPrefix(name, lower) {
			drop = append(drop, i)
		}
	}
	return drop
}

// residue is what is left of a field's name, as written, in lower case without
// white space, line ends, control characters and 8-bit bytes: what some reader
// further on may take the name for. exact tells that nothing had to be removed.
// A line without a colon gives the residue of its first word that could be one.
// It is appended to kept, which is empty.
func residue(kept []byte, f mail.Field) (name []byte, exact bool) {
	raw := f.Raw
	if len(raw) == 0 {
		raw = []byte(f.Name + ":")
	}
	written, _, colon := bytes.Cut(raw, []byte{':'})
	if !colon {
		written = bytes.TrimLeft(written, " \t\r\n")
		if n := bytes.IndexAny(written, " \t\r\n"); n >= 0 {
			written = written[:n]
		}
	}
	for _, c := range written {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c > ' ' && c < 0x7f {
			kept = append(kept, c)
		}
	}
	return kept, colon && len(kept) == len(written)
}

// forgedResults tells whether an Authentication-Results pretends to be ours, or
// may: whose it is has to be beyond doubt.
func forgedResults(value []byte, ours map[string]bool) bool {
	p := parser{scanner{rest: value}}
	id, err := p.authserv()
	if err != nil || !p.at(';') {
		return true
	}
	id, certain := canonicalID(id)
	return !certain || ours[id]
}

// forgedReceived tells whether a Received-SPF names us as the receiver: in its
// receiver= or, where it has none, in the comment after the result. One that
// cannot be read is forged if it has our name in it at all.
func forgedReceived(value []byte, ours map[string]bool) bool {
	receiver, ok := receivedBy(value)
	if !ok {
		return mentions(value, ours)
	}
	id, certain := canonicalID(receiver)
	return receiver != "" && (ours[id] || !certain && mentions(value, ours))
}

// receivedBy reads result [comment] [key-value-list] (RFC 7208 section 9.1).
func receivedBy(value []byte) (receiver string, ok bool) {
	s := scanner{rest: value}
	if _, err := s.cfws(); err != nil {
		return "", false
	}
	if _, err := s.keyword(); err != nil {
		return "", false
	}
	if _, err := s.cfws(); err != nil {
		return "", false
	}
	if len(s.comments) > 0 {
		receiver, _, _ = strings.Cut(s.comments[0], ":")
	}
	for len(s.rest) > 0 {
		key, v, err := s.pair()
		if err != nil {
			return "", false
		}
		if strings.EqualFold(key, "receiver") {
			return v, true
		}
	}
	return receiver, true
}

// pair reads key [CFWS] "=" [CFWS] ( dot-atom / quoted-string ) [CFWS] and ";"
// [CFWS] or the end.
// Senders leave more of a value unquoted than they may: anything up to white
// space or a semicolon will do.
func (s *scanner) pair() (key, value string, err error) {
	key = s.run(isTokenByte)
	if _, err = s.cfws(); err != nil {
		return "", "", err
	}
	if key == "" || !s.take('=') {
		return "", "", s.unexpected()
	}
	if _, err = s.cfws(); err != nil {
		return "", "", err
	}
	if s.at('"') {
		value, err = s.quoted()
	} else {
		value = s.run(func(c byte) bool { return c > ' ' && c != 0x7f && strings.IndexByte(`();"\`, c) < 0 })
	}
	if err != nil {
		return "", "", err
	}
	if _, err = s.cfws(); err != nil {
		return "", "", err
	}
	if !s.take(';') && len(s.rest) > 0 {
		return "", "", s.unexpected()
	}
	_, err = s.cfws()
	return key, value, err
}

// mentions tells whether one of the ids stands anywhere in value, case and
// white space aside.
func mentions(value []byte, ours map[string]bool) bool {
	flat := strings.ToLower(strings.Join(strings.Fields(string(value)), ""))
	for id := range ours {
		if strings.Contains(flat, id) {
			return true
		}
	}
	return false
}

// canonicalIDs makes ids comparable.
func canonicalIDs(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		c, _ := canonicalID(id)
		set[c] = true
	}
	delete(set, "")
	return set
}

// canonicalID is the form in which authserv-ids are compared: of a domain its
// A-labels in lower case, of any other token that in lower case. certain is
// false for what is neither, which a reader could take for anything.
func canonicalID(id string) (canonical string, certain bool) {
	id = strings.ToLower(strings.TrimRight(id, "."))
	for i := 0; i < len(id); i++ {
		if id[i] < 0x80 && !isTokenByte(id[i]) {
			return id, false
		}
	}
	if d, err := mail.ASCIIDomain(id); err == nil {
		return d, true
	}
	return id, isToken(id)
}
