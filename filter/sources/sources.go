// Package sources reads, live, what a provider keeps elsewhere: which domains
// are protected and whose they are (files of Postfix, cPanel and Plesk, plain
// lists, directories, SQL), and the lists that customers write. Files and rows
// go in, immutable sets come out into filter.Live.
//
// What is read here is written by others, at any moment and in any state. So a
// source never loses a domain because it cannot be read, is half written, or has
// suddenly got empty: what it had stays until what it has is whole.
package sources

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is how a source is written.
type Kind string

// The kinds.
const (
	List      Kind = "list"      // one domain a line, and whose it is after a space; Plesk's lists too
	CPanel    Kind = "cpanel"    // "domain: user", or one domain a line
	Postfix   Kind = "postfix"   // a lookup table, as TYPE:FILE or its text
	Directory Kind = "directory" // one list for each customer
	SQL       Kind = "sql"       // a query
)

// Source is one place where domains come from.
type Source struct {
	Name     string   // for log, metrics and the copies: a closed set, unique
	Kind     Kind     //
	Paths    []string // of files, patterns of filepath.Match, directories, or tables of Postfix
	Database string   // of SQL: "postgres://...", or "sqlite:" and a path
	Query    string   // of SQL: one or two columns
	Interval time.Duration
	Timeout  time.Duration // of one query or one table
}

// same tells whether two sources are read from the same place in the same way.
// Where it is not so, what the one had says nothing about the other.
func (s Source) same(t Source) bool { return s.identity() == t.identity() }

// identity names the place without the secrets of a database's address.
func (s Source) identity() string {
	return fmt.Sprintf("%s %q %q %q", s.Kind, s.Paths, withoutSecrets(s.Database), s.Query)
}

// Bounds of what others write.
const (
	maxFile    = 64 << 20 // bytes of one file or table
	maxLine    = 4096     // bytes
	maxDomains = 1000000  // of one source
	maxFiles   = 100000   // of one directory or pattern
	maxTold    = 3        // faults that are told of one source
)

var (
	errTooLarge = fmt.Errorf("is larger than %d MiB", maxFile>>20)
	errTooMany  = fmt.Errorf("names more than %d domains", maxDomains)
	errBinary   = errors.New("has NUL bytes: it is no text file, or is damaged")
)

// checkCustomer keeps to what can be a file's name, a word in a log and an entry
// of a panel: 1 to 64 letters, digits, ".", "_", "-", "@" and "+", of which the
// first is no dot.
func checkCustomer(s string) error {
	if s == "" || len(s) > 64 || s[0] == '.' || s[0] == '-' || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-@+", r)
	}) {
		return errors.New("is no name of a customer: 1 to 64 letters, digits, . _ - @ +")
	}
	return nil
}

// quote shows a piece of a file that somebody else has written.
func quote(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:57], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}

// firstOf keeps the first few of what there is to tell.
func firstOf(all []string) []string { return slices.Clip(all[:min(len(all), maxTold)]) }
