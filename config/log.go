package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
)

// Log is the table [log].
type Log struct {
	// The least important lines that are written. "info" has one line a message.
	// Default: "info". One of: "debug", "info", "warn", "error".
	Level string `toml:"level" oneof:"debug|info|warn|error"`

	// Where the lines go, to several places at once if you like: "stderr", "stdout",
	// "journald" (its own protocol, with a field each), "file:/path" (reopened at
	// each reload, for logrotate), "syslog+unix:/dev/log", "syslog+tcp://host:601",
	// "syslog+tls://host:6514" (RFC 5424, 6587 and 5425). [] writes nothing.
	// Example: ["file:/var/log/sekimori/sekimori.log", "syslog+tls://logs.example.net:6514"]
	// Default: ["stderr"].
	Outputs []string `toml:"outputs" check:"output"`

	// Bytes of lines that wait for one output that is slow or gone. When there is no
	// room left, further lines are dropped and counted: mail never waits for a log.
	// Default: "4MiB". Limits: "1MiB" to "1GiB".
	Queue Size `toml:"queue" min:"1MiB" max:"1GiB"`

	// The facility of lines to syslog (RFC 5424 section 6.2.1).
	// Default: "mail". One of: "mail", "daemon", "auth", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7".
	SyslogFacility string `toml:"syslog_facility" oneof:"mail|daemon|auth|local0|local1|local2|local3|local4|local5|local6|local7"`

	// Authorities that may sign the certificate of a syslog server, as a PEM file.
	// "" takes those of the operating system.
	// Default: "".
	SyslogTLSCA string `toml:"syslog_tls_ca" check:"path" empty:"ok"`

	// Certificate that we show to a syslog server, with its chain, as a PEM file.
	// Default: "".
	SyslogTLSCertificate string `toml:"syslog_tls_certificate" check:"path" empty:"ok"`

	// Key of that certificate, as a PEM file.
	// Default: "".
	SyslogTLSKey string `toml:"syslog_tls_key" check:"path" empty:"ok"`

	// What log and history keep of people's addresses. "hashed" puts a keyed hash
	// in place of each local part, in texts too: the same address has the same hash,
	// and only who has the key can try out whose it is. "none" puts "*" there.
	// Domains, host names and IP addresses stay.
	// Default: "full". One of: "full", "hashed", "none".
	Personal string `toml:"personal" oneof:"full|hashed|none"`

	// File with the key of "hashed": 32 bytes at least, of any kind. A hash begins
	// with four digits that tell keys apart; with a new key all hashes are new.
	// Example: "/etc/sekimori/personal.key"
	// Default: "".
	PersonalKey string `toml:"personal_key" check:"path" empty:"ok"`

	// Write the Subject of each message.
	// Default: false.
	Subject bool `toml:"subject"`
}

func defaultLog() Log {
	return Log{Level: "info", Outputs: []string{"stderr"}, Queue: 4 << 20, SyslogFacility: "mail", Personal: "full"}
}

// Output takes an entry of log.outputs apart: kind is stderr, stdout, journald,
// file, syslog+unix, syslog+tcp or syslog+tls, at the path or address of the last
// four.
func Output(s string) (kind, at string, err error) {
	kind, at, _ = strings.Cut(s, ":")
	switch kind {
	case "stderr", "stdout", "journald":
		if s == kind {
			return kind, "", nil
		}
	case "file", "syslog+unix":
		if filepath.IsAbs(at) && checkPath(at) == nil {
			return kind, at, nil
		}
		return "", "", fmt.Errorf("without an absolute path, as %q", kind+":/path")
	case "syslog+tcp", "syslog+tls":
		at, slashes := strings.CutPrefix(at, "//")
		host, _, err := net.SplitHostPort(at)
		if slashes && err == nil && host != "" && !strings.HasPrefix(at, "unix:") && checkDial(at) == nil {
			return kind, at, nil
		}
		return "", "", fmt.Errorf("without an address, as %q", kind+"://logs.example.net:6514")
	}
	return "", "", errors.New(`not an output, as "stderr", "journald", "file:/path" or "syslog+tls://host:6514"`)
}

func logConflicts(l Log, add func(bad bool, key, other, message string)) {
	tls := slices.ContainsFunc(l.Outputs, func(s string) bool { return strings.HasPrefix(s, "syslog+tls:") })
	add(l.SyslogTLSCA != "" && !tls, "log.syslog_tls_ca", "log.outputs", "does nothing without an output syslog+tls")
	add(l.SyslogTLSCertificate != "" && !tls, "log.syslog_tls_certificate", "log.outputs", "does nothing without an output syslog+tls")
	add(l.SyslogTLSCertificate != "" && l.SyslogTLSKey == "", "log.syslog_tls_certificate", "log.syslog_tls_key", "needs log.syslog_tls_key")
	add(l.SyslogTLSKey != "" && l.SyslogTLSCertificate == "", "log.syslog_tls_key", "log.syslog_tls_certificate", "needs log.syslog_tls_certificate")
	add(l.Personal == "hashed" && l.PersonalKey == "", "log.personal", "log.personal_key", `"hashed" needs log.personal_key`)
	add(l.Personal != "hashed" && l.PersonalKey != "", "log.personal_key", "log.personal", `does nothing unless log.personal = "hashed"`)
	for i, s := range l.Outputs {
		add(slices.Contains(l.Outputs[:i], s), fmt.Sprintf("log.outputs[%d]", i), "log.outputs", "stands here a second time")
	}
}
