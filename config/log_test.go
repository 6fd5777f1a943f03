package config

import (
	"strings"
	"testing"
)

func TestLogOutputs(t *testing.T) {
	for in, want := range map[string]string{
		"stderr": "stderr", "stdout": "stdout", "journald": "journald", "file:/var/log/x": "file /var/log/x", "syslog+unix:/dev/log": "syslog+unix /dev/log",
		"syslog+tcp://logs.example.net:601": "syslog+tcp logs.example.net:601", "syslog+tls://[2001:db8::1]:6514": "syslog+tls [2001:db8::1]:6514",
	} {
		kind, at, err := Output(in)
		if got := strings.TrimSpace(kind + " " + at); got != want || err != nil {
			t.Errorf("%s is %q, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "stderr:", "syslog", "file:", "file:x", "file", "syslog+tcp:logs:1", "syslog+tcp://logs", "syslog+tls://:6514", "syslog+tls://unix:/x", "syslog+udp://a.example:514", "file:/a\nb"} {
		if _, _, err := Output(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestLogConflicts(t *testing.T) {
	for text, want := range map[string]string{
		`log.personal = "hashed"`:            "log.personal: \"hashed\" needs log.personal_key",
		`log.personal_key = "/k"`:            "log.personal_key: does nothing unless",
		`log.syslog_tls_ca = "/ca"`:          "log.syslog_tls_ca: does nothing without",
		`log.outputs = ["stderr", "stderr"]`: "log.outputs[1]: stands here a second time",
		`log.outputs = ["stderr", "mail"]`:   `log.outputs[1]: "mail" is not an output`,
		"log.outputs = [\"syslog+tls://a.example:6514\"]\nlog.syslog_tls_certificate = \"/c\"": "log.syslog_tls_certificate: needs log.syslog_tls_key",
		`log.queue = "1KiB"`: "log.queue",
	} {
		if _, err := Parse("x.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
