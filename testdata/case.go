package testdata

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Case is one message with all that is known of it and all that is expected.
type Case struct {
	Area  string // name of its folder
	Name  string // of its files, without extension
	Title string // one line for people
	Rules []string

	EML  []byte // as it comes over the wire
	Zone []byte // master file; nil: no name exists

	Time      time.Time // the clock of the check
	Config    string    // TOML laid over the defaults, "" for none
	Protected []string  // protected domains, each with its customer after a blank if it has one
	Entries   []string  // of lists: "LIST allow domain=example.net network=192.0.2.0/24 expires=2026-12-31T00:00:00Z"

	ClientIP string
	Helo     string
	MailFrom string // "" is the null sender
	Rcpts    []string

	SMTP    string // begin of the last reply: to the final dot, or to what was refused before; "" if nothing is expected of it
	expects []expectation
}

// Judged tells whether the case expects anything of a verdict; one that does not
// is of what the SMTP server refuses by itself.
func (c Case) Judged() bool { return len(c.expects) > 0 }

// defaultTime is the clock of a case that names none.
func defaultTime() time.Time { return time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC) }

// Load reads the cases of one folder, in the order of their names: each .eml
// with its .want and, if there is one, its .zone or else common.zone. A file
// that belongs to no case is an error, like all that does not parse.
func Load(fsys fs.FS, dir string) ([]Case, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	common, err := readOptional(fsys, path.Join(dir, "common.zone"))
	if err != nil {
		return nil, err
	}
	var cases []Case
	names := map[string]bool{"common": true, "README": true}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".eml"); ok {
			c, err := load(fsys, dir, name, common)
			if err != nil {
				return nil, err
			}
			cases = append(cases, c)
			names[name] = true
		}
	}
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), path.Ext(e.Name())); !names[name] {
			return nil, fmt.Errorf("%s: no %s.eml beside it", path.Join(dir, e.Name()), name)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("%s: no case", dir)
	}
	return cases, nil
}

func load(fsys fs.FS, dir, name string, common []byte) (Case, error) {
	c := Case{Area: path.Base(dir), Name: name, Zone: common, Time: defaultTime()}
	base := path.Join(dir, name)
	want, err := fs.ReadFile(fsys, base+".want")
	if err != nil {
		return c, err
	}
	if err := c.parse(base+".want", string(want)); err != nil {
		return c, err
	}
	eml, err := fs.ReadFile(fsys, base+".eml")
	if err != nil {
		return c, err
	}
	c.EML = wire(eml)
	zone, err := readOptional(fsys, base+".zone")
	if zone != nil {
		c.Zone = zone
	}
	return c, err
}

func readOptional(fsys fs.FS, name string) ([]byte, error) {
	b, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// wire gives the bytes as SMTP brings them: a file without any CR is text, as
// editors write it, and gets CRLF; one with a CR is taken as it is.
func wire(eml []byte) []byte {
	if bytes.IndexByte(eml, '\r') >= 0 {
		return eml
	}
	return bytes.ReplaceAll(eml, []byte("\n"), []byte("\r\n"))
}
