package dns

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const exampleZone = `
$ORIGIN example.com.
$TTL 300
@        SOA   ns hostmaster 1 2h 1h 2w 120
         NS    ns
         MX    10 mx
         MX    20 mx.example.net.
         TXT   "v=spf1 mx " "-all"
ns       A     192.0.2.53
mx  60   A     192.0.2.1
         AAAA  2001:db8::1
_dmarc   TXT   "v=DMARC1; p=reject"
sel._domainkey TXT ( "v=DKIM1; "   ; a comment
                     "p=abc" )
alias    CNAME mx
far      CNAME www.example.org.
lost     CNAME nowhere.example.com.
loop1    CNAME loop2
loop2    CNAME loop1
self     CNAME self
a.b.deep TXT   "deep"
*.wild   TXT   "wild"
x.wild   A     192.0.2.9
*.walias CNAME mx
bytes    TXT   "\000\255\"\\;"
srv      SRV   1 2 3 mx
nullmx   MX    0 .
tocircle CNAME broken
broken   A     192.0.2.66
;fail broken.example.com A SERVFAIL
   ;fail slow.example.com. * timeout   ; said in lower case, with a comment
;fail refused.EXAMPLE.com TXT Refused
;fail *.dead.example.com * TIMEOUT
;failing to write this is no failure
$ORIGIN 2.0.192.in-addr.arpa.
1        PTR   MX.example.com.
$ORIGIN .
www.example.org 3600 IN A 192.0.2.80
`

