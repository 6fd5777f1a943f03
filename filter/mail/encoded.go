package mail

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/htmlindex"
)

// decodedWords reads encoded words (RFC 2047) wherever they stand, and as mail
// programs do rather than as the RFC says: without the padding of base64, with
// signs that have no place in it, with a = that encodes nothing. What cannot be
// read stays.
func decodedWords(text string) string {
	var b strings.Builder
	tail := len(text) - strings.LastIndex(text, "?=") // where nothing ends, nothing is looked for
	for {
		start := strings.Index(text, "=?")
		if start < 0 || len(text)-start-len("=?") < tail {
			b.WriteString(text)
			return b.String()
		}
		word, rest, ok := cutWord(text[start:])
		if !ok {
			b.WriteString(text[:start+2])
			text = text[start+2:]
			continue
		}
		b.WriteString(text[:start])
		b.WriteString(word)
		// RFC 2047 section 6.2: blanks between two encoded words are not shown.
		if next := strings.TrimLeft(rest, " \t"); strings.HasPrefix(next, "=?") {
			rest = next
		}
		text = rest
	}
}

// maxCharset bounds the name of a charset in bytes.
const maxCharset = 60

// cutWord reads the encoded word that a text begins with.
func cutWord(text string) (word, rest string, ok bool) {
	charset, more, ok := strings.Cut(text[2:min(len(text), 2+maxCharset)], "?")
	if !ok || len(more) < 2 || more[1] != '?' {
		return "", "", false
	}
	method, body := more[0]|0x20, text[2+len(charset)+3:]
	if method != 'b' && method != 'q' {
		return "", "", false
	}
	end := strings.Index(body, "?=")
	if end < 0 {
		return "", "", false
	}
	data := unquoted(body[:end])
	if method == 'b' {
		data = unbased(body[:end])
	}
	charset, _, _ = strings.Cut(charset, "*") // RFC 2231 section 5: the language
	return inUTF8(charset, data), body[end+2:], true
}

func unquoted(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(n)
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

func unbased(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z' || r == '+' || r == '/') {
			return r
		}
		return -1
	}, s)
	if len(s)%4 == 1 {
		s = s[:len(s)-1]
	}
	data, _ := base64.RawStdEncoding.DecodeString(s) // nothing is left that could be wrong
	return string(data)
}

// inUTF8 reads text of a charset. Of one that is not known it is left as it is:
// the letters of a domain name and the @ are in nearly all of them what they are
// in ASCII.
func inUTF8(charset, s string) string {
	charset = strings.ToLower(charset)
	switch {
	case strings.HasSuffix(charset, "utf-7"):
		return fromUTF7(s)
	case strings.HasPrefix(charset, "utf-16"), strings.HasPrefix(charset, "utf-32"), strings.HasPrefix(charset, "iso-10646"):
		return strings.ReplaceAll(s, "\x00", "") // ASCII in either order of octets
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return s
	}
	if name, _ := htmlindex.Name(e); name == "utf-8" || name == "replacement" {
		return s
	}
	text, err := e.NewDecoder().String(s)
	if err != nil {
		return s
	}
	return text
}

// fromUTF7 reads RFC 2152: UTF-16 in base64 between + and what is none of it.
func fromUTF7(s string) string {
	var b strings.Builder
	for {
		plain, more, ok := strings.Cut(s, "+")
		b.WriteString(plain)
		if !ok {
			return b.String()
		}
		end := strings.IndexFunc(more, func(r rune) bool {
			return !(r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r == '+' || r == '/')
		})
		if end < 0 {
			end = len(more)
		}
		data := []byte(unbased(more[:end]))
		for ; len(data) > 1; data = data[2:] {
			b.WriteRune(utf16.Decode([]uint16{binary.BigEndian.Uint16(data)})[0])
		}
		s = strings.TrimPrefix(more[end:], "-")
	}
}
