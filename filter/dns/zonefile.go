package dns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	mdns "github.com/miekg/dns"
)

// The bounds of a master file.
const (
	maxZoneBytes   = 16 << 20
	maxZoneRecords = 100_000
	maxNameRecords = 1000 // of one name
)

// LoadZones reads master files into one Zone. Errors name every file that is
// wrong, with the line and what to do.
func LoadZones(paths ...string) (*Zone, error) {
	z := newZone()
	var wrong []error
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		wrong = append(wrong, z.add(path, f))
		_ = f.Close()
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return z, nil
}

// ParseZone reads one master file; name stands in errors.
func ParseZone(name string, r io.Reader) (*Zone, error) {
	z := newZone()
	if err := z.add(name, r); err != nil {
		return nil, err
	}
	return z, nil
}

func newZone() *Zone {
	return &Zone{nodes: map[string][]mdns.RR{}, fails: map[Question]Outcome{}}
}

// add reads one file: at most 16 MiB and 100,000 records.
func (z *Zone) add(file string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxZoneBytes+1))
	if err != nil {
		return fmt.Errorf("reading zone %s: %w", file, err)
	}
	if len(text) > maxZoneBytes {
		return fmt.Errorf("%s: larger than %d bytes: divide it into several files", file, maxZoneBytes)
	}
	text = append(bytes.TrimPrefix(text, []byte("\ufeff")), '\n')
	if err := z.addFailures(file, text); err != nil {
		return err
	}
	return z.addRecords(file, text)
}

// addFailures reads the ;fail lines.
func (z *Zone) addFailures(file string, text []byte) error {
	for i, line := range bytes.Split(text, []byte("\n")) {
		s := strings.TrimSpace(string(line))
		words := strings.Fields(s)
		if len(words) == 0 || !strings.EqualFold(words[0], ";fail") {
			continue
		}
		s, _, _ = strings.Cut(s[1:], ";")
		if err := z.addFailure(strings.Fields(s)[1:]); err != nil {
			return fmt.Errorf("%s:%d: %w: write ;fail NAME TYPE SERVFAIL|REFUSED|TIMEOUT, where TYPE may be *", file, i+1, err)
		}
	}
	return nil
}

func (z *Zone) addFailure(words []string) error {
	if len(words) != 3 {
		return fmt.Errorf("%d words after ;fail", len(words))
	}
	name, ok := parseName(strings.TrimSuffix(words[0], ".") + ".")
	if !ok || !askable(name) {
		return fmt.Errorf("%q is no name", words[0])
	}
	t := Type(strings.ToUpper(words[1]))
	if _, ok := mdns.StringToType[string(t)]; !ok && t != anyType {
		return fmt.Errorf("%q is no type of record", words[1])
	}
	o, ok := map[string]Outcome{"SERVFAIL": ServFail, "REFUSED": Refused, "TIMEOUT": Timeout}[strings.ToUpper(words[2])]
	if !ok {
		return fmt.Errorf("%q is no failure", words[2])
	}
	z.fails[Question{name, t}] = o
	return nil
}

func (z *Zone) addRecords(file string, text []byte) error {
	lines := &lineCounter{Reader: bytes.NewReader(text)}
	parser := mdns.NewZoneParser(lines, ".", "")
	parser.SetDefaultTTL(defaultTTL)
	for n := 0; ; n++ {
		rr, ok := parser.Next()
		if !ok {
			return parseError(file, parser.Err())
		}
		err := z.insert(rr)
		if n == maxZoneRecords {
			err = fmt.Errorf("more than %d records: divide them into several files", maxZoneRecords)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, lines.n, err)
		}
	}
}

// lineCounter is at the end of the record that the parser gave last: it takes
// single bytes and no more of them than it needs.
type lineCounter struct {
	*bytes.Reader
	n int
}

func (l *lineCounter) ReadByte() (byte, error) {
	c, err := l.Reader.ReadByte()
	if err == nil && c == '\n' {
		l.n++
	}
	return c, err
}

// insert puts a record into the tree and makes the names above it exist (RFC
// 8020 section 2, RFC 4592 section 2.2.2).
func (z *Zone) insert(rr mdns.RR) error {
	h := rr.Header()
	name, ok := parseName(h.Name)
	switch {
	case !ok || (name != "" && !askable(name)):
		return fmt.Errorf("the record's name %q cannot be used: write a name at the beginning of the line", h.Name)
	case h.Class != mdns.ClassINET:
		return fmt.Errorf("the class of %s is not IN: leave it away", h.Name)
	}
	if err := checkData(rr); err != nil {
		return fmt.Errorf("%s of %s %w", mdns.TypeToString[h.Rrtype], h.Name, err)
	}
	if len(z.nodes[name]) == maxNameRecords {
		return fmt.Errorf("%s has more than %d records: remove some", h.Name, maxNameRecords)
	}
	for _, old := range z.nodes[name] {
		if mdns.IsDuplicate(old, rr) {
			return nil // RFC 2181 section 5: a set holds a record once
		}
		if excludes(h.Rrtype, old.Header().Rrtype) || excludes(old.Header().Rrtype, h.Rrtype) {
			return fmt.Errorf("%s has a CNAME and so no other record can stand there: remove one", h.Name)
		}
	}
	h.Name = present(name)
	z.nodes[name] = append(z.nodes[name], rr)
	for parent := range parents(name) {
		if _, ok := z.nodes[parent]; ok {
			break
		}
		z.nodes[parent] = nil
	}
	return nil
}

// excludes: a CNAME stands alone (RFC 1034 section 3.6.2), but for its
// signatures (RFC 4035 section 2.5).
func excludes(t, other uint16) bool {
	return t == mdns.TypeCNAME && other != mdns.TypeRRSIG && other != mdns.TypeNSEC
}

// checkData refuses what the parser lets pass: a record without data, and names
// that no question can carry.
func checkData(rr mdns.RR) error {
	empty := errors.New("has no data: write it after the type")
	switch rr := rr.(type) {
	case *mdns.A:
		if rr.A == nil {
			return empty
		}
	case *mdns.AAAA:
		if rr.AAAA == nil {
			return empty
		}
	case *mdns.TXT:
		if len(rr.Txt) == 0 {
			return empty
		}
	case *mdns.MX:
		return checkName(rr.Mx)
	case *mdns.PTR:
		return checkName(rr.Ptr)
	case *mdns.CNAME:
		if rr.Target == "." {
			return errors.New("leads to the root: name another target")
		}
		return checkName(rr.Target)
	}
	return nil
}

func checkName(s string) error {
	name, ok := parseName(s)
	if !ok || (name != "" && !askable(name)) {
		return fmt.Errorf("has %q for a name: write one as host.example.com. with a dot at its end", s)
	}
	return nil
}

// parseError turns `dns: WHAT: "TOKEN" at line: L:C` into ours.
func parseError(file string, err error) error {
	if err == nil {
		return nil
	}
	what, line := strings.TrimPrefix(err.Error(), "dns: "), ""
	if i := strings.LastIndex(what, " at line: "); i >= 0 {
		what, line = what[:i], what[i+len(" at line: "):]
	}
	line, _, _ = strings.Cut(line, ":")
	if _, bad := strconv.Atoi(line); bad != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	hint := "write a record as NAME TTL IN TYPE DATA, a name with a dot at its end, a text in double quotes"
	if strings.Contains(what, "$INCLUDE") {
		hint = "give the files one beside the other instead"
	}
	return fmt.Errorf("%s:%s: %s: %s", file, line, what, hint)
}
