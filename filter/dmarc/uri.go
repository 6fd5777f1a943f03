package dmarc

import (
	"fmt"
	"strings"

	"sekimori/filter/mail"
)

// uris reads a dmarc-urilist (RFC 9989 sections 4.6 and 4.8). Those that cannot be
// used are left out with a note.
func (p *parser) uris(tag, value string) []string {
	var list []string
	for u := range strings.SplitSeq(value, ",") {
		u = trim(u)
		if uri, sized := cutSize(u); sized {
			u = uri
			p.note(Obsolete, tag, fmt.Sprintf("the size limit of a URI in %s= was removed by RFC 9989 and is ignored", tag))
		}
		switch scheme, rest, ok := strings.Cut(u, ":"); {
		case !ok || !isURI(u):
			p.note(Invalid, tag, fmt.Sprintf("%s= holds something that is not a URI", tag))
		case !strings.EqualFold(scheme, "mailto"):
			p.note(Unsupported, tag, fmt.Sprintf("%s= holds a URI that is not mailto: no report goes there", tag))
		case !isMailbox(rest):
			p.note(Invalid, tag, fmt.Sprintf("%s= holds a mailto URI without a valid address", tag))
		case len(list) == maxURIs:
			p.note(Invalid, tag, fmt.Sprintf("%s= holds more than %d addresses: the rest is ignored", tag, maxURIs))
			return list
		default:
			list = append(list, u)
		}
	}
	return list
}

// cutSize: obs-dmarc-report-size, "!" 1*DIGIT [ "k" / "m" / "g" / "t" ].
func cutSize(u string) (uri string, sized bool) {
	uri, size, found := strings.Cut(u, "!")
	if !found {
		return u, false
	}
	if n := len(size); n > 1 && strings.IndexByte("kmgtKMGT", size[n-1]) >= 0 {
		size = size[:n-1]
	}
	if size == "" || strings.Trim(size, "0123456789") != "" {
		return u, false
	}
	return uri, true
}

// isURI: the characters of RFC 3986 section 2, but for "," and "!", which RFC
// 9989 section 4.8 wants percent-encoded.
func isURI(u string) bool {
	for i := 0; i < len(u); i++ {
		switch c := u[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~:/?#[]@$&'()*+;=", c) >= 0:
		case c == '%' && i+2 < len(u) && isHex(u[i+1]) && isHex(u[i+2]):
			i += 2
		default:
			return false
		}
	}
	return u != ""
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// isMailbox: one address of RFC 6068 section 2; header fields after "?" are nothing to us.
func isMailbox(s string) bool {
	s, _, _ = strings.Cut(s, "?")
	_, domain, ok := mail.SplitAddress(s)
	if !ok {
		return false
	}
	_, err := mail.ASCIIDomain(domain)
	return err == nil
}
