package spf

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sekimori/filter/dns"
)

const (
	client4 = "192.0.2.3"
	client6 = "2001:db8::cb01"
)

// expectation is one case of MAIL FROM at example.com.
type expectation struct {
	name        string
	record      string // of example.com
	client      string // client4 unless said
	from        string // u@example.com unless said
	zone        []string
	word        Word
	mechanism   string
	reason      string // part of it
	explanation string
	lookups     int
}

func (e expectation) run(t *testing.T) {
	t.Helper()
	z := newZone(e.zone...)
	if e.record != "" {
		z.add("example.com", dns.TXT, e.record)
	}
	client, from := client4, "u@example.com"
	if e.client != "" {
		client = e.client
	}
	if e.from != "" {
		from = e.from
	}
	got := Check(t.Context(), z, netip.MustParseAddr(client), "mta.example.org", from).MailFrom
	if got.Word != e.word || got.Mechanism != e.mechanism || got.Explanation != e.explanation || got.Lookups != e.lookups {
		t.Errorf("got %+v", got)
	}
	if !strings.Contains(got.Reason, e.reason) || (got.Reason == "") == (got.Mechanism == "") {
		t.Errorf("reason %q, want %q", got.Reason, e.reason)
	}
	for _, q := range z.asked {
		if q.Type == "SPF" { // SPF-013, RFC 7208 section 3.1
			t.Errorf("asked for %v", q)
		}
	}
}

func runAll(t *testing.T, cases []expectation) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, c.run)
	}
}

// SPF-010 to SPF-022: which record is it, and is it one.
func TestRecordSelection(t *testing.T) {
	runAll(t, []expectation{
		{name: "SPF-011 nxdomain", word: None, reason: "example.com does not exist"},
		{name: "SPF-011 nodata", zone: []string{"example.com A 192.0.2.1"}, word: None, reason: "example.com has no SPF record"},
		{name: "SPF-012 servfail", zone: []string{"example.com TXT !servfail"}, word: TempError, reason: "the TXT records of example.com: servfail"},
		{name: "SPF-012 refused", zone: []string{"example.com TXT !refused"}, word: TempError, reason: "refused"},
		{name: "SPF-012 timeout", zone: []string{"example.com TXT !timeout"}, word: TempError, reason: "timeout"},
		{name: "SPF-012 unreadable", zone: []string{"example.com TXT !malformed"}, word: TempError, reason: "malformed"},
		{name: "SPF-066 over budget", zone: []string{"example.com TXT !overlimit"}, word: TempError, reason: "overlimit"},
		{name: "SPF-015 other version", record: "v=spf10 -all", word: None, reason: "has no SPF record"},
		{name: "SPF-015 no space", record: "v=spf1-all", word: None, reason: "has no SPF record"},
		{name: "SPF-015 tab", record: "v=spf1\t-all", word: None, reason: "has no SPF record"},
		{name: "SPF-016 upper case", record: "V=SPF1 -ALL", word: Fail, mechanism: "ALL"},
		{name: "SPF-017 empty", record: "v=spf1", word: Neutral, reason: "no directive matched"},
		{name: "SPF-018 two", record: "v=spf1 -all", zone: []string{"example.com TXT V=SPF1 +all"}, word: PermError, reason: "more than one SPF record"},
		{name: "SPF-019 unrelated", record: "v=spf1 -all", zone: []string{"example.com TXT \xff\xfe"}, word: Fail, mechanism: "all"},
		{name: "SPF-020 non-ASCII", record: "v=spf1 +all x=\xe9", word: PermError, reason: "term 2 is a byte that is not printable ASCII"},
		{name: "SPF-020 NUL", record: "v=spf1 a\x00 -all", word: PermError, reason: "term 1 is a byte"},
		{name: "SPF-021 spaces", record: "v=spf1   -all  ", word: Fail, mechanism: "all"},
		{name: "SPF-021 tab", record: "v=spf1 a\t-all", word: PermError, reason: "malformed"},
		{name: "SPF-022 after a match", record: "v=spf1 ip4:192.0.2.3 -all moo", word: PermError, reason: "term 3 is an unknown mechanism"},
		{name: "longest", record: "v=spf1 -all" + strings.Repeat(" ", maxRecord-11), word: Fail, mechanism: "all"},
		{name: "too long", record: "v=spf1 -all" + strings.Repeat(" ", maxRecord-10), word: PermError, reason: "more than 10000 bytes"},
	})
}

