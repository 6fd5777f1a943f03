package mail

import (
	"bytes"
	"fmt"
	"io"
)

// Message is one received message: immutable once read.
type Message struct {
	Envelope Envelope
	Header   Header
	Defects  []Defect // structural faults, each kind once, in the order of the constants

	spool spool
	body  int64
}

// Options bound what Read takes in. The zero value means the defaults named here.
type Options struct {
	Memory    int64  // bytes kept in memory before the spool goes to disk; 256 KiB. Less than 0: only the header is
	Directory string // of the unlinked spool file; os.TempDir()
	MaxSize   int64  // bytes of the whole message; 0: no limit
	Header    HeaderLimits

	// Budget bounds the memory of all messages together, headers included: of a
	// message for which there is none left, more goes to disk, and where there is
	// not even the least it fails. Disk bounds the files of all messages. What is
	// taken is given back by Close. nil: no limit.
	Budget *Budget
	Disk   *Budget

	// OnHeader, if set, is called once, from Read's goroutine, when the header
	// is whole and the body still comes in; at the end of a message that has no
	// body. It is not called when Read fails before that. The Header's bytes
	// stay valid for ever.
	OnHeader func(Header)
}

// HeaderLimits bound the header. RFC 5322 section 2.1.1 asks for lines of at most
// 998 octets; what is longer is taken as it is up to these. 0 means the default.
type HeaderLimits struct {
	Line   int // octets of one line with its end; 100 KiB
	Field  int // octets of one field with all its lines; 256 KiB
	Block  int // octets of the whole header; 1 MiB
	Fields int // number of fields; 1000
}

func (o Options) withDefaults() Options {
	if o.Memory == 0 {
		o.Memory = 256 << 10
	}
	orDefault(&o.Header.Line, 100<<10)
	orDefault(&o.Header.Field, 256<<10)
	orDefault(&o.Header.Block, 1<<20)
	orDefault(&o.Header.Fields, 1000)
	return o
}

func orDefault(n *int, d int) {
	if *n <= 0 {
		*n = d
	}
}

// Read takes a message in until io.EOF, exactly as it comes: nothing is
// converted. On an error the message is gone and nothing of it is left behind;
// r is not read any further.
//
// The errors are *LimitError for a message that is too much, *SpoolError for
// trouble of ours with the spool's file, and whatever else r failed with, wrapped.
func Read(env Envelope, r io.Reader, o Options) (*Message, error) {
	o = o.withDefaults()
	m := &Message{Envelope: env, spool: newSpool(o)}
	in := intake{message: m, options: o, header: headerScan{limits: o.Header}}
	whole := false
	defer func() {
		if !whole {
			m.spool.close() // also when OnHeader panics; the first error is the one that counts
		}
	}()
	if err := in.readAll(r); err != nil {
		return nil, err
	}
	whole = true
	return m, nil
}

// maxEmptyReads is how often in a row a reader may give nothing and no error.
const maxEmptyReads = 100

// intake is a message while it comes in.
type intake struct {
	message *Message
	options Options
	header  headerScan
	ends    lineEnds
	bodyNUL bool
}

func (in *intake) readAll(r io.Reader) error {
	s := &in.message.spool
	for empty := 0; ; {
		room, err := s.room(!in.header.done)
		if err != nil {
			return err
		}
		n, err := r.Read(room)
		if terr := in.take(room[:n]); terr != nil {
			return terr
		}
		if err == io.EOF {
			return in.finish()
		}
		if empty++; n > 0 {
			empty = 0
		}
		if err == nil && empty >= maxEmptyReads {
			err = io.ErrNoProgress
		}
		if err != nil {
			return fmt.Errorf("reading the message after %d bytes: %w", s.size, err)
		}
	}
}

// take looks at what was just read into the spool's room and keeps it.
func (in *intake) take(p []byte) error {
	s := &in.message.spool
	if limit := in.options.MaxSize; limit > 0 && s.size+int64(len(p)) > limit {
		return &LimitError{What: "message size", Limit: limit}
	}
	before := s.size
	s.keep(len(p))
	in.ends.scan(p)
	if !in.header.done {
		if err := in.header.scan(s.head()); err != nil {
			return err
		}
		if !in.header.done {
			return nil
		}
		in.headerIsWhole()
		p = p[int64(in.header.body)-before:]
	}
	in.bodyNUL = in.bodyNUL || bytes.IndexByte(p, 0) >= 0
	return nil
}

func (in *intake) headerIsWhole() {
	m := in.message
	m.Header = parseHeader(m.spool.head()[:in.header.end:in.header.end])
	m.body = int64(in.header.body)
	if in.options.OnHeader != nil {
		in.options.OnHeader(m.Header)
	}
}

func (in *intake) finish() error {
	m := in.message
	if !in.header.done {
		if err := in.header.finish(m.spool.head()); err != nil {
			return err
		}
		in.headerIsWhole()
	}
	found := m.Header.defects
	found.set(in.ends.bare(), BareNewline)
	found.set(in.bodyNUL, BodyNUL)
	m.Defects = found.list()
	return m.spool.settle()
}

// Raw gives the received bytes from the start, each time anew. Safe for
// concurrent use. What it gives is a *Section.
func (m *Message) Raw() io.Reader { return m.Section(0, m.Size()) }

// Body gives the bytes after the blank line that ends the header, each time
// anew. Safe for concurrent use. What it gives is a *Section.
func (m *Message) Body() io.Reader { return m.Section(m.body, m.Size()-m.body) }

// BodyOffset is where Body begins in Raw: after the blank line, or at the end
// of a message that has none.
func (m *Message) BodyOffset() int64 { return m.body }

// Size is the number of received bytes.
func (m *Message) Size() int64 { return m.spool.size }

// Close frees the spool and gives back what was taken of the budgets. The message must not be used after it. Closing again
// does nothing.
func (m *Message) Close() error { return m.spool.close() }
