package config

import (
	"strings"
	"time"
)

// Protected is the table [protected].
type Protected struct {
	// Domains of ours: mail in their name, or in that of a domain below them, comes
	// from us, from whom they name in SPF and DKIM, or from nobody (policy.spoof).
	// Example: ["example.com", "bücher.example"]
	// Default: [].
	Domains []string `toml:"domains"`

	// What a source has no more stays protected for so long, so that a list that is
	// just being written is not taken for a shorter one. What is new is protected
	// at once. A source that has lost more than half of its domains keeps them all,
	// until "sekimori reload --accept NAME" says that this is right.
	// Default: "1m". Limits: "0s" to "1d".
	RemovalDelay Duration `toml:"removal_delay" min:"0s" max:"1d"`

	// Directory in which the last good state of each source is kept. With it a
	// restart protects what was protected before, even where a source is broken by
	// then. A source that is broken at the start and of which nothing is kept ends
	// the start. "" keeps nothing.
	// Default: "/var/lib/sekimori/protected".
	StateDirectory string `toml:"state_directory" check:"path" empty:"ok"`

	// Postfix's program that lists lookup tables, for sources of that kind.
	// Default: "/usr/sbin/postmap".
	Postmap string `toml:"postmap" check:"path"`

	// Where more domains are read from, and read again whenever they change: one
	// [[protected.source]] for each place, 100 at most. Where two name different
	// customers for a domain, the first holds.
	Sources []Source `toml:"source"`
}

// Source is one table [[protected.source]].
type Source struct {
	// What it is called in metrics and log; no two may be called the same. Letters,
	// digits, -, _ and ., at most 64.
	// Required.
	Name string `toml:"name" check:"name" required:"yes" example:"\"cpanel\""`

	// How it is written. "cpanel": /etc/userdomains, which names the customers too,
	// or /etc/localdomains; DirectAdmin's /etc/virtual/domainowners is alike.
	// "plesk" and "list": one domain a line, a # begins a comment; after a blank may
	// stand the customer. "postfix": lookup tables, as main.cf names them
	// ("hash:/etc/postfix/vdomains"), or their text. "directory": a list for each
	// customer, who is called as the file, without .txt, .list or .domains.
	// "sql": a query. A few wrong lines are told and left out; where more than three
	// and more than a tenth are wrong, or there is a NUL, the whole file is broken.
	// Default: "list". One of: "list", "cpanel", "plesk", "postfix", "directory", "sql".
	Kind string `toml:"kind" oneof:"list|cpanel|plesk|postfix|directory|sql" example:"\"cpanel\""`

	// Files, tables or directories with their full paths. In names of files * ? and
	// [a-z] stand for others. Tables of Postfix are of the types hash, btree, lmdb,
	// texthash, or cdb, of which the text beside it is read.
	// Default: [].
	Paths []string `toml:"paths" example:"[\"/etc/userdomains\"]"`

	// Database, for "sql": "postgres://panel@db.example.net/panel", or "sqlite:" and
	// the path of a file. The password may stand in it, in url_file, or where libpq
	// looks: PGPASSWORD, PGPASSFILE.
	// Default: "".
	URL string `toml:"url" example:"\"\""`

	// File that holds the url, for secrets that stand in no configuration. It is
	// read when the configuration is.
	// Default: "".
	URLFile string `toml:"url_file" check:"path" empty:"ok" example:"\"\""`

	// What the database is asked, in a transaction that only reads: rows of the
	// domain, or of the domain and its customer.
	// Example: "SELECT name, owner FROM domains WHERE active"
	// Default: "".
	Query string `toml:"query" example:"\"\""`

	// How often a database is asked. Files are read when the operating system tells
	// that they have changed, and looked at so often where it does not: on network
	// file systems.
	// Default: "30s". Limits: "1s" to "1d".
	Interval Duration `toml:"interval" min:"1s" max:"1d" example:"\"30s\""`

	// How long a query, or postmap, may take.
	// Default: "10s". Limits: "1s" to "5m".
	Timeout Duration `toml:"timeout" min:"1s" max:"5m" example:"\"10s\""`
}

// Lists is the table [lists].
type Lists struct {
	// Directory of the allow and block lists that customers' panels write: the file
	// CUSTOMER.toml is that customer's and nobody else's. It is read again when it
	// changes; a file that is wrong leaves its customer the list from before.
	// Example: "/etc/sekimori/allow.d"
	// Default: "".
	Customers string `toml:"customers" check:"path" empty:"ok"`

	// The same for lists of yours that policies name (policy.lists), where no
	// customer can write. Here, everybody.toml is the list "*", which is asked for
	// every recipient. A list of this directory goes before a customer's of the
	// same name.
	// Default: "".
	Shared string `toml:"shared" check:"path" empty:"ok"`

	// Entries that one file may have.
	// Default: 10000. Limits: 1 to 1000000.
	MaxEntries int `toml:"max_entries" min:"1" max:"1000000"`

	// Entries of all files together. A file that would go beyond is not read.
	// Default: 1000000. Limits: 1 to 10000000.
	MaxTotal int `toml:"max_total" min:"1" max:"10000000"`

	// How often the directories are looked at where the operating system does not
	// tell of changes: on network file systems.
	// Default: "30s". Limits: "1s" to "1d".
	Interval Duration `toml:"interval" min:"1s" max:"1d"`
}

// SourceKey is the key of a source's key, for problems that only the program can
// find; the source counts from 0.
func SourceKey(i int, key string) string { return tablePath("protected.source", i) + "." + key }

func protectedConflicts(p Protected, add func(bad bool, key, other, message string)) {
	first := map[string]string{}
	for i, s := range p.Sources {
		path := tablePath("protected.source", i)
		earlier, taken := first[s.Name]
		add(taken, path+".name", path, "is the name of "+earlier+" already")
		add(strings.HasPrefix(s.Name, "lists."), path+".name", path, `cannot begin with "lists.", as those of [lists] do`)
		if !taken {
			first[s.Name] = path
		}
		sourceConflicts(s, path, add)
	}
}

func sourceConflicts(s Source, path string, add func(bad bool, key, other, message string)) {
	kind := path + ".kind"
	if s.Kind == "sql" {
		add(len(s.Paths) > 0, path+".paths", kind, `does nothing with kind = "sql", which has a url`)
		add(s.URL == "" && s.URLFile == "", path+".url", kind, `is missing: kind = "sql" needs url or url_file`)
		add(s.URL != "" && s.URLFile != "", path+".url_file", path+".url", "does nothing beside url")
		add(strings.TrimSpace(s.Query) == "", path+".query", kind, `is missing: kind = "sql" needs a query`)
		return
	}
	add(len(s.Paths) == 0, path+".paths", kind, "is missing")
	for _, file := range s.Paths {
		plain := file
		if t, rest, ok := strings.Cut(file, ":"); ok && s.Kind == "postfix" && !strings.Contains(t, "/") {
			plain = rest
		}
		add(!strings.HasPrefix(plain, "/") || checkPath(plain) != nil, path+".paths", kind, quote(file)+" is not a full path, as \"/etc/userdomains\"")
	}
	add(s.URL != "", path+".url", kind, `does nothing unless kind = "sql"`)
	add(s.URLFile != "", path+".url_file", kind, `does nothing unless kind = "sql"`)
	add(s.Query != "", path+".query", kind, `does nothing unless kind = "sql"`)
}

func defaultProtected() Protected {
	return Protected{
		RemovalDelay:   Duration(time.Minute),
		StateDirectory: "/var/lib/sekimori/protected",
		Postmap:        "/usr/sbin/postmap",
	}
}
