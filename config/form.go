package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Network tells what net.Listen or net.Dial is to be given for an address:
// "unix" and the path of "unix:/path", else "tcp" and the address.
func Network(address string) (network, rest string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// checkSocket: the kernel keeps 108 octets for the path, with a NUL at its end.
func checkSocket(path string) error {
	if !strings.HasPrefix(path, "/") || len(path) > 107 || checkPath(path) != nil {
		return errors.New(`not a unix socket, as "unix:/run/sekimori/smtp.sock" with at most 107 characters after "unix:"`)
	}
	return nil
}

// ParseRate reads "60/m", 60 events in a minute; "0" is none, with per = 0.
func ParseRate(s string) (events int, per time.Duration, err error) {
	if s == "0" {
		return 0, 0, nil
	}
	number, word, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || n == 0 || n > math.MaxInt32 || number[0] == '+' {
		return 0, 0, errRate
	}
	for _, u := range durationUnits() {
		if u.name == word && word != "ms" {
			return int(n), time.Duration(u.n), nil
		}
	}
	return 0, 0, errRate
}

var errRate = errors.New(`not a rate: write a number and a time, as "60/m" or "5/s", or "0" for none`)

// checkName keeps to what a file descriptor of systemd can be called
// (sd_listen_fds_with_names) and a label can hold.
func checkName(s string) error {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' {
			return errors.New(`not a name of letters, digits, "-", "_" and "."`)
		}
	}
	if len(s) > 64 {
		return errors.New("longer than 64 characters")
	}
	return nil
}

// checkCustomer takes what hosting panels call their customers, which becomes a
// file's name.
func checkCustomer(s string) error {
	if s == "" || len(s) > 128 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }) {
		return errors.New(`not a name of 1 to 128 characters without spaces and "/"`)
	}
	return nil
}

func checkMode(s string) error {
	n, err := strconv.ParseUint(s, 8, 16)
	if err != nil || n > 0o777 || len(s) < 3 || len(s) > 4 {
		return errors.New(`not permissions in octal, as "0660"`)
	}
	return nil
}

func checkEmail(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || checkFQDN(domain) != nil || strings.ContainsFunc(local, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("not a mail address")
	}
	return nil
}
