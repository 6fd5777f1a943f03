package config

import (
	"errors"
	"net/url"
	"time"
)

// History is the table [history].
type History struct {
	// File of a SQLite database in which a row for each message is kept: what the
	// console searches. Its directory must exist and be ours to write, on a local
	// disk; the file is made, readable to us and our group. "" keeps no history,
	// unless there is a url.
	// Example: "/var/lib/sekimori/history.db"
	// Default: "".
	Path string `toml:"path" check:"path" empty:"ok"`

	// PostgreSQL in place of a file, so that many nodes share one history, as
	// "postgres://sekimori@db.example.net/sekimori?sslmode=verify-full". The
	// password may stand in it, in url_file, or where libpq looks: PGPASSWORD,
	// PGPASSFILE. Parameters are libpq's and default_query_exec_mode: "exec" where
	// nothing is said, which fits PgBouncer, or "simple_protocol",
	// "cache_statement", "cache_describe", "describe_exec".
	// Default: "".
	URL string `toml:"url" check:"postgres" empty:"ok"`

	// File that holds the url, for secrets that stand in no configuration. It is
	// read when the configuration is.
	// Default: "".
	URLFile string `toml:"url_file" check:"path" empty:"ok"`

	// Our name in rows that many nodes share. "" takes the hostname.
	// Default: "".
	Node string `toml:"node" check:"name" empty:"ok"`

	// How long a row stays. Nodes that share a PostgreSQL delete what is too old for
	// any of them.
	// Default: "14d". Limits: "1h" to "3650d".
	Retention Duration `toml:"retention" min:"1h" max:"3650d"`

	// Bytes of the file in use, beyond which the oldest rows go, however young they
	// are. A row takes 4 KiB or so. The file can be larger by the -wal beside
	// it, some 20 MB. Of PostgreSQL nothing is measured against it.
	// Default: "2GiB". Limits: "16MiB" to "1024GiB".
	MaxSize Size `toml:"max_size" min:"16MiB" max:"1024GiB"`

	// Bytes of rows that wait in memory while the database is slow or away. What
	// goes beyond is dropped and counted; mail never waits.
	// Default: "64MiB". Limits: "1MiB" to "16GiB".
	Queue Size `toml:"queue" min:"1MiB" max:"16GiB"`

	// How long one question of the console may take.
	// Default: "5s". Limits: "100ms" to "1m".
	QueryTimeout Duration `toml:"query_timeout" min:"100ms" max:"1m"`
}

func defaultHistory() History {
	return History{Retention: Duration(14 * 24 * time.Hour), MaxSize: 2 << 30, Queue: 64 << 20, QueryTimeout: Duration(5 * time.Second)}
}

// checkPostgres keeps the errors free of what may be a password.
func checkPostgres(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return errors.New(`not a URL of PostgreSQL, as "postgres://user@host/database"`)
	}
	return nil
}

func historyConflicts(h History, add func(bad bool, key, other, message string)) {
	add(h.Path != "" && h.URL != "", "history.url", "history.path", "does not go with history.path: rows are kept in one place")
	add(h.Path != "" && h.URLFile != "", "history.url_file", "history.path", "does not go with history.path: rows are kept in one place")
	add(h.URL != "" && h.URLFile != "", "history.url_file", "history.url", "does not go with history.url: it would hold another")
}
