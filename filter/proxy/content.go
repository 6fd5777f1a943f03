package proxy

import (
	"bytes"
	"io"
)

// content reads one message in the form of DATA up to its end (RFC 5321 sections
// 4.1.1.4 and 4.5.2): it takes the dots of stuffed lines away and stops behind
// CR LF . CR LF. It works in whole blocks, in the place that they were read to.
// Lines end in CR LF and nowhere else; a CR or LF that stands alone is content.
type content struct {
	from  octets
	place place
	cr    bool // the last octet was CR, of which an LF makes a line end
	held  [2]byte
	out   []byte // in held, not yet given

	// unsure tells at the end that CR CR LF was before it. Who does not take that
	// for a line end has sent a dot and not an end.
	unsure bool
}

// octets are what a message comes in. Those that were read beyond its end are
// given back.
type octets interface {
	io.Reader
	unread([]byte)
}

type place int

const (
	atStart    place = iota // of a line
	afterDot                // which began one and is not content
	afterDotCR              // . CR, of which an LF makes the end
	inLine                  // a line
	atEnd
)

const dottedLine = "\r\n."

// Read gives what is there: it waits for no more than the next octet of content.
func (c *content) Read(p []byte) (int, error) {
	for len(p) > 0 {
		switch {
		case len(c.out) > 0:
			n := copy(p, c.out)
			c.out = c.out[n:]
			return n, nil
		case c.place == atEnd:
			return 0, io.EOF
		case c.place == afterDotCR:
			if err := c.decide(); err != nil {
				return 0, err
			}
			continue
		}
		got, err := c.from.Read(p)
		n, taken := c.unstuff(p[:got])
		if taken < got {
			c.from.unread(p[taken:got])
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// decide looks at the octet behind . CR. Where that was no end its CR is content,
// for which a block that is worked on in its own place might have no room.
func (c *content) decide() error {
	b := c.held[1:]
	if _, err := io.ReadFull(c.from, b); err != nil {
		return err
	}
	if b[0] == '\n' {
		c.place = atEnd
		return nil
	}
	c.held[0] = '\r'
	c.place, c.cr = inLine, b[0] == '\r'
	c.unsure = c.cr
	c.out = c.held[:]
	return nil
}

// unstuff moves the content of b to its front, n octets, and tells how many of b
// it has looked at: fewer than all only where the message ends.
func (c *content) unstuff(b []byte) (n, taken int) {
	at := 0
	for at < len(b) {
		switch c.place {
		case atStart:
			c.place, c.cr = inLine, false
			if b[at] == '.' {
				c.place = afterDot
				at++
			}
		case afterDot:
			c.place = inLine
			if b[at] == '\r' {
				c.place = afterDotCR
				at++
			}
		case afterDotCR:
			if b[at] == '\n' {
				c.place = atEnd
				return n, at + 1
			}
			b[n] = '\r'
			n++
			c.place, c.cr = inLine, true
		default:
			end := c.line(b[at:])
			n += copy(b[n:], b[at:at+end])
			at += end
		}
	}
	return n, at
}

// line goes on in a line to the start of the next one that begins with a dot, or
// to the end of b.
func (c *content) line(b []byte) int {
	before := c.cr
	c.cr = false
	if before && b[0] == '\n' {
		c.place = atStart
		return 1
	}
	end := bytes.Index(b, []byte(dottedLine))
	switch {
	case end >= 0:
		c.place = atStart
	case bytes.HasSuffix(b, []byte("\r\n")):
		c.place, end = atStart, len(b)-2
	case b[len(b)-1] == '\r':
		c.cr, end = true, len(b)-1
	default:
		return len(b)
	}
	c.unsure = end > 0 && b[end-1] == '\r' || end == 0 && before
	if c.cr {
		return end + 1
	}
	return end + 2
}
