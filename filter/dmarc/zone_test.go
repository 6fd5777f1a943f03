package dmarc

import (
	"strings"
	"testing"

	"sekimori/filter/dns"
)

const zone = `
$TTL 300
_dmarc.example.com.            TXT   "v=DMARC1; p=rej" "ect; sp=quarantine; np=none"  ; several strings
_dmarc.signing.example.com.    TXT   "v=DMARC1; p=none"
_dmarc.signing.example.com.    TXT   "v=spf1 -all"
_dmarc.alias.example.org.      CNAME policies.example.net.
policies.example.net.          TXT   "v=DMARC1; p=quarantine"
text.only.example.com.         TXT   "hello"
_dmarc.bank.example.           TXT   "v=DMARC1; p=reject; psd=y"
_dmarc.giant.bank.example.     TXT   "v=DMARC1; p=quarantine"
_dmarc.mega.bank.example.      TXT   "v=DMARC1; p=none"
;fail _dmarc.broken.example. TXT SERVFAIL
;fail _dmarc.silent.example. * TIMEOUT
`

// The same rules over real answers: a session over master files.
func TestOverZone(t *testing.T) {
	z, err := dns.ParseZone("zone", strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ id, author, spf, dkim, want string }{
		{"DM-003", "example.com", "", "", "fail example.com reject"},
		{"DM-004", "signing.example.com", "", "", "fail signing.example.com none"},
		{"DM-018 SERVFAIL", "broken.example", "", "", "temperror"},
		{"DM-018 timeout", "mail.silent.example", "", "", "temperror"},
		{"DM-020", "alias.example.org", "", "", "fail alias.example.org quarantine"},
		{"DM-031", "gone.example.com", "", "", "fail example.com none"},
		{"DM-033 texts only", "text.only.example.com", "", "", "fail example.com quarantine"},
		{"DM-033 empty non-terminal", "only.example.com", "", "", "fail example.com quarantine"},
		{"DM-043 B.4.1", "example.com", "pass example.com", "pass signing.example.com", "pass example.com reject spf dkim0"},
		{"DM-044 B.4.2", "a.b.c.d.e.f.g.h.i.j.k.example.com", "pass example.com", "pass signing.example.com", "pass example.com none spf dkim0"},
		{"DM-045 B.4.3", "giant.bank.example", "pass mail.giant.bank.example", "pass mail.mega.bank.example", "pass giant.bank.example quarantine spf"},
		{"DM-047", "example.net", "pass example.net", "", "none spf"},
	}
	for _, test := range tests {
		t.Run(test.id, func(t *testing.T) {
			s := dns.NewSession(z, 60)
			spf, dkim := id(test.spf), ids()
			if test.dkim != "" {
				dkim = ids(test.dkim)
			}
			f := Gather(t.Context(), s, test.author, append(dkim, spf))
			if got := verdict(f.Evaluate(spf, dkim)); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A message that has used up its questions is not the sender's fault.
func TestBudget(t *testing.T) {
	z, err := dns.ParseZone("zone", strings.NewReader(zone))
	if err != nil {
		t.Fatal(err)
	}
	r := Gather(t.Context(), dns.NewSession(z, 1), "mail.example.com", nil).Evaluate(Identifier{}, nil)
	if r.Word != TempError || !strings.Contains(r.Reason, string(dns.OverLimit)) {
		t.Errorf("%s: %s", r.Word, r.Reason)
	}
}
