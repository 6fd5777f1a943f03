package config

import (
	"strings"
	"testing"
)

const (
	hash12 = "$2a$12$RfhfQvBkmaIpeHqJ4wbDVuxvZbDg8u8BtMBMXIM2xC5f1SJX3FM0C"
	hash10 = "$2y$10$RfhfQvBkmaIpeHqJ4wbDVuxvZbDg8u8BtMBMXIM2xC5f1SJX3FM0C"
)

func TestAdminConflicts(t *testing.T) {
	const tls = "admin.tls_certificate = 'c'\nadmin.tls_key = 'k'\n"
	user := "\n[[admin.user]]\nname = 'soc'\npassword_hash = '" + hash12 + "'\n"
	for text, want := range map[string]string{
		"admin.address = ':9925'":                                             "admin.address: can be reached from other hosts: set admin.tls_certificate",
		"admin.address = '192.0.2.1:9925'" + user:                             "admin.address: can be reached from other hosts: set admin.tls_certificate",
		tls + "admin.address = ':9925'":                                       "add an [[admin.user]]",
		"admin.address = 'unix:/run/x'":                                       "admin.address: cannot be a unix socket",
		"admin.metrics_address = ':9926'":                                     "set admin.metrics_token_file",
		"admin.metrics_address = '127.0.0.1:9925'":                            "admin.metrics_address: is taken by admin.address",
		"admin.metrics_address = ':25'\nadmin.metrics_token_file = 't'":       "admin.metrics_address: is taken by listener.address",
		"admin.tls_key = 'k'":                                                 "needs admin.tls_certificate",
		"admin.tls_certificate = 'k'":                                         "needs admin.tls_key",
		"admin.client_ca = 'c'":                                               "does nothing without admin.tls_certificate",
		"admin.client_names = ['a']":                                          "does nothing without admin.client_ca",
		"admin.client_names = ['a b']":                                        `"a b" is not a name of letters`,
		"admin.login_rate = '0'":                                              "admin.login_rate: cannot be switched off",
		"admin.hosts = ['-']":                                                 "is not a host name or address",
		user + user:                                                           "admin.user[1].name: is the name of admin.user already",
		user + "[[admin.user]]\nname = 'b'\npassword_hash = '" + hash10 + "'": "has another cost than that of admin.user",
		"[[admin.user]]\nname = 'a:b'\npassword_hash = '" + hash12 + "'":      `"a:b" is not a name of letters`,
		"[[admin.user]]\nname = 'a'":                                          "admin.user.password_hash: is missing",
		"[[admin.user]]\nname = 'a'\npassword_hash = '" + strings.Replace(hash12, "$12$", "$05$", 1) + "'":       "of a cost out of range: 10 to 14",
		"[[admin.user]]\nname = 'a'\npassword_hash = '$6$rounds=5000$usesomesillystri$D4IrlXatmP7rx3P3InaxBeoo'": "is not a bcrypt hash",
	} {
		_, err := Parse("x", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestAdminOpened(t *testing.T) {
	const tls = "admin.address = ':9925'\nadmin.tls_certificate = 'c'\nadmin.tls_key = 'k'\n"
	user := "[[admin.user]]\nname = 'soc'\npassword_hash = '" + hash10 + "'\n"
	for _, text := range []string{
		tls + user,
		tls + "admin.client_ca = 'ca'\nadmin.client_names = ['soc.example.net', 'a@example.net']",
		"admin.metrics_address = ':9926'\nadmin.metrics_token_file = 't'",
		"admin.address = 'localhost:9925'\nadmin.metrics_address = '[::1]:9926'",
		"admin.address = ''",
	} {
		if _, err := Parse("x", []byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A password that was written where its hash belongs is not told on.
func TestSecretsAreNotShown(t *testing.T) {
	_, err := Parse("x", []byte("[[admin.user]]\nname = 'soc'\npassword_hash = 'hunter2'\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "x:3:") {
		t.Errorf("said of a faulty file: %v", err)
	}
	a, b := Default(), Default()
	a.Admin.Users, b.Admin.Users = []User{{"soc", hash12}}, []User{{"soc", hash10}}
	got := Diff(a, b)
	if len(got) != 1 || strings.Contains(got[0], "$2") || !strings.HasPrefix(got[0], "admin.user.password_hash: (secret ") {
		t.Errorf("said of a change: %q", got)
	}
}
