package config

import (
	"errors"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Admin is the table [admin].
type Admin struct {
	// Address and port of the console. On a loopback address nobody is asked who
	// he is unless there are users or client_ca: set them where strangers have
	// accounts on this host. On any other address TLS is required, and users or
	// client_ca too. "" switches it off.
	// Default: "127.0.0.1:9925".
	Address string `toml:"address" check:"listen" empty:"ok"`

	// From where it may be reached at all, as networks or addresses. [] is from
	// everywhere. Nothing is believed of what a header says of the client's address.
	// This host may always ask for /healthz and /readyz.
	// Example: ["192.0.2.0/24", "2001:db8::25"]
	// Default: [].
	Networks []netip.Prefix `toml:"networks"`

	// File with the certificate and its chain, PEM, for TLS 1.2 and later. It and
	// tls_key are read again when they change.
	// Default: "".
	TLSCertificate string `toml:"tls_certificate" check:"path" empty:"ok"`

	// File with the certificate's private key, PEM.
	// Default: "".
	TLSKey string `toml:"tls_key" check:"path" empty:"ok"`

	// File with authorities, PEM. Who shows a certificate for clients (extended key
	// usage clientAuth) that one of these has signed needs no password.
	// Default: "".
	ClientCA string `toml:"client_ca" check:"path" empty:"ok"`

	// Names of which such a certificate must bear one: a DNS name or mail address
	// among its alternative names, else its common name. [] lets in whomever the
	// authorities have signed.
	// Example: ["soc.example.net", "admin@example.net"]
	// Default: [].
	ClientNames []string `toml:"client_names" check:"user"`

	// Wrong passwords that one client (an IPv4 address or an IPv6 /64) may try
	// within a time, as "10/m". All together may try 12 times as many. Who goes
	// beyond is answered 429, right password or not.
	// Default: "5/m".
	LoginRate string `toml:"login_rate" check:"rate"`

	// Names by which browsers may call the page where it listens on loopback, besides
	// localhost and loopback addresses. All others are refused, so that no web
	// page can reach it under a name of its own (DNS rebinding).
	// Example: ["console.example.net"]
	// Default: [].
	Hosts []string `toml:"hosts" check:"host"`

	// Serve /debug/pprof, by the same rules. A heap profile shows who calls what; it
	// has no mail in it. Switch it on while you measure.
	// Default: false.
	Pprof bool `toml:"pprof"`

	// A second address and port for machines alone: /metrics, and /healthz and
	// /readyz, which there tell anybody in one word. It speaks TLS where
	// tls_certificate is set. Not on loopback it needs metrics_token_file. "" is
	// none.
	// Example: ":9926"
	// Default: "".
	MetricsAddress string `toml:"metrics_address" check:"listen" empty:"ok"`

	// File with a token of 16 to 256 characters without spaces. /metrics then
	// wants it as "Authorization: Bearer TOKEN", and takes it on both addresses.
	// It is read again when it changes.
	// Default: "".
	MetricsTokenFile string `toml:"metrics_token_file" check:"path" empty:"ok"`

	// People who may enter with a password (HTTP Basic, which TLS hides). No
	// session and no cookie is kept.
	Users []User `toml:"user"`
}

// User is one table [[admin.user]].
type User struct {
	// What the user types. Letters, digits and @ . _ + -, at most 64. The log says
	// who has looked at what by this name.
	// Required.
	Name string `toml:"name" check:"user" required:"yes" example:"\"soc\""`

	// The password as bcrypt has it, of cost 10 to 14, the same cost for all users.
	// "sekimori admin hash" makes one, and so does "htpasswd -nB -C 12 NAME".
	// Required.
	PasswordHash string `toml:"password_hash" check:"bcrypt" required:"yes" example:"\"$2a$12$RfhfQvBkmaIpeHqJ4wbDVuxvZbDg8u8BtMBMXIM2xC5f1SJX3FM0C\""`
}

func defaultAdmin() Admin { return Admin{Address: "127.0.0.1:9925", LoginRate: "5/m"} }

// Local tells whether only this host reaches an address of the admin listeners.
func Local(address string) bool {
	host, _, err := splitAddress(address, 0)
	return err == nil && isLoopback(host)
}

// adminConflicts: what can be reached from outside must be closed to strangers.
func adminConflicts(a Admin, add func(bad bool, key, other, message string)) {
	const address, metrics = "admin.address", "admin.metrics_address"
	open := a.Address != "" && !Local(a.Address) && !strings.HasPrefix(a.Address, "unix:")
	tls := a.TLSCertificate != ""
	add(strings.HasPrefix(a.Address, "unix:"), address, "", "cannot be a unix socket")
	add(strings.HasPrefix(a.MetricsAddress, "unix:"), metrics, "", "cannot be a unix socket")
	add(a.LoginRate == "0", "admin.login_rate", "", "cannot be switched off")
	add(open && !tls, address, "admin.tls_certificate", "can be reached from other hosts: set admin.tls_certificate and admin.tls_key, or listen on 127.0.0.1")
	add(open && len(a.Users) == 0 && a.ClientCA == "", address, "admin.client_ca",
		"can be reached from other hosts: add an [[admin.user]] (sekimori admin hash makes its password_hash), or set admin.client_ca")
	add(a.MetricsAddress != "" && !Local(a.MetricsAddress) && a.MetricsTokenFile == "", metrics, "admin.metrics_token_file",
		"can be reached from other hosts: set admin.metrics_token_file, or listen on 127.0.0.1")
	add(meet(a.Address, a.MetricsAddress) || a.Address != "" && a.Address == a.MetricsAddress && !anyPort(a.Address), metrics, address, "is taken by admin.address")
	add(tls && a.TLSKey == "", "admin.tls_certificate", "admin.tls_key", "needs admin.tls_key")
	add(a.TLSKey != "" && !tls, "admin.tls_key", "admin.tls_certificate", "needs admin.tls_certificate")
	add(a.ClientCA != "" && !tls, "admin.client_ca", "admin.tls_certificate", "does nothing without admin.tls_certificate")
	add(len(a.ClientNames) > 0 && a.ClientCA == "", "admin.client_names", "admin.client_ca", "does nothing without admin.client_ca")
	userConflicts(a.Users, add)
}

// userConflicts: a hash of another cost takes another time, by which strangers
// could tell names that exist from those that do not.
func userConflicts(users []User, add func(bad bool, key, other, message string)) {
	first := map[string]string{}
	for i, u := range users {
		at := tablePath("admin.user", i)
		earlier, taken := first[u.Name]
		add(taken, at+".name", earlier, "is the name of "+earlier+" already")
		if !taken {
			first[u.Name] = at
		}
		add(bcryptCost(u.PasswordHash) != bcryptCost(users[0].PasswordHash), at+".password_hash", "admin.user.password_hash",
			"has another cost than that of admin.user: the time of an answer would tell which names exist")
	}
}

// checkUser keeps to what HTTP Basic (RFC 7617 section 2) and a log line can hold.
func checkUser(s string) error {
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && !strings.ContainsRune("@._+-", rune(c)) {
			return errors.New(`not a name of letters, digits and "@", ".", "_", "+", "-"`)
		}
	}
	if s == "" || len(s) > 64 {
		return errors.New("not a name of 1 to 64 characters")
	}
	return nil
}

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$`)

// bcryptCost is 0 for what is no hash.
func bcryptCost(hash string) int {
	m := bcryptForm.FindStringSubmatch(hash)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // two digits
	return n
}

// secret tells whether the value of a key is never shown: not in a log, not in
// what is said about a faulty file.
func secret(key string) bool {
	return strings.HasSuffix(key, ".password_hash") || key == "history.url" ||
		strings.HasPrefix(key, "protected.source") && strings.HasSuffix(key, ".url")
}

func checkBcrypt(s string) error {
	switch cost := bcryptCost(s); {
	case cost == 0:
		return errors.New("not a bcrypt hash: sekimori admin hash makes one")
	case cost < 10 || cost > 14:
		return errors.New("of a cost out of range: 10 to 14")
	}
	return nil
}