func exampleOf(t testing.TB) *Zone {
	t.Helper()
	z, err := ParseZone("example.zone", strings.NewReader(exampleZone))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

type zoneCase struct {
	name string
	typ  Type
	want string
}

func zoneCases() []zoneCase {
	return []zoneCase{
		{"example.com", TXT, `found 5m0s ["v=spf1 mx -all"]`},
		{"Example.Com.", MX, `found 5m0s [{10 mx.example.com} {20 mx.example.net}]`},
		{"mx.example.com", A, `found 1m0s [192.0.2.1]`},
		{"mx.example.com", AAAA, `found 5m0s [2001:db8::1]`},
		{"mx.example.com", TXT, `nodata 2m0s`},
		{"_dmarc.example.com", TXT, `found 5m0s ["v=DMARC1; p=reject"]`},
		{"sel._domainkey.example.com", TXT, `found 5m0s ["v=DKIM1; p=abc"]`},
		{"bytes.example.com", TXT, `found 5m0s ["\x00\xff\"\\;"]`},
		{"nullmx.example.com", MX, `found 5m0s [{0 }]`},
		{"1.2.0.192.in-addr.arpa", PTR, `found 5m0s ["mx.example.com"]`},
		{"srv.example.com", A, `nodata 2m0s`},
		{"www.example.org", A, `found 1h0m0s [192.0.2.80]`},
		// names that no zone holds
		{"none.example.com", A, `nxdomain 2m0s`},
		{"none.example.net", A, `nxdomain 5m0s`},
		{"2.2.0.192.in-addr.arpa", PTR, `nxdomain 5m0s`},
		// RFC 8020: what lies above a name exists
		{"b.deep.example.com", TXT, `nodata 2m0s`},
		{"deep.example.com", TXT, `nodata 2m0s`},
		{"_domainkey.example.com", TXT, `nodata 2m0s`},
		{"com", TXT, `nodata 5m0s`},
		{"c.deep.example.com", TXT, `nxdomain 2m0s`},
		{"below.mx.example.com", A, `nxdomain 2m0s`},
		// RFC 4592
		{"any.wild.example.com", TXT, `found 5m0s ["wild"]`},
		{"any.name.wild.example.com", TXT, `found 5m0s ["wild"]`},
		{"*.wild.example.com", TXT, `found 5m0s ["wild"]`},
		{"any.wild.example.com", A, `nodata 2m0s`},
		{"wild.example.com", TXT, `nodata 2m0s`},
		{"x.wild.example.com", TXT, `nodata 2m0s`},
		{"below.x.wild.example.com", TXT, `nxdomain 2m0s`},
		{"any.walias.example.com", A, `found 1m0s [192.0.2.1]`},
		// RFC 1034 section 3.6.2
		{"alias.example.com", A, `found 1m0s [192.0.2.1]`},
		{"alias.example.com", TXT, `nodata 2m0s`},
		{"far.example.com", A, `found 5m0s [192.0.2.80]`},
		{"lost.example.com", A, `nxdomain 2m0s`},
		{"loop1.example.com", A, `servfail`},
		{"self.example.com", A, `servfail`},
		// ;fail
		{"broken.example.com", A, `servfail`},
		{"broken.example.com", TXT, `nodata 2m0s`},
		{"tocircle.example.com", A, `servfail`},
		{"slow.example.com", MX, `timeout`},
		{"slow.example.com", TXT, `timeout`},
		{"refused.example.com", TXT, `refused`},
		{"refused.example.com", A, `nxdomain 2m0s`},
		{"a.dead.example.com", A, `timeout`},
		{"b.a.dead.example.com", TXT, `timeout`},
		{"dead.example.com", A, `nxdomain 2m0s`},
	}
}

func describe(a Answer) string {
	s := string(a.Outcome)
	if conclusive(a.Outcome) {
		s += " " + a.TTL.String()
	}
	switch {
	case a.TXT != nil:
		s += " " + strings.ReplaceAll(fmt.Sprintf("%q", a.TXT), `" "`, `", "`)
	case a.Addrs != nil:
		s += fmt.Sprintf(" %v", a.Addrs)
	case a.MX != nil:
		s += fmt.Sprintf(" %v", a.MX)
	case a.Names != nil:
		s += fmt.Sprintf(" %q", a.Names)
	}
	return s
}

func TestZoneQuery(t *testing.T) {
	z := exampleOf(t)
	for _, c := range zoneCases() {
		a := z.Query(t.Context(), Question{c.name, c.typ})
		if got := describe(a); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.typ, c.name, got, c.want)
		}
		if a.Server != "zone" || a.Secure || a.Cached {
			t.Errorf("%s %s: %+v", c.typ, c.name, a)
		}
	}
	for _, q := range []Question{{"", TXT}, {"a..b", TXT}, {"example.com", "SOA"}} {
		if a := z.Query(t.Context(), q); a.Outcome != Malformed {
			t.Errorf("%s: %s, want malformed", q, a.Outcome)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if a := z.Query(ended, Question{"example.com", TXT}); a.Outcome != Timeout {
		t.Errorf("after the end of its context: %s", a.Outcome)
	}
}

// The zone on real sockets, asked by the Client, says the same as in process.
func TestZoneServe(t *testing.T) {
	z := exampleOf(t)
	c := clientOf(t, serveZone(t, z))
	for _, q := range zoneCases() {
		want, got := z.Query(t.Context(), Question{q.name, q.typ}), c.Query(t.Context(), Question{q.name, q.typ})
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Answer{}, "Server", "Err"), cmpopts.IgnoreUnexported(Answer{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s %s (-in process +by network):\n%s", q.typ, q.name, diff)
		}
	}
}

func serveZone(t testing.TB, z *Zone) *double {
	t.Helper()
	udp, tcp := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- z.Serve(ctx, udp, tcp) }()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("serving: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the server did not end with its context")
		}
	})
	return &double{addr: tcp.Addr().String()}
}

