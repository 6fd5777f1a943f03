package authres

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxField is how long a field Parse reads.
const maxField = 64 << 10

var errVersion = errors.New("a version other than 1")

// Parse reads the value of an Authentication-Results field, all that stands
// after its colon, by the letter of RFC 8601 section 2.2. Methods, results,
// ptypes and properties come out in lower case, values without their quotes, and
// of the comments those after the result. A field of more than 64 KiB, or with
// any deviation from the grammar, is an error.
func Parse(value []byte) (Results, error) {
	if len(value) > maxField {
		return Results{}, fmt.Errorf("more than %d bytes", maxField)
	}
	if !utf8.Valid(value) {
		return Results{}, errByte
	}
	p := parser{scanner{rest: value}}
	r, err := p.payload()
	if err != nil {
		return Results{}, fmt.Errorf("byte %d: %w", len(value)-len(p.rest)+1, err)
	}
	for _, c := range value {
		r.UTF8 = r.UTF8 || c >= utf8.RuneSelf
	}
	return r, nil
}

type parser struct{ scanner }

// payload = [CFWS] authserv-id [CFWS authres-version] (no-result / 1*resinfo) [CFWS]
func (p *parser) payload() (Results, error) {
	id, err := p.authserv()
	if err != nil {
		return Results{}, err
	}
	r := Results{ID: id}
	if p.none() {
		return r, nil
	}
	for len(p.rest) > 0 {
		m, err := p.resinfo()
		if err != nil {
			return Results{}, err
		}
		r.Methods = append(r.Methods, m)
	}
	if len(r.Methods) == 0 {
		return Results{}, errEnd
	}
	return r, nil
}

// authserv reads the authserv-id, the version and all white space behind them.
func (p *parser) authserv() (string, error) {
	if _, err := p.cfws(); err != nil {
		return "", err
	}
	id, err := p.value()
	if err != nil {
		return "", err
	}
	white, err := p.cfws()
	if err != nil || !white {
		return id, err
	}
	version := p.digits()
	if version != "" && version != "1" {
		return "", errVersion
	}
	_, err = p.cfws()
	return id, err
}

// none reads a no-result that fills the rest, or nothing.
func (p *parser) none() bool {
	try := *p
	if !try.take(';') {
		return false
	}
	if _, err := try.cfws(); err != nil {
		return false
	}
	if word, err := try.keyword(); err != nil || word != "none" {
		return false
	}
	if _, err := try.cfws(); err != nil || len(try.rest) > 0 {
		return false
	}
	*p = try
	return true
}

// resinfo = [CFWS] ";" methodspec [CFWS reasonspec] [CFWS 1*propspec], and the
// white space behind it.
func (p *parser) resinfo() (Method, error) {
	if !p.take(';') {
		return Method{}, p.unexpected()
	}
	m, err := p.methodspec()
	if err != nil {
		return Method{}, err
	}
	first := true
	for len(p.rest) > 0 && !p.at(';') {
		word, err := p.spaced()
		if err != nil {
			return Method{}, err
		}
		if first && word == "reason" && p.at('=') {
			m.Reason, err = p.reason()
		} else {
			err = p.property(&m, word)
		}
		if err != nil {
			return Method{}, err
		}
		first = false
	}
	return m, nil
}

// methodspec = [CFWS] method [CFWS] "=" [CFWS] result, and what comments follow.
func (p *parser) methodspec() (m Method, err error) {
	if _, err = p.cfws(); err != nil {
		return m, err
	}
	if m.Name, err = p.spaced(); err != nil {
		return m, err
	}
	if err = p.methodVersion(); err != nil {
		return m, err
	}
	if err = p.equals(); err != nil {
		return m, err
	}
	if m.Result, err = p.spaced(); err != nil {
		return m, err
	}
	m.Comment = strings.Join(p.comments, " ")
	return m, nil
}

// methodVersion reads [ "/" [CFWS] method-version ], which is 1 where it stands.
func (p *parser) methodVersion() error {
	if !p.take('/') {
		return nil
	}
	if _, err := p.cfws(); err != nil {
		return err
	}
	if p.digits() != "1" {
		return errVersion
	}
	_, err := p.cfws()
	return err
}

// reason = "=" [CFWS] value, and white space.
func (p *parser) reason() (string, error) {
	if err := p.equals(); err != nil {
		return "", err
	}
	v, err := p.value()
	if err != nil {
		return "", err
	}
	_, err = p.cfws()
	return v, err
}

// property = [CFWS] "." [CFWS] property [CFWS] "=" pvalue, after its ptype.
func (p *parser) property(m *Method, ptype string) error {
	if !p.take('.') {
		return p.unexpected()
	}
	if _, err := p.cfws(); err != nil {
		return err
	}
	name, err := p.spaced()
	if err != nil {
		return err
	}
	if err := p.equals(); err != nil {
		return err
	}
	v, err := p.pvalue()
	if err != nil {
		return err
	}
	m.Properties = append(m.Properties, Property{Type: ptype, Name: name, Value: v})
	_, err = p.cfws()
	return err
}

// pvalue = value / [ [ local-part ] "@" ] domain-name
func (p *parser) pvalue() (string, error) {
	if p.at('"') {
		before := p.rest
		v, err := p.quoted()
		if err != nil || !p.at('@') {
			return v, err
		}
		// A quoted local part keeps its quotes: they are part of the address.
		v = string(before[:len(before)-len(p.rest)])
		p.take('@')
		domain := p.run(isDomainByte)
		if !isDomainName(domain) {
			return "", p.unexpected()
		}
		return v + "@" + domain, nil
	}
	word := p.run(func(c byte) bool {
		return isTokenByte(c) || c >= 0x80 || strings.IndexByte("@/=?", c) >= 0
	})
	local, domain, isAddress := strings.Cut(word, "@")
	switch {
	case isToken(word), !isAddress && isDomainName(word):
		return word, nil
	case isAddress && (local == "" || isDotString(local)) && isDomainName(domain):
		return word, nil
	}
	return "", p.unexpected()
}

func isDomainByte(c byte) bool {
	return isAlnum(c) || c == '-' || c == '.' || c == '_' || c >= 0x80
}

// spaced reads a Keyword and the white space behind it.
func (p *parser) spaced() (string, error) {
	word, err := p.keyword()
	if err != nil {
		return "", err
	}
	_, err = p.cfws()
	return word, err
}

// equals reads "=" and the white space behind it.
func (p *parser) equals() error {
	if !p.take('=') {
		return p.unexpected()
	}
	_, err := p.cfws()
	return err
}
