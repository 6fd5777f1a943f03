package dns

import (
	"encoding/binary"
	"errors"
	"fmt"

	mdns "github.com/miekg/dns"
)

const (
	// udpSize is what we say that we can take: it passes every path in one piece
	// (RFC 9715 section 3.2 names 1400 as the most, DNS flag day 2020 this).
	udpSize    = 1232
	headerSize = 12
)

var (
	errUnreadable = errors.New("the answer cannot be read")
	errTruncated  = errors.New("truncated")
	errSilence    = errors.New("no answer in time")
	errStrays     = errors.New("too many packets that do not belong to the question")
	errCase       = errors.New("the answer has the name in other letters")
)

// inquiry is a question on the wire, and the measure of what belongs to it.
type inquiry struct {
	packed   []byte
	question []byte // of packed: name, type and class
	exact    bool   // the letters of the name were chosen at random: the answer must have the same
}

// form is how a question is to be put.
type form struct {
	edns   bool
	ad     bool // we want to know whether it is signed (RFC 6840 section 5.7)
	letter bool // choose upper and lower case at random
	random func([]byte)
}

// newInquiry packs a question about a name that is askable.
func newInquiry(c *chain, f form) inquiry {
	const (
		recursion = 1 << 0 // of the third octet
		signed    = 1 << 5 // of the fourth
	)
	b := make([]byte, headerSize, headerSize+len(c.name)+2+4+11)
	b[2], b[5] = recursion, 1
	if f.ad {
		b[3] = signed
	}
	// RFC 1034 section 3.1: the name is absolute; no search list (DN-10).
	at := len(b)
	b = append(b, 0)
	for i := 0; i < len(c.name); i++ {
		if c.name[i] == '.' {
			b[at] = byte(len(b) - at - 1)
			at = len(b)
			b = append(b, 0)
			continue
		}
		b = append(b, c.name[i])
	}
	b[at] = byte(len(b) - at - 1)
	b = append(b, 0)
	if f.letter {
		scramble(b[headerSize:], f.random)
	}
	b = binary.BigEndian.AppendUint16(b, typeCode(c.wanted))
	b = binary.BigEndian.AppendUint16(b, mdns.ClassINET)
	q := inquiry{question: b[headerSize:], exact: f.letter}
	if f.edns {
		b[11] = 1
		b = append(b, 0) // RFC 6891 section 6.1.2: the root owns it
		b = binary.BigEndian.AppendUint16(b, mdns.TypeOPT)
		b = binary.BigEndian.AppendUint16(b, udpSize)
		b = append(b, 0, 0, 0, 0, 0, 0)
	}
	q.packed = b
	return q
}

// scramble chooses the case of each letter anew. The lengths of labels are none.
func scramble(name []byte, random func([]byte)) {
	var bits [32]byte
	random(bits[:])
	for i, c := range name {
		if 'a' <= c && c <= 'z' && bits[i/8%32]>>(i%8)&1 == 1 {
			name[i] = c - 'a' + 'A'
		}
	}
}

func (q *inquiry) name(id uint16) { binary.BigEndian.PutUint16(q.packed, id) }

func (q *inquiry) id() uint16 { return binary.BigEndian.Uint16(q.packed) }

// fit is how a packet fits a question.
type fit int

const (
	stranger fit = iota // answers something else, or nothing
	belongs
	otherCase // belongs, but the letters differ from those that were asked
)

// fits looks at the header and the question of a packet. RFC 5452 section 9.1: it
// must be ours. Servers that refuse may leave the question out.
func (q *inquiry) fits(p []byte) fit {
	const response, opcode = 0x80, 0x78
	if len(p) < headerSize || binary.BigEndian.Uint16(p) != q.id() || p[2]&response == 0 || p[2]&opcode != 0 {
		return stranger
	}
	switch binary.BigEndian.Uint16(p[4:]) {
	case 0:
		rcode := int(p[3] & 0xf)
		if rcode == mdns.RcodeSuccess || rcode == mdns.RcodeNameError {
			return stranger
		}
		return belongs
	case 1:
	default:
		return stranger
	}
	rest := p[headerSize:]
	if len(rest) < len(q.question) {
		return stranger
	}
	n := len(q.question) - 4 // the name; type and class have no case
	if string(rest[n:n+4]) != string(q.question[n:]) {
		return stranger
	}
	same := true
	for i, c := range q.question[:n] {
		same = same && rest[i] == c
		if folded(rest[i]) != folded(c) {
			return stranger
		}
	}
	if q.exact && !same {
		return otherCase
	}
	return belongs
}

func folded(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// read takes a packet apart that belongs to the question.
func (q *inquiry) read(p []byte) (*mdns.Msg, error) {
	const truncated = 0x02
	if p[2]&truncated != 0 {
		return nil, errTruncated // what is there is not looked at: half a record set is a wrong one
	}
	for section := 6; section < headerSize; section += 2 {
		// A record takes 13 octets here and a kilobyte when its name is spelled out.
		if binary.BigEndian.Uint16(p[section:]) > maxRecords {
			return nil, fmt.Errorf("%w: more than %d records in one section", errUnreadable, maxRecords)
		}
	}
	m := new(mdns.Msg)
	if err := m.Unpack(p); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if int(binary.BigEndian.Uint16(p[6:])) != len(m.Answer) {
		return nil, fmt.Errorf("%w: it holds fewer records than it says", errUnreadable)
	}
	return m, nil
}
