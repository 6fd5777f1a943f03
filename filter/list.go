package filter

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"sekimori/filter/mail"
)

// Entry is one line of a list: whose mail is let through, or blocked, or who may
// write in the name of the list's owner. It names one of Domain, Address, Signer
// and Unsafe, or a Network, or one of the four together with a Network: then both
// must hold.
//
// An entry that allows and one of a sender ask for proof: SPF or DKIM must have
// said pass for the domain that is named. One that blocks asks for none: what
// claims to be of a blocked sender is blocked whether it is or not.
type Entry struct {
	Block  bool // mail to the list's owner is blocked; it is let through if neither this nor Sender is set
	Sender bool // mail in the name of the owner's protected domains is no spoof, whoever gets it

	Domain  string       // MAIL FROM with SPF pass or a DKIM signature that passes is of this domain or below it
	Address string       // From or MAIL FROM is this address, and its domain is authenticated
	Signer  string       // a DKIM signature of exactly this d= passes
	Unsafe  string       // From or MAIL FROM is this address, for which there is no proof: anybody can write it
	Network netip.Prefix // of the client, behind trusted relays of the hop before them

	Expires time.Time // from then on the entry does nothing; zero: never
	Author  string    // who made the entry, at most 100 bytes
	Note    string    // why, at most 500 bytes
}

// List is many entries, made ready to be searched. Immutable. nil has none.
type List struct {
	records  []record          // 0 is none
	names    map[string]uint32 // the first record of a kind and its text
	networks networks          // the first record of those that name a network alone
	prefixes []netip.Prefix
	texts    string   // what entries name, each behind the letter of its kind
	words    []string // authors and notes, each once; 0 is ""
	depth    int      // dots of the domain that has most
}

// record is an entry in 32 bytes.
type record struct {
	expires int64  // Unix seconds; 0: never
	next    uint32 // one of the same kind and text
	text    uint32 // offset in texts
	network uint32 // index of prefixes
	author  uint32 // index of words
	note    uint32
	length  uint16
	kind    kind
	does    does
}

// does is what an entry is for.
type does byte

const (
	allows does = iota
	blocks
	listsSender
)

func (r record) expired(now time.Time) bool { return r.expires != 0 && now.Unix() >= r.expires }

// entry makes an Entry of a record again.
func (l *List) entry(at uint32) Entry {
	r := l.records[at]
	e := Entry{
		Block: r.does == blocks, Sender: r.does == listsSender,
		Network: l.prefixes[r.network], Author: l.words[r.author], Note: l.words[r.note],
	}
	if r.expires != 0 {
		e.Expires = time.Unix(r.expires, 0).UTC()
	}
	text := l.texts[r.text : r.text+uint32(r.length)]
	switch r.kind {
	case byDomain:
		e.Domain = text
	case byAddress:
		e.Address = text
	case bySigner:
		e.Signer = text
	case byUnsafe:
		e.Unsafe = text
	}
	return e
}

// kind says what the text of an entry is.
type kind byte

const (
	byNetwork kind = 'n'
	byDomain  kind = 'd'
	byAddress kind = 'a'
	bySigner  kind = 's'
	byUnsafe  kind = 'u'
)

