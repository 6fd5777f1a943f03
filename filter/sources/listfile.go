package sources

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"sekimori/filter"
)

// listText is a file of lists as a panel writes it.
type listText struct {
	Allow  []entryText `toml:"allow"`
	Block  []entryText `toml:"block"`
	Sender []entryText `toml:"sender"`
}

// entryText is one table of it.
type entryText struct {
	Domain          string    `toml:"domain"`
	Address         string    `toml:"address"`
	DKIM            string    `toml:"dkim"`
	Unauthenticated string    `toml:"unauthenticated"`
	Network         string    `toml:"network"`
	Expires         time.Time `toml:"expires"`
	Author          string    `toml:"author"`
	Note            string    `toml:"note"`
}

// maxDepth bounds brackets within brackets: a list needs two.
const maxDepth = 16

// parseListFile reads a file of at most so many entries, strictly: what it has
// that is no entry is an error with its line.
func parseListFile(data []byte, limit int) ([]filter.Entry, error) {
	depth, tables := shape(data)
	switch {
	case depth > maxDepth:
		return nil, errors.New("has too many brackets within brackets")
	case tables > limit:
		return nil, fmt.Errorf("has more than %d entries", limit)
	}
	var doc listText
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&doc); err != nil {
		return nil, placed(err)
	}
	entries := make([]filter.Entry, 0, len(doc.Allow)+len(doc.Block)+len(doc.Sender))
	for _, group := range []struct {
		word string
		of   []entryText
	}{{"allow", doc.Allow}, {"block", doc.Block}, {"sender", doc.Sender}} {
		for i, e := range group.of {
			entry, err := e.entry(group.word)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", entryPlace(data, group.word, i), err)
			}
			entries = append(entries, entry)
		}
	}
	return entries, nil
}

// entry checks one entry by itself, so that the file's place can be told.
func (e entryText) entry(word string) (filter.Entry, error) {
	entry := filter.Entry{
		Block: word == "block", Sender: word == "sender",
		Domain: e.Domain, Address: e.Address, Signer: e.DKIM, Unsafe: e.Unauthenticated,
		Expires: e.Expires, Author: e.Author, Note: e.Note,
	}
	if e.Network != "" {
		var err error
		if entry.Network, err = parseNetwork(e.Network); err != nil {
			return entry, fmt.Errorf("%s is no network", quote(e.Network))
		}
	}
	return entry, nil
}

// parseNetwork reads a network, or an address as the network of itself.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}

// newList makes the list and tells where in the file a senseless entry stands.
func newList(data []byte, entries []filter.Entry) (*filter.List, error) {
	list, err := filter.NewList(entries)
	if err == nil {
		return list, nil
	}
	at := map[string]int{}
	for _, e := range entries {
		word := "allow"
		if e.Block {
			word = "block"
		} else if e.Sender {
			word = "sender"
		}
		if _, bad := filter.NewList([]filter.Entry{e}); bad != nil {
			_, reason, _ := strings.Cut(bad.Error(), ": ")
			return nil, fmt.Errorf("%s: %s", entryPlace(data, word, at[word]), reason)
		}
		at[word]++
	}
	return nil, err
}

// entryPlace finds the line of an entry's header, or counts where the entries are
// written in one line.
func entryPlace(data []byte, word string, i int) string {
	n := 0
	for line := 1; len(data) > 0; line++ {
		one, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		name, isHeader := bytes.CutPrefix(bytes.TrimSpace(one), []byte("[["))
		name, _, _ = bytes.Cut(name, []byte("]]"))
		if !isHeader || string(bytes.TrimSpace(name)) != word {
			continue
		}
		if n == i {
			return fmt.Sprintf("line %d", line)
		}
		n++
	}
	return fmt.Sprintf("%s entry %d", word, i+1)
}

// placed gives the errors of the TOML library their line, and bounds them.
func placed(err error) error {
	var strict *toml.StrictMissingError
	var wrong *toml.DecodeError
	switch {
	case errors.As(err, &strict) && len(strict.Errors) > 0:
		line, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: the key %s is unknown", line, quote(strings.Join(strict.Errors[0].Key(), ".")))
	case errors.As(err, &wrong):
		line, _ := wrong.Position()
		return fmt.Errorf("line %d: %s", line, quote(wrong.Error()))
	}
	return errors.New(quote(err.Error()))
}

// shape counts, without understanding more of TOML than its strings and comments,
// how deep brackets stand within brackets and how many tables there may be: a
// parser goes down as deep, and makes as many.
func shape(data []byte) (depth, tables int) {
	open := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '#':
			i = endOf(data, i, "\n")
		case '"', '\'':
			i = endOfString(data, i)
		case '[', '{':
			open++
			depth = max(depth, open)
			if c == '{' || i+1 < len(data) && data[i+1] == '[' {
				tables++
			}
		case ']', '}':
			open = max(0, open-1)
		}
	}
	return depth, tables
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