// DN-2, from end to end.
func TestZoneServeTruncates(t *testing.T) {
	var text strings.Builder
	for i := range 20 {
		fmt.Fprintf(&text, "big.x. TXT \"%d %s\"\n", i, strings.Repeat("x", 200))
	}
	z, err := ParseZone("big", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	a := clientOf(t, serveZone(t, z)).Query(t.Context(), Question{"big.x", TXT})
	if a.Outcome != Found || len(a.TXT) != 20 {
		t.Errorf("%s (%v), %d records of 20", a.Outcome, a.Err, len(a.TXT))
	}
}

func TestZoneServeEndsWhenAListenerFails(t *testing.T) {
	udp, tcp := listen(t)
	_ = tcp.Close()
	if err := exampleOf(t).Serve(t.Context(), udp, tcp); err == nil {
		t.Error("no error, though TCP was closed")
	}
}

func TestZoneFileForms(t *testing.T) {
	for text, want := range map[string]string{
		"q.x. TXT ok":                                                   `found 1h0m0s ["ok"]`, // no $TTL, no SOA, no last line end
		"q.x TXT ok\n":                                                  `found 1h0m0s ["ok"]`, // relative to the root
		"\ufeffq.x. TXT ok\r\n":                                         `found 1h0m0s ["ok"]`,
		"$ORIGIN x.\nq 5 IN TXT ok":                                     `found 5s ["ok"]`,
		"$ORIGIN x.\nq IN 5m TXT ok":                                    `found 5m0s ["ok"]`,
		"$ORIGIN q.x.\n@ TXT a\n  TXT b":                                `found 1h0m0s ["a", "b"]`,
		"q.x. TXT same\nq.x. TXT same":                                  `found 1h0m0s ["same"]`,
		`\113.x. TXT ok`:                                                `found 1h0m0s ["ok"]`,
		"q.x. TXT " + strings.Repeat("y", 300):                          `found 1h0m0s ["` + strings.Repeat("y", 300) + `"]`,
		"q.x. TXT gr\u00fc\u00df":                                       `found 1h0m0s ["gr` + "\u00fc\u00df" + `"]`,
		"$GENERATE 1-3 a$.x. A 192.0.2.$\nq.x. TXT ok":                  `found 1h0m0s ["ok"]`,
		"q.x. TYPE65280 \\# 2 abcd":                                     `nodata 5m0s`,
		"q.x. TXT \"a;b\" ; comment":                                    `found 1h0m0s ["a;b"]`,
		"q.x. CNAME r.x.\nr.x. TXT ok\n;fail r.x TXT SERVFAIL":          `servfail`,
		"q.x. CNAME r.x.\nq.x. NSEC z.x. CNAME RRSIG NSEC\nr.x. TXT ok": `found 1h0m0s ["ok"]`,
		";fail * * REFUSED\nq.x. TXT ok":                                `refused`,
		"":                                                              `nxdomain 5m0s`,
	} {
		z, err := ParseZone("f", strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := describe(z.Query(t.Context(), question)); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// An error names file and line, and says what to do.
func TestZoneFileErrors(t *testing.T) {
	for text, want := range map[string]string{
		"\nq.x. A nonsense\n":                    `f:2: bad A A: "nonsense": write a record as NAME TTL IN TYPE DATA, a name with a dot at its end, a text in double quotes`,
		"a.x. A 192.0.2.1\n$INCLUDE /etc/passwd": `f:2: $INCLUDE directive not allowed: "/etc/passwd": give the files one beside the other instead`,
		"q.x. WHAT x\n":                          `f:1: not a TTL: "WHAT": write a record`,
		"  TXT no-owner\n":                       `f:1: the record's name "" cannot be used: write a name`,
		"q.x. CH TXT x\n":                        `f:1: the class of q.x. is not IN: leave it away`,
		"a.x. A 192.0.2.1\nq.x. TXT\n":           `f:2: unexpected newline`,
		"q.x. A \\# 0\n":                         `f:1: A of q.x. has`,
		"q.x. AAAA \\# 0\n":                      `f:1: AAAA of q.x. has`,
		"q.x. MX \\# 0\n":                        `f:1: MX of q.x. has`,
		"q.x. TXT \\# 0\n":                       `f:1: TXT of q.x. has no data: write it after the type`,
		"q.x. TXT ; nothing\n":                   `f:1: TXT of q.x. has no data`,
		"q.x. CNAME .\n":                         `f:1: CNAME of q.x. leads to the root`,
		"q.x. CNAME r.x.\nq.x. TXT x\n":          `f:2: q.x. has a CNAME and so no other record can stand there: remove one`,
		"q.x. TXT x\n\nq.x. CNAME r.x.\n":        `f:3: q.x. has a CNAME`,
		"q.x. CNAME r.x.\nq.x. CNAME s.x.\n":     `f:2: q.x. has a CNAME`,
		`a\.b.x. TXT x`:                          `f:1: the record's name "a\\.b.x." cannot be used`,
		"q.x. TXT \"open\n":                      `f:`,
		"q.x. TXT ( \"open\"\n":                  `f:`,
		";fail q.x TXT\n":                        `f:1: 2 words after ;fail: write ;fail NAME TYPE SERVFAIL|REFUSED|TIMEOUT, where TYPE may be *`,
		"\n\n ;fail q.x TXT NXDOMAIN\n":          `f:3: "NXDOMAIN" is no failure: write ;fail`,
		";fail q.x WHAT SERVFAIL\n":              `f:1: "WHAT" is no type of record: write ;fail`,
		";fail q..x TXT SERVFAIL\n":              `f:1: "q..x" is no name: write ;fail`,
		";fail\n":                                `f:1: 0 words after ;fail`,
	} {
		z, err := ParseZone("f", strings.NewReader(text))
		if err == nil || z != nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	huge := strings.NewReader(strings.Repeat("; all this is comment\n", maxZoneBytes/20))
	if _, err := ParseZone("f", huge); err == nil || !strings.Contains(err.Error(), "divide it") {
		t.Errorf("too large a file: %v", err)
	}
	if _, err := ParseZone("f", strings.NewReader("$GENERATE 1-1001 q.x. TXT t$\n")); err == nil || !strings.Contains(err.Error(), "f:1: q.x. has more than 1000 records") {
		t.Errorf("too many records of a name: %v", err)
	}
	if _, err := ParseZone("f", strings.NewReader("$GENERATE 1-65535 a$.x. A 192.0.2.1\n$GENERATE 1-65535 b$.x. A 192.0.2.1\n")); err == nil || !strings.Contains(err.Error(), "more than 100000 records") {
		t.Errorf("too many records: %v", err)
	}
}

func TestLoadZones(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := file("one", "$ORIGIN x.\nq CNAME r.y.\n"), file("two", "r.y. TXT ok\n;fail s.y TXT TIMEOUT\n")
	z, err := LoadZones(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describe(z.Query(t.Context(), question)), `found 1h0m0s ["ok"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := describe(z.Query(t.Context(), Question{"s.y", TXT})); got != "timeout" {
		t.Errorf("%s, want timeout", got)
	}
	_, err = LoadZones(one, file("bad", "nonsense\n"), filepath.Join(dir, "missing"))
	if err == nil || !strings.Contains(err.Error(), "bad:1: ") || !strings.Contains(err.Error(), "missing: no such file") {
		t.Errorf("not every file that is wrong is named: %v", err)
	}
}

// FuzzZone: any text is a zone or an error, and a zone answers everything.
func FuzzZone(f *testing.F) {
	f.Add(exampleZone, "any.wild.example.com")
	f.Add(";fail * * TIMEOUT\n", "x")
	f.Add("$ORIGIN x.\n@ TXT ( a b\n c )\n* CNAME y.*\n", "y.x")
	f.Fuzz(func(t *testing.T, text, name string) {
		if strings.Contains(strings.ToUpper(text), "$GENERATE") {
			return // a few bytes make many records
		}
		z, err := ParseZone("f", strings.NewReader(text))
		if err != nil {
			if z != nil || !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("error %q", err)
			}
			return
		}
		for _, typ := range []Type{A, AAAA, MX, PTR, TXT} {
			a := z.Query(t.Context(), Question{name, typ})
			if a.Outcome != Malformed {
				verify(t, a, false, typ)
			}
		}
	})
}