// NewList makes a list. Entries that make no sense are an error, which tells of
// at most ten of them by their numbers, counted from 0.
func NewList(entries []Entry) (*List, error) {
	if len(entries) >= math.MaxInt32 {
		return nil, errors.New("the list is too long")
	}
	b := newListBuilder(len(entries))
	var faults []error
	for i, e := range entries {
		if err := b.add(e); err != nil && len(faults) < 10 {
			faults = append(faults, fmt.Errorf("entry %d: %w", i, err))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return b.finish(), nil
}

// Len is the number of entries, those that have expired too.
func (l *List) Len() int {
	if l == nil {
		return 0
	}
	return len(l.records) - 1
}

// listBuilder keeps what is of use while a list is made.
type listBuilder struct {
	list     *List
	texts    []byte
	words    map[string]uint32
	prefixes map[netip.Prefix]uint32
}

func newListBuilder(n int) *listBuilder {
	return &listBuilder{
		list: &List{
			records:  make([]record, 1, n+1),
			names:    make(map[string]uint32, n),
			prefixes: make([]netip.Prefix, 1),
			words:    make([]string, 1),
		},
		words:    map[string]uint32{"": 0},
		prefixes: map[netip.Prefix]uint32{{}: 0},
	}
}

func (b *listBuilder) add(e Entry) error {
	k, text, err := e.key()
	if err != nil {
		return err
	}
	if len(e.Author) > 100 || len(e.Note) > 500 {
		return errors.New("the author or the note is too long")
	}
	if len(b.texts)+1+len(text) > math.MaxUint32 {
		return errors.New("the list is too long")
	}
	b.texts = append(b.texts, byte(k))
	r := record{
		kind: k, text: uint32(len(b.texts)), length: uint16(len(text)),
		network: b.prefix(e.Network), author: b.word(e.Author), note: b.word(e.Note),
	}
	b.texts = append(b.texts, text...)
	switch {
	case e.Block:
		r.does = blocks
	case e.Sender:
		r.does = listsSender
	}
	if !e.Expires.IsZero() {
		r.expires = max(e.Expires.Unix(), 1)
	}
	b.list.records = append(b.list.records, r)
	return nil
}

// finish makes the entries findable: the keys of the map are parts of one text.
func (b *listBuilder) finish() *List {
	l := b.list
	l.texts = string(b.texts)
	for i := 1; i < len(l.records); i++ {
		r, at := &l.records[i], uint32(i)
		if r.kind == byNetwork {
			r.next = l.networks.put(l.prefixes[r.network], at)
			continue
		}
		key := l.texts[r.text-1 : r.text+uint32(r.length)]
		r.next = l.names[key]
		l.names[key] = at
		if r.kind == byDomain {
			l.depth = max(l.depth, strings.Count(key, "."))
		}
	}
	return l
}

func (b *listBuilder) word(s string) uint32 {
	at, known := b.words[s]
	if !known {
		at = uint32(len(b.list.words))
		s = strings.Clone(s)
		b.words[s] = at
		b.list.words = append(b.list.words, s)
	}
	return at
}

func (b *listBuilder) prefix(p netip.Prefix) uint32 {
	at, known := b.prefixes[p]
	if !known {
		at = uint32(len(b.list.prefixes))
		b.prefixes[p] = at
		b.list.prefixes = append(b.list.prefixes, p)
	}
	return at
}

// key checks an entry and gives what it is found by.
func (e Entry) key() (kind, string, error) {
	if n := e.Network; n.IsValid() && (n.Masked() != n || n.Addr().Is4In6() || n.Bits() == 0) {
		return 0, "", errors.New("the network has bits below its mask, is IPv4 written as IPv6, or is every address there is")
	}
	switch {
	case e.Sender && e.Block:
		return 0, "", errors.New("it blocks a sender whom it lists")
	case e.Sender && e.Unsafe != "":
		return 0, "", errors.New("a sender needs proof: anybody can write an address")
	}
	k, text := byNetwork, ""
	for _, one := range []struct {
		kind kind
		text string
	}{{byDomain, e.Domain}, {byAddress, e.Address}, {bySigner, e.Signer}, {byUnsafe, e.Unsafe}} {
		if one.text == "" {
			continue
		}
		if text != "" {
			return 0, "", errors.New("it names two of domain, address, signer and unsafe address")
		}
		k, text = one.kind, one.text
	}
	if k == byNetwork {
		if !e.Network.IsValid() {
			return 0, "", errors.New("it names nobody")
		}
		return k, "", nil
	}
	text, err := e.normal(k, text)
	return k, text, err
}

// normal gives a text the form in which it is compared.
func (e Entry) normal(k kind, text string) (string, error) {
	if k == byAddress || k == byUnsafe {
		switch {
		case !strings.Contains(text, "@"):
			return "", errors.New("the address has no @")
		case e.Block && k == byUnsafe:
			return "", errors.New("a block needs no proof: name the address as one")
		}
		return RecipientKey(text)
	}
	name, err := mail.ASCIIDomain(text)
	if err == nil && !e.Block && isSuffix(name) {
		return "", errors.New("a public suffix is everybody's: name a domain below it")
	}
	return name, err
}
