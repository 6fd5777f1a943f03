package sources

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"

	"sekimori/filter"
)

// maxShape bounds what shape tells: a list needs two.
const maxShape = 16

// listParser reads a file of entries, one expression after the other, and ends at
// the first that is wrong: the TOML library's own decoder takes quadratic time to
// tell of many unknown keys.
type listParser struct {
	data    []byte
	limit   int
	entries []filter.Entry
	lines   []int           // of the entries' headers
	set     map[string]bool // keys of the last entry
	line    int             // of offset
	offset  int
}

// parseListFile reads a file of at most so many entries, strictly: what it has
// that is no entry is an error with its line. lines are where the entries begin.
func parseListFile(data []byte, limit int) (entries []filter.Entry, lines []int, err error) {
	if shape(data) > maxShape {
		return nil, nil, errors.New("has too many brackets within brackets, dots in a line or commas: it is no list")
	}
	l := &listParser{data: data, limit: limit, line: 1}
	var p unstable.Parser
	p.Reset(data)
	for p.NextExpression() {
		if err := l.expression(p.Expression()); err != nil {
			return nil, nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	if err := p.Error(); err != nil {
		return nil, nil, l.syntax(err)
	}
	return l.entries, l.lines, nil
}

// moveTo counts lines up to an offset, which never goes back.
func (l *listParser) moveTo(offset int) {
	offset = max(l.offset, min(offset, len(l.data)))
	l.line += bytes.Count(l.data[l.offset:offset], []byte("\n"))
	l.offset = offset
}

func (l *listParser) syntax(err error) error {
	var at *unstable.ParserError
	if !errors.As(err, &at) {
		return fmt.Errorf("after line %d: %.100q", l.line, err)
	}
	l.moveTo(cap(l.data) - cap(at.Highlight))
	return fmt.Errorf("line %d: %.100q", l.line, at.Message)
}

func (l *listParser) expression(n *unstable.Node) error {
	it := n.Key()
	it.Next()
	l.moveTo(int(it.Node().Raw.Offset))
	name, dotted := string(it.Node().Data), it.Next()
	switch {
	case n.Kind == unstable.ArrayTable && !dotted:
		return l.header(name)
	case n.Kind != unstable.KeyValue || dotted || len(l.entries) == 0:
		return fmt.Errorf("%s begins no entry: write [[allow]], [[block]] or [[sender]]", quote(name))
	case l.set[name]:
		return fmt.Errorf("%s stands in this entry already", quote(name))
	}
	l.set[name] = true
	return setKey(&l.entries[len(l.entries)-1], name, n.Value())
}

func (l *listParser) header(name string) error {
	switch {
	case name != "allow" && name != "block" && name != "sender":
		return fmt.Errorf("%s is unknown: write [[allow]], [[block]] or [[sender]]", quote(name))
	case len(l.entries) == l.limit:
		return fmt.Errorf("has more than %d entries", l.limit)
	}
	l.entries = append(l.entries, filter.Entry{Block: name == "block", Sender: name == "sender"})
	l.lines = append(l.lines, l.line)
	l.set = map[string]bool{}
	return nil
}

// setKey takes one key of an entry.
func setKey(e *filter.Entry, name string, v *unstable.Node) (err error) {
	texts := map[string]*string{
		"domain": &e.Domain, "address": &e.Address, "dkim": &e.Signer, "unauthenticated": &e.Unsafe, "author": &e.Author, "note": &e.Note,
	}
	text := string(v.Data)
	switch into := texts[name]; {
	case into != nil && v.Kind == unstable.String:
		*into = text
	case name == "network" && v.Kind == unstable.String:
		if e.Network, err = parseNetwork(text); err != nil {
			err = fmt.Errorf("%s is no network", quote(text))
		}
	case name == "expires":
		e.Expires, err = parseTime(v.Kind, text)
	case into == nil && name != "network":
		err = fmt.Errorf("the key %s is unknown", quote(name))
	default:
		err = fmt.Errorf("%s must be text in quotes", name)
	}
	return err
}

// parseTime reads a date or time of TOML; one without a zone is of this machine's.
func parseTime(kind unstable.Kind, text string) (time.Time, error) {
	text = strings.ToUpper(strings.Replace(text, " ", "T", 1))
	var t time.Time
	var err error
	switch kind {
	case unstable.DateTime:
		t, err = time.Parse(time.RFC3339, text)
	case unstable.LocalDateTime:
		t, err = time.ParseInLocation("2006-01-02T15:04:05", text, time.Local)
	case unstable.LocalDate:
		t, err = time.ParseInLocation("2006-01-02", text, time.Local)
	default:
		return t, errors.New("expires must be a date without quotes, as 2027-03-31")
	}
	if err != nil {
		return t, fmt.Errorf("%s is no date", quote(text))
	}
	return t, nil
}

// parseNetwork reads a network, or an address as the network of itself.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}

// newList makes the list and tells where in the file a senseless entry stands.
func newList(entries []filter.Entry, lines []int) (*filter.List, error) {
	list, err := filter.NewList(entries)
	if err == nil {
		return list, nil
	}
	for i, e := range entries {
		if _, bad := filter.NewList([]filter.Entry{e}); bad != nil {
			_, reason, _ := strings.Cut(bad.Error(), ": ")
			return nil, fmt.Errorf("line %d: %s", lines[i], reason)
		}
	}
	return nil, err
}

// shape tells, without understanding more of TOML than its strings and comments,
// the most of: how deep brackets stand within brackets, dots in a line, commas in
// all. A parser goes down as deep, and makes nodes of a hundred bytes of the others.
func shape(data []byte) (most int) {
	open, dots, commas := 0, 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '#':
			i, dots = endOf(data, i, "\n"), 0
		case '"', '\'':
			i = endOfString(data, i)
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case ',':
			commas++
		case '.':
			dots++
		case '\n':
			dots = 0
		}
		most = max(most, open, dots, commas)
	}
	return most
}

// endOfString gives the index of the last byte of the string that begins at i.
func endOfString(data []byte, i int) int {
	quote := string(data[i])
	if bytes.HasPrefix(data[i:], []byte(strings.Repeat(quote, 3))) {
		quote = strings.Repeat(quote, 3)
	}
	for i += len(quote); i < len(data); i++ {
		switch {
		case data[i] == '\\' && quote[0] == '"':
			i++
		case data[i] == '\n' && len(quote) == 1:
			return i // it was never closed
		case bytes.HasPrefix(data[i:], []byte(quote)):
			return i + len(quote) - 1
		}
	}
	return len(data)
}

func endOf(data []byte, i int, end string) int {
	if n := bytes.Index(data[i:], []byte(end)); n >= 0 {
		return i + n
	}
	return len(data)
}