// SPF-030 to SPF-058: the terms.
func TestTerms(t *testing.T) {
	hosts := []string{"example.com A 192.0.2.3", "example.com AAAA " + client6, "example.com MX mx.example.com", "mx.example.com A 192.0.2.3"}
	included := func(record string) []string { return []string{"sub.example.net TXT " + record} }
	runAll(t, []expectation{
		{name: "SPF-030 case", record: "v=spf1 Ip4:192.0.2.3", word: Pass, mechanism: "Ip4:192.0.2.3"},
		{name: "SPF-031 plus", record: "v=spf1 +all", word: Pass, mechanism: "all"},
		{name: "SPF-031 tilde", record: "v=spf1 ~all", word: SoftFail, mechanism: "all"},
		{name: "SPF-031 question mark", record: "v=spf1 ?all", word: Neutral, mechanism: "all"},
		{name: "SPF-033 after all", record: "v=spf1 ~all a redirect=sub.example.net", word: SoftFail, mechanism: "all"},
		{name: "SPF-033 redirect before all", record: "v=spf1 redirect=sub.example.net ~all", word: SoftFail, mechanism: "all"},
		{name: "SPF-035 pass", record: "v=spf1 ~include:sub.example.net -all", zone: included("v=spf1 ip4:192.0.2.0/24"), word: SoftFail, mechanism: "include:sub.example.net", lookups: 1},
		{name: "SPF-035 fail", record: "v=spf1 include:sub.example.net ?all", zone: included("v=spf1 -all"), word: Neutral, mechanism: "all", lookups: 1},
		{name: "SPF-035 softfail", record: "v=spf1 include:sub.example.net -all", zone: included("v=spf1 ~ip4:192.0.2.3 +all"), word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-035 temperror", record: "v=spf1 include:sub.example.net -all", zone: []string{"sub.example.net TXT !servfail"}, word: TempError, reason: "the TXT records of sub.example.net", lookups: 1},
		{name: "SPF-035 permerror", record: "v=spf1 include:sub.example.net -all", zone: included("v=spf1 moo"), word: PermError, reason: "the SPF record of sub.example.net is malformed", lookups: 1},
		{name: "SPF-035 none", record: "v=spf1 include:sub.example.net -all", word: PermError, reason: "example.com refers to sub.example.net, which does not exist", lookups: 1},
		{name: "SPF-035 literal", record: "v=spf1 include:%{h}.%{l} -all", word: PermError, reason: "which does not exist", lookups: 1},
		{name: "SPF-035 no name", record: "v=spf1 include:%{l} -all", word: PermError, reason: "example.com refers to u, which cannot be looked up", lookups: 1},
		{name: "SPF-037 macros", record: "v=spf1 include:sub.example.net -all", zone: append(included("v=spf1 exists:%{l}.%{o}.%{d}"), "u.example.com.sub.example.net A 127.0.0.2"), word: Pass, mechanism: "include:sub.example.net", lookups: 2},
		{name: "SPF-038 a", record: "v=spf1 a -all", zone: hosts, word: Pass, mechanism: "a", lookups: 1},
		{name: "SPF-038 a v6", record: "v=spf1 a//64 -all", client: "2001:db8::1", zone: hosts, word: Pass, mechanism: "a//64", lookups: 1},
		{name: "SPF-038 a zero", record: "v=spf1 a/0//128 -all", client: "2001:db8::1", zone: hosts, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-038 mapped address in AAAA", record: "v=spf1 a//0 -all", client: client6, zone: []string{"example.com AAAA ::ffff:192.0.2.3"}, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-039 a nxdomain", record: "v=spf1 a:x.example.com -all", word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-040 mx without MX", record: "v=spf1 mx -all", zone: hosts[:1], word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-040 mx", record: "v=spf1 -mx/31 ~all", client: "192.0.2.2", zone: hosts, word: Fail, mechanism: "mx/31", lookups: 1},
		{name: "SPF-040 null MX", record: "v=spf1 mx -all", zone: []string{"example.com MX ."}, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-045 networks", record: "v=spf1 ip4:10.0.0.0/0", word: Pass, mechanism: "ip4:10.0.0.0/0"},
		{name: "SPF-046 networks", record: "v=spf1 ip6:2001:db8::/32", client: client6, word: Pass, mechanism: "ip6:2001:db8::/32"},
		{name: "SPF-047 mapped client", record: "v=spf1 exists:%{i}.%{v}.example.com -all", client: "::ffff:192.0.2.3", zone: []string{"192.0.2.3.in-addr.example.com A 127.0.0.2"}, word: Pass, mechanism: "exists:%{i}.%{v}.example.com", lookups: 1},
		{name: "SPF-048 mapped network", record: "v=spf1 ip6:::ffff:192.0.2.0/120 -all", word: Fail, mechanism: "all"},
		{name: "SPF-048 whole IPv6", record: "v=spf1 ip6:::/0 -all", word: Fail, mechanism: "all"},
		{name: "SPF-049 exists v6", record: "v=spf1 exists:example.com -all", client: client6, zone: hosts, word: Pass, mechanism: "exists:example.com", lookups: 1},
		{name: "SPF-049 AAAA only", record: "v=spf1 exists:x.example.com -all", client: client6, zone: []string{"x.example.com AAAA ::1"}, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-050 a", record: "v=spf1 a -all", zone: []string{"example.com A !servfail"}, word: TempError, reason: "the A records of example.com: servfail", lookups: 1},
		{name: "SPF-050 a v6", record: "v=spf1 a -all", client: client6, zone: []string{"example.com AAAA !timeout"}, word: TempError, reason: "the AAAA records of example.com: timeout", lookups: 1},
		{name: "SPF-050 mx", record: "v=spf1 mx -all", zone: []string{"example.com MX !refused"}, word: TempError, reason: "the MX records", lookups: 1},
		{name: "SPF-050 mx host", record: "v=spf1 mx -all", zone: []string{"example.com MX h.example.net", "h.example.net A !timeout"}, word: TempError, reason: "h.example.net", lookups: 1},
		{name: "SPF-050 exists", record: "v=spf1 exists:x.example.com -all", zone: []string{"x.example.com A !servfail"}, word: TempError, reason: "x.example.com", lookups: 1},
		{name: "SPF-054 redirect to nothing", record: "v=spf1 redirect=sub.example.net", word: PermError, reason: "which does not exist", lookups: 1},
		{name: "SPF-055 redirect", record: "v=spf1 redirect=sub.example.net ip4:10.0.0.1", zone: included("v=spf1 exists:%{d}.example -all"), word: Fail, mechanism: "all", lookups: 2},
		{name: "SPF-055 neutral behind redirect", record: "v=spf1 redirect=sub.example.net", zone: included("v=spf1 ip4:10.0.0.1"), word: Neutral, reason: "no directive matched", lookups: 1},
		{name: "SPF-058 empty label", record: "v=spf1 a:x..example.com -all", word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-058 asks nothing, so finds nothing void", record: "v=spf1 a:x..example.com exists:..example.com mx:x..example.com a:y..example.com ptr:.com ~all", word: SoftFail, mechanism: "all", lookups: 5},
		{name: "mechanism cut", record: "v=spf1 exists:" + strings.Repeat("x.", 200) + "example.com", zone: []string{strings.Repeat("x.", 121) + "example.com A 127.0.0.2"}, word: Pass, mechanism: "exists:" + strings.Repeat("x.", 124), lookups: 1},
		{name: "SPF-058 mx long label", record: "v=spf1 mx:" + strings.Repeat("x", 64) + ".example.com -all", word: Fail, mechanism: "all", lookups: 1},
	})
}

// SPF-042 to SPF-044 and SPF-076: names of the client.
func TestReverse(t *testing.T) {
	arpa := "3.2.0.192.in-addr.arpa"
	valid := []string{arpa + " PTR Mail.Example.com.", "mail.example.com A 192.0.2.3"}
	runAll(t, []expectation{
		{name: "SPF-044 below", record: "v=spf1 ptr -all", zone: valid, word: Pass, mechanism: "ptr", lookups: 1},
		{name: "SPF-044 itself", record: "v=spf1 ptr:MAIL.example.com. -all", zone: valid, word: Pass, mechanism: "ptr:MAIL.example.com.", lookups: 1},
		{name: "SPF-044 no label edge", record: "v=spf1 ptr:il.example.com -all", zone: valid, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-044 not validated", record: "v=spf1 ptr -all", zone: valid[:1], word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-042 error of PTR", record: "v=spf1 ptr -all", zone: []string{arpa + " PTR !servfail"}, word: Fail, mechanism: "all", lookups: 1},
		{name: "SPF-042 error of A", record: "v=spf1 ptr -all", zone: append(valid, arpa+" PTR bad.example.com.", "bad.example.com A !timeout"), word: Pass, mechanism: "ptr", lookups: 1},
		{name: "SPF-063 one void however many terms", record: "v=spf1 ptr ptr ptr ptr -all", word: Fail, mechanism: "all", lookups: 4},
		{name: "SPF-062 macro counts", record: "v=spf1 exists:%{p}.ok.example -all", zone: append(valid, "mail.example.com.ok.example A 127.0.0.2"), word: Pass, mechanism: "exists:%{p}.ok.example", lookups: 2},
		{name: "SPF-062 six macros are twelve", record: "v=spf1" + strings.Repeat(" a:%{p}.ok.example", 6), zone: append(valid, "mail.example.com.ok.example A 10.0.0.1"), word: PermError, reason: "more than 10 terms", lookups: 11},
		{name: "SPF-076 unknown", record: "v=spf1 redirect=%{p}.example.net", zone: []string{"unknown.example.net TXT v=spf1 ?all"}, word: Neutral, mechanism: "all", lookups: 2},
		{name: "SPF-076 the domain before its hosts", record: "v=spf1 exists:%{p}.ok.example", zone: append(valid, arpa+" PTR z.example.net", "z.example.net A 192.0.2.3", arpa+" PTR example.com", "example.com A 192.0.2.3", "example.com.ok.example A 127.0.0.2"), word: Pass, mechanism: "exists:%{p}.ok.example", lookups: 2},
		{name: "SPF-076 its hosts before others", record: "v=spf1 exists:%{p}.ok.example", zone: []string{arpa + " PTR z.example.net", arpa + " PTR b.example.com", "z.example.net A 192.0.2.3", "b.example.com A 192.0.2.3", "b.example.com.ok.example A 127.0.0.2"}, word: Pass, mechanism: "exists:%{p}.ok.example", lookups: 2},
	})
}

// SPF-060 to SPF-066.
func TestLimits(t *testing.T) {
	names := many(12, "t%d.example.net A 10.0.0.1")
	terms := func(n int) string { return strings.Repeat(" a:t0.example.net", n) }
	runAll(t, []expectation{
		{name: "SPF-060 ten", record: "v=spf1" + terms(10) + " -all", zone: names, word: Fail, mechanism: "all", lookups: 10},
		{name: "SPF-060 eleven", record: "v=spf1" + terms(11) + " -all", zone: names, word: PermError, reason: "more than 10 terms", lookups: 11},
		{name: "SPF-061 loop", record: "v=spf1 include:example.com -all", word: PermError, reason: "more than 10 terms", lookups: 11},
		{name: "SPF-062 uncounted", record: "v=spf1" + strings.Repeat(" ip4:10.0.0.1 ip6:::1 ", 20) + "-all", word: Fail, mechanism: "all"},
		{name: "SPF-063 two voids", record: "v=spf1 a:x.example mx:y.example -all", word: Fail, mechanism: "all", lookups: 2},
		{name: "SPF-063 three voids", record: "v=spf1 a:x.example mx:y.example exists:z.example -all", word: PermError, reason: "found nothing", lookups: 3},
		{name: "SPF-063 IPv4 hosts and an IPv6 client", record: "v=spf1 a:t0.example.net a:t1.example.net a:t2.example.net -all", client: client6, zone: names, word: Fail, mechanism: "all", lookups: 3},
		{name: "SPF-063 no names and an IPv6 client", record: "v=spf1 a:x.example a:y.example a:z.example -all", client: client6, word: PermError, reason: "found nothing", lookups: 3},
		{name: "SPF-065 not reached", record: "v=spf1 ip4:192.0.2.3" + terms(11), word: Pass, mechanism: "ip4:192.0.2.3"},
		{name: "SPF-041 ten hosts", record: "v=spf1 mx -all", zone: append(many(10, "example.com MX m%d.example.net"), "m9.example.net A 192.0.2.3"), word: Pass, mechanism: "mx", lookups: 1},
		{name: "SPF-041 eleven hosts", record: "v=spf1 mx -all", zone: append(many(11, "example.com MX m%d.example.net"), "m0.example.net A 192.0.2.3"), word: PermError, reason: "more than 10 hosts", lookups: 1},
	})
}

// SPF-001 to SPF-010.
func TestIdentities(t *testing.T) {
	z := []string{
		"example.com TXT v=spf1 exists:%{l}.l.example -all", "u.l.example A 127.0.0.2", "u\\.l.example A 127.0.0.2",
		"postmaster.l.example A 127.0.0.2", "a@b.l.example A 127.0.0.2", "user+tag=x/y.l.example A 127.0.0.2",
		"mta.example.org TXT v=spf1 exists:%{s}.s.example ~all", "postmaster@mta.example.org.s.example A 127.0.0.2",
		"xn--bcher-kva.example TXT v=spf1 exists:%{d}.%{o}.d.example -all", "xn--bcher-kva.example.xn--bcher-kva.example.d.example A 127.0.0.2",
	}
	for _, c := range []struct {
		name, helo, from string
		wantHelo, want   Word
		domain           string
	}{
		{"SPF-001", "mta.example.org", "u@example.com", Pass, Pass, "example.com"},
		{"SPF-002 null sender", "mta.example.org", "", Pass, Pass, "mta.example.org"},
		{"SPF-002 null sender, literal", "[192.0.2.3]", "", None, None, ""},
		{"SPF-003 no local part", "mta.example.org", "@example.com", Pass, Pass, "example.com"},
		{"SPF-005 single label", "localhost", "u@example.com", None, Pass, "example.com"},
		{"SPF-005 literal", "[IPv6:2001:db8::1]", "u@example.com", None, Pass, "example.com"},
		{"SPF-005 address", "192.0.2.3", "u@example.com", None, Pass, "example.com"},
		{"SPF-005 malformed", "a..example.org", "u@example.com", None, Pass, "example.com"},
		{"SPF-005 empty", "", "u@example.com", None, Pass, "example.com"},
		{"SPF-007 U-label", "mta.example.org", "u@B\u00dcCHER.example", Pass, Pass, "xn--bcher-kva.example"},
		{"SPF-007 A-label", "mta.example.org", "u@xn--bcher-kva.example", Pass, Pass, "xn--bcher-kva.example"},
		{"EA-1 U-label greeting", "b\u00fccher.example", "u@example.com", None, Pass, "example.com"},
		{"SPF-008 non-ASCII local part", "mta.example.org", "\u00fc@example.com", Pass, Fail, "example.com"},
		{"SPF-010 long label", "mta.example.org", "u@" + strings.Repeat("x", 64) + ".example.com", Pass, None, ""},
		{"SPF-010 empty label", "mta.example.org", "u@a..example.com", Pass, None, ""},
		{"SPF-010 single label", "mta.example.org", "u@com", Pass, None, ""},
		{"SPF-010 literal", "mta.example.org", "u@[192.0.2.3]", Pass, None, ""},
		{"SPF-010 no domain", "mta.example.org", "postmaster", Pass, None, ""},
		{"last @", "mta.example.org", "a@b@example.com", Pass, Pass, "example.com"},
		{"@ in quotes", "mta.example.org", `"a@b"@example.com`, Pass, Pass, "example.com"},
		{"quoted without need", "mta.example.org", `"u"@example.com`, Pass, Pass, "example.com"},
		{"quoted pair", "mta.example.org", `"\u"@example.com`, Pass, Pass, "example.com"},
		{"odd local part", "mta.example.org", "user+tag=x/y@example.com", Pass, Pass, "example.com"},
		{"trailing dot", "mta.example.org.", "u@example.com", Pass, Pass, "example.com"},
		{"local part beyond all bounds", "mta.example.org", strings.Repeat("u", 1000) + "@example.com", Pass, Fail, "example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			zone := newZone(z...)
			got := Check(t.Context(), zone, netip.MustParseAddr(client4), c.helo, c.from)
			if got.Helo.Word != c.wantHelo || got.MailFrom.Word != c.want || got.MailFrom.Domain != c.domain {
				t.Errorf("got %+v", got)
			}
			if got.Helo.Word == None && (got.Helo.Domain != "" || got.Helo.Reason != "the HELO name is not a domain name") {
				t.Errorf("helo %+v", got.Helo)
			}
			if c.want == None && c.wantHelo == None && len(zone.asked) > 0 {
				t.Errorf("asked %v", zone.asked)
			}
		})
	}
}

// SPF-008 for the terms that lead elsewhere: no query, no error.
func TestUndefinedMacro(t *testing.T) {
	for record, want := range map[string]Word{
		"v=spf1 include:%{l}.x.example ~all":               SoftFail,
		"v=spf1 redirect=%{s}.x.example":                   Neutral,
		"v=spf1 a:%{l}.x.example -all exp=%{L}.x.example":  Fail,
		"v=spf1 ptr:%{l}.x.example mx:%{L}.x.example ~all": SoftFail,
	} {
		z := newZone("example.com TXT " + record)
		got := Check(t.Context(), z, netip.MustParseAddr(client4), "h", "\u00fc@example.com").MailFrom
		if got.Word != want || len(z.asked) != 1 {
			t.Errorf("%s: %+v, asked %v", record, got, z.asked)
		}
	}
}

func TestUnknownClient(t *testing.T) {
	z := newZone("example.com TXT v=spf1 -all")
	got := Check(t.Context(), z, netip.Addr{}, "mta.example.org", "u@example.com").MailFrom
	if got.Word != None || got.Domain != "example.com" || len(z.asked) != 0 {
		t.Errorf("%+v, asked %v", got, z.asked)
	}
}

// SPF-064: the end of the time is temperror, whatever the record.
func TestDeadline(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	z := &cancelling{zone: newZone("example.com TXT v=spf1 a -all", "example.com A 10.0.0.1"), cancel: cancel}
	got := Check(ctx, z, netip.MustParseAddr(client4), "mta.example.org", "u@example.com")
	if got.MailFrom.Word != TempError || got.Helo.Word != TempError || len(z.asked) != 1 {
		t.Errorf("%+v, asked %v", got, z.asked)
	}
}

// cancelling ends the time with the first answer.
type cancelling struct {
	*zone
	cancel context.CancelFunc
}

func (c *cancelling) LookupTXT(ctx context.Context, name string) ([]string, error) {
	found, err := c.zone.LookupTXT(ctx, name)
	c.cancel()
	return found, err
}

// SPF-066: how many questions the worst records cost, in all.
func TestQuestions(t *testing.T) {
	tree := []string{"example.com TXT v=spf1 mx:m0.example mx:m1.example mx:m2.example mx:m3.example mx:m4.example mx:m5.example mx:m6.example mx:m7.example mx:m8.example mx:m9.example -all"}
	for m := range 10 {
		host := "m" + string(rune('0'+m)) + ".example"
		tree = append(tree, many(10, host+" MX h%d."+host)...)
		tree = append(tree, many(10, "h%d."+host+" A 10.0.0.1")...)
	}
	names := append([]string{"example.com TXT v=spf1 ptr exists:%{p}.example.com -all"}, many(1000, "3.2.0.192.in-addr.arpa PTR h%d.example")...)
	names = append(names, many(1000, "h%d.example A 10.0.0.1")...)
	wide := []string{"example.com TXT v=spf1 mx -all"}
	wide = append(wide, many(1000, "example.com MX h%d.example")...)
	binary := []string{"example.com TXT v=spf1 include:i0.example.com include:i1.example.com -all"}
	for depth := range 5 {
		for i := range 1 << (depth + 1) {
			parent := strings.Repeat("x.", depth) + "i" + string(rune('0'+i%2)) + ".example.com"
			binary = append(binary, parent+" TXT v=spf1 include:i0.x."+parent+" include:i1.x."+parent+" ?all")
		}
	}
	for name, c := range map[string]struct {
		zone []string
		most int
		word Word
	}{
		"mx":      {tree, 30, TempError},
		"wide mx": {wide, 2, PermError},
		"ptr":     {names, 13, Fail},
		"include": {binary, 11, PermError},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(c.zone...)
			got := Check(t.Context(), z, netip.MustParseAddr(client4), "localhost", "u@example.com").MailFrom
			if got.Word != c.word || len(z.asked) > c.most {
				t.Errorf("%+v with %d questions, want at most %d", got, len(z.asked), c.most)
			}
		})
	}
}

// What an answer of any size leaves behind in the evaluation.
func TestWideAnswer(t *testing.T) {
	z := newZone(append(many(1000, "example.com MX h%d.example"), "example.com TXT v=spf1 mx -all")...)
	ask := &asker{resolver: z, left: 30, seen: map[dns.Question]bool{}}
	e := &evaluation{ask: ask, sender: mailSender("u@example.com"), client: netip.MustParseAddr(client4)}
	if got := e.run(t.Context(), 2); got.Word != PermError || len(e.targets) > 2+maxMX {
		t.Errorf("%+v, %d placeholders", got, len(e.targets))
	}
}

// A costly HELO must not use up what MAIL FROM needs: both are bounded apart,
// MAIL FROM first.
func TestHeloCannotStarveMailFrom(t *testing.T) {
	z := newZone("mta.example.org TXT v=spf1 mx:a.example mx:b.example mx:c.example -all", "example.com TXT v=spf1 -all")
	for _, m := range []string{"a", "b", "c"} {
		for _, line := range many(10, m+".example MX h%d."+m+".example") {
			z.add(m+".example", dns.MX, strings.Fields(line)[2])
		}
		for _, line := range many(10, "h%d."+m+".example") {
			z.add(line, dns.A, "10.0.0.1")
		}
	}
	got := Check(t.Context(), z, netip.MustParseAddr(client4), "mta.example.org", "u@example.com")
	if z.asked[0].Name != "example.com" || got.MailFrom.Word != Fail {
		t.Errorf("first question %v, MAIL FROM %+v", z.asked[0], got.MailFrom)
	}
	if got.Helo.Word != TempError || len(z.asked) > 1+15 {
		t.Errorf("HELO %+v, %d questions", got.Helo, len(z.asked))
	}
}

// What a host may decide.
func TestChecker(t *testing.T) {
	z := newZone("example.com TXT v=spf1 a:x.example a:y.example a:z.example -all exp=e.example.com", "e.example.com TXT %{r} at %{t}")
	c := Checker{Voids: 3, Receiver: "mx.example.net", Now: func() time.Time { return time.Unix(1700000000, 0) }}
	got := c.Check(t.Context(), z, netip.MustParseAddr(client4), "mta.example.org", "u@example.com").MailFrom
	if got.Word != Fail || got.Explanation != "mx.example.net at 1700000000" {
		t.Errorf("got %+v", got)
	}
	c.Questions = 2
	if got := c.Check(t.Context(), z, netip.MustParseAddr(client4), "mta.example.org", "u@example.com").MailFrom; got.Word != TempError {
		t.Errorf("got %+v", got)
	}
}

// SPF-070 to SPF-079 and exp=.
func TestExplanation(t *testing.T) {
	record := "v=spf1 -all exp=e.example.com"
	text := func(lines ...string) []string { return lines }
	runAll(t, []expectation{
		{name: "plain", record: record, zone: text("e.example.com TXT Send through %{d} only, %{s} from %{c}."), word: Fail, mechanism: "all", explanation: "Send through example.com only, u@example.com from 192.0.2.3."},
		{name: "unknown receiver", record: record, zone: text("e.example.com TXT %{r}"), word: Fail, mechanism: "all", explanation: "unknown"},
		{name: "SPF-077 nxdomain", record: record, word: Fail, mechanism: "all"},
		{name: "SPF-077 servfail", record: record, zone: text("e.example.com TXT !servfail"), word: Fail, mechanism: "all"},
		{name: "SPF-077 two texts", record: record, zone: text("e.example.com TXT a", "e.example.com TXT b"), word: Fail, mechanism: "all"},
		{name: "SPF-077 bad macro", record: record, zone: text("e.example.com TXT %{x}"), word: Fail, mechanism: "all"},
		{name: "SPF-077 non-ASCII", record: record, zone: text("e.example.com TXT caf\xc3\xa9"), word: Fail, mechanism: "all"},
		{name: "SPF-078 CRLF", record: record, zone: text("e.example.com TXT a\r\nb"), word: Fail, mechanism: "all"},
		{name: "SPF-078 control byte of the sender", record: record, from: "a\r\nb\x1bc@example.com", zone: text("e.example.com TXT %{l}"), word: Fail, mechanism: "all", explanation: "abc"},
		{name: "SPF-078 length", record: record, zone: text("e.example.com TXT " + strings.Repeat("%{s}x", 1000)), word: Fail, mechanism: "all", explanation: strings.Repeat("u@example.comx", 15)[:200]},
		{name: "SPF-077 too long a text", record: record, zone: text("e.example.com TXT " + strings.Repeat("x", maxRecord+1)), word: Fail, mechanism: "all"},
		{name: "SPF-008 non-ASCII sender", record: record, from: "\u00fc@example.com", zone: text("e.example.com TXT %{L} is not allowed"), word: Fail, mechanism: "all"},
		{name: "SPF-077 no name", record: "v=spf1 -all exp=%{h}..example.com", word: Fail, mechanism: "all"},
		{name: "only after a fail", record: "v=spf1 ~all exp=e.example.com", zone: text("e.example.com TXT no"), word: SoftFail, mechanism: "all"},
		{name: "SPF-037 not of an include", record: "v=spf1 -include:i.example.com", zone: text("i.example.com TXT v=spf1 +all exp=e.example.com", "e.example.com TXT no"), word: Fail, mechanism: "include:i.example.com", lookups: 1},
		{name: "SPF-055 of the redirect", record: "v=spf1 redirect=i.example.com exp=no.example.com", zone: text("i.example.com TXT v=spf1 -all exp=%{d}.e.example", "i.example.com.e.example TXT yes, %{d}", "no.example.com TXT no"), word: Fail, mechanism: "all", explanation: "yes, i.example.com", lookups: 1},
	})
}

// The explanation is asked for once, last, and only after a fail.
func TestExplanationQuestions(t *testing.T) {
	z := newZone("example.com TXT v=spf1 a -all exp=e.example.com", "example.com A 10.0.0.1", "e.example.com TXT yes")
	Check(t.Context(), z, netip.MustParseAddr(client4), "localhost", "u@example.com")
	if n := len(z.asked); n != 3 || z.asked[2].Name != "e.example.com" {
		t.Errorf("asked %v", z.asked)
	}
	z.asked = nil
	Check(t.Context(), z, netip.MustParseAddr("10.0.0.1"), "localhost", "u@example.com")
	if slices.Contains(z.asked, dns.Question{Name: "e.example.com", Type: dns.TXT}) {
		t.Errorf("asked %v after a pass", z.asked)
	}
}
