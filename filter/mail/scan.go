package mail

import "bytes"

// headerScan finds the end of the header while it comes in, and holds it to its
// limits. A line ends at its LF; the header ends at the first empty line, which
// is CRLF or LF and nothing else: a line of WSP goes on with the field above it
// (RFC 5322 section 3.2.2). This one place decides where the body begins for
// all. Where an LF stands without its CR, others may see another end, so such a
// message is a BareNewline.
type headerScan struct {
	limits HeaderLimits

	done bool
	end  int // of the header, before the empty line
	body int // after the empty line

	line   int // where the unfinished line begins
	field  int // where the field that it belongs to begins
	seen   int // where the search for its end goes on
	fields int
	steps  int // bytes looked at: linear in what came in
}

// scan goes on with b, which is all that came in so far.
func (h *headerScan) scan(b []byte) error {
	for {
		i := bytes.IndexByte(b[h.seen:], '\n')
		if i < 0 {
			h.steps += len(b) - h.seen
			h.seen = len(b)
			return h.check(bytes.TrimSuffix(b, []byte("\r")))
		}
		h.steps += i + 1
		h.seen += i + 1
		line := b[h.line:h.seen]
		if len(line) == 1 || len(line) == 2 && line[0] == '\r' {
			h.done, h.end, h.body = true, h.line, h.seen
			return nil
		}
		h.begin(line)
		if err := h.check(b[:h.seen]); err != nil {
			return err
		}
		h.line = h.seen
	}
}

// begin notes a whole line.
func (h *headerScan) begin(line []byte) {
	if h.begins(line) {
		h.field = h.line
		h.fields++
	}
}

// begins: a line is of a field of its own unless WSP leads it.
func (h *headerScan) begins(line []byte) bool { return h.line == 0 || !isWSP(line[0]) }

// check holds the header so far, of which b is all, to the limits. Its last
// line may be unfinished.
func (h *headerScan) check(b []byte) error {
	field := h.field
	if h.line < len(b) && h.begins(b[h.line:]) {
		field = h.line
	}
	for _, c := range [...]struct {
		what      string
		is, limit int
	}{
		{"header line", len(b) - h.line, h.limits.Line},
		{"header field", len(b) - field, h.limits.Field},
		{"header size", len(b), h.limits.Block},
		{"header fields", h.fields, h.limits.Fields},
	} {
		if c.is > c.limit {
			return &LimitError{What: c.what, Limit: int64(c.limit), Header: true}
		}
	}
	return nil
}

// finish: the message ended and no empty line was met, so b is all header
// (RFC 5322 section 3.5: the body is optional).
func (h *headerScan) finish(b []byte) error {
	if h.line < len(b) {
		h.begin(b[h.line:])
	}
	h.done, h.end, h.body = true, len(b), len(b)
	return h.check(b)
}

// lineEnds finds a CR or LF that stands alone (RFC 5321 section 2.3.8) in bytes
// that come in blocks. If every LF has its CR before it and there are as many
// CRs as LFs, then every CR has its LF after it.
type lineEnds struct {
	last   byte
	alone  bool
	cr, lf int64
}

func (e *lineEnds) scan(p []byte) {
	if e.alone || len(p) == 0 {
		return
	}
	e.cr += int64(bytes.Count(p, []byte{'\r'}))
	before := e.last
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], '\n')
		if i < 0 {
			break
		}
		if i > 0 {
			before = p[at+i-1]
		}
		if before != '\r' {
			e.alone = true
			return
		}
		e.lf++
		at += i + 1
		before = '\n'
	}
	e.last = p[len(p)-1]
}

// bare tells of all that came in whether a CR or LF stood alone.
func (e *lineEnds) bare() bool { return e.alone || e.cr != e.lf }
