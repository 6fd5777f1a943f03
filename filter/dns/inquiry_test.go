package dns

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

func randomly(p []byte) { _, _ = rand.Read(p) }

// What we send is what the library would.
func TestInquiryPacked(t *testing.T) {
	for _, name := range []string{"x", "q.x", "_dmarc.example.com", "a@b \"c\\;\x00\xff._spf.x", strings.Repeat("a", 63) + ".x", strings.Repeat("a.", 126) + "x"} {
		for _, f := range []form{{}, {edns: true}, {edns: true, ad: true}, {ad: true}} {
			on := newChain(Question{name, MX})
			q := newInquiry(&on, f)
			q.name(0xabcd)
			m := &mdns.Msg{
				MsgHdr:   mdns.MsgHdr{Id: 0xabcd, RecursionDesired: true, AuthenticatedData: f.ad},
				Question: []mdns.Question{{Name: present(name), Qtype: mdns.TypeMX, Qclass: mdns.ClassINET}},
			}
			if f.edns {
				m.SetEdns0(udpSize, false)
			}
			want, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(q.packed, want) {
				t.Errorf("%q %+v:\n%x, want\n%x", name, f, q.packed, want)
			}
		}
	}
}

// RFC 5452 section 9.1, and the letters beyond it.
func TestInquiryFits(t *testing.T) {
	on := newChain(Question{"example.com", TXT})
	for _, letters := range []bool{false, true} {
		q := newInquiry(&on, form{edns: true, letter: letters, random: randomly})
		q.name(7)
		answer := append([]byte(nil), q.packed...)
		answer[2] |= 0x80
		if got := q.fits(answer); got != belongs {
			t.Errorf("its own question: %v", got)
		}
		folded := append([]byte(nil), answer...)
		copy(folded[headerSize:], bytes.ToUpper(q.question))
		if bytes.Equal(folded, answer) {
			continue // one in two thousand
		}
		want := belongs
		if letters {
			want = otherCase
		}
		if got := q.fits(folded); got != want {
			t.Errorf("in capitals: %v, want %v", got, want)
		}
		for i := range answer[:headerSize+len(q.question)] {
			if i >= 6 && i < headerSize || i == 3 || i == 2 {
				continue // counts of records, and flags
			}
			other := append([]byte(nil), answer...)
			other[i] ^= 1
			if got := q.fits(other); got != stranger {
				t.Errorf("octet %d differs: %v", i, got)
			}
			if got := q.fits(answer[:i]); got != stranger {
				t.Errorf("the first %d octets: %v", i, got)
			}
		}
	}
}

// Every letter may come in both cases, and nothing else changes.
func TestScramble(t *testing.T) {
	name := strings.Repeat("abcdefghijklmnopqrstuvwxyz-0123456789.", 6)
	upper, lower := make([]bool, len(name)), make([]bool, len(name))
	for range 100 {
		b := []byte(name)
		scramble(b, randomly)
		if strings.ToLower(string(b)) != name {
			t.Fatalf("%q", b)
		}
		for i := range b {
			upper[i] = upper[i] || b[i] != name[i]
			lower[i] = lower[i] || b[i] == name[i]
		}
	}
	for i := range name {
		letter := 'a' <= name[i] && name[i] <= 'z'
		if !lower[i] || upper[i] != letter {
			t.Errorf("%q at %d: upper %v, lower %v", name[i], i, upper[i], lower[i])
		}
	}
}

// An answer of more records than are looked at is not even unpacked: five thousand
// fit into one, each with a name of a kilobyte when spelled out.
func TestTooManyRecordsAreNotUnpacked(t *testing.T) {
	on := newChain(Question{strings.Repeat(strings.Repeat("\x01", 49)+".", 5) + "x", TXT})
	q := newInquiry(&on, form{random: randomly})
	for section := 6; section < headerSize; section += 2 {
		p := append([]byte(nil), q.packed...)
		p[2] |= 0x80
		const records = 5000
		binary.BigEndian.PutUint16(p[section:], records)
		for range records {
			p = append(p, 0xc0, headerSize, 0, 16, 0, 1, 0, 0, 0, 9, 0, 1, 0)
		}
		var err error
		if n := testing.AllocsPerRun(1, func() { _, err = q.read(p) }); n > 20 || !errors.Is(err, errUnreadable) {
			t.Errorf("count at octet %d: %v allocations, %v", section, n, err)
		}
	}
}
