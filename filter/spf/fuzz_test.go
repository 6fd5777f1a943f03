package spf

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	library "blitiri.com.ar/go/spf"

	"sekimori/filter/dns"
)

// sound tells what is wrong with a result, whatever led to it.
func sound(r Result) string {
	decided := r.Word == Pass || r.Word == Fail || r.Word == SoftFail
	switch {
	case !slices.Contains([]Word{None, Neutral, Pass, Fail, SoftFail, TempError, PermError}, r.Word):
		return "a word of no meaning"
	case (r.Mechanism == "") == (r.Reason == ""):
		return "not exactly one of mechanism and reason"
	case decided && r.Mechanism == "":
		return "no mechanism"
	case r.Lookups < 0 || r.Lookups > 11:
		return "too many lookups"
	case len(r.Mechanism) > maxMechanism || len(r.Explanation) > maxExplanation || len(r.Reason) > 1000:
		return "too long a text"
	case r.Explanation != "" && r.Word != Fail:
		return "an explanation without a fail"
	}
	for _, c := range []byte(r.Mechanism + r.Reason + r.Explanation + r.Domain) {
		if c < ' ' || c > '~' {
			return "a byte that is not printable"
		}
	}
	return ""
}

// same answers each question with records that exist.
type same struct{ record string }

func (s same) LookupTXT(_ context.Context, name string) ([]string, error) {
	if name == "example.com" {
		return []string{s.record}, nil
	}
	return []string{"v=spf1 ?all"}, nil
}

func (same) LookupMX(context.Context, string) ([]dns.MXRecord, error) {
	return []dns.MXRecord{{Host: "mx.example"}}, nil
}

func (same) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("192.0.2.200")}, nil
}

func (same) LookupAddr(context.Context, netip.Addr) ([]string, error) {
	return []string{"mx.example"}, nil
}

// plain is same for the library alone.
type plain struct{ same }

func (plain) LookupMX(context.Context, string) ([]*net.MX, error) {
	return []*net.MX{{Host: "mx.example"}}, nil
}

func (plain) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) {
	return []net.IPAddr{{IP: net.IPv4(192, 0, 2, 200)}}, nil
}

func (plain) LookupAddr(context.Context, string) ([]string, error) {
	return []string{"mx.example"}, nil
}

// FuzzRecord: a record that the grammar allows is one that the library can
// evaluate as we hand it over, and it finds the same as in the record itself
// where it knows all of the grammar.
func FuzzRecord(f *testing.F) {
	for _, record := range []string{
		"v=spf1 a mx ptr ip4:192.0.2.0/24 ip6:2001:db8::/32 include:a.example exists:b.example -all",
		"v=spf1 a:c.example/24//64 ~mx/30 ?all redirect=d.example exp=e.example x=y",
		"V=SPF1 -exists:%{ir}.%{v}.%{d2}.example +a:%{L1r-}.example/0 redirect=%{h}",
		"v=spf1 a:b/c.example ip6:::ffff:192.0.2.3/128 a:x..example", "v=spf1 %", "v=spf1  =", "v=spf1 a//",
	} {
		f.Add(record)
	}
	client := netip.MustParseAddr(client4)
	f.Fuzz(func(t *testing.T, txt string) {
		txt = version + " " + txt
		r, err := parse(txt)
		got := Check(t.Context(), same{txt}, client, "h", "u@example.com").MailFrom
		if fault := sound(got); fault != "" {
			t.Fatalf("%+v: %s", got, fault)
		}
		if malformed := strings.Contains(got.Reason, "is malformed: "); malformed != (err != nil) {
			t.Fatalf("%+v, but %v", got, err)
		}
		if err != nil || !simple(r) {
			return
		}
		raw, _ := library.CheckHostWithSender(net.IP(client.AsSlice()), "h", "u@example.com", library.WithResolver(plain{same{txt}}))
		if string(raw) != string(got.Word) {
			t.Fatalf("%+v, the library finds %s", got, raw)
		}
	})
}

// simple: the library reads such a record as RFC 7208 does.
func simple(r record) bool {
	known := func(target []macro) bool {
		for _, m := range target {
			if m.letter != 0 || !m.written || strings.Contains(m.literal, "/") || !askable(strings.TrimSuffix(m.literal, ".")) {
				return false
			}
		}
		return true
	}
	for _, d := range r.directives {
		if !known(d.target) || d.network.Addr().Is4In6() {
			return false
		}
	}
	return known(r.redirect)
}

// hostile answers by chance out of a script, of which choices decides.
type hostile struct {
	lines   []string
	choices []byte
	next    int
	asked   map[dns.Question]bool
}

func newHostile(script string, choices []byte) *hostile {
	return &hostile{lines: strings.Split(script, "\n"), choices: choices, asked: map[dns.Question]bool{}}
}

func (h *hostile) choose(n int) int {
	if len(h.choices) == 0 {
		return 0
	}
	h.next++
	return int(h.choices[h.next%len(h.choices)]) % n
}

func (h *hostile) answer(name string, t dns.Type) ([]string, error) {
	h.asked[dns.Question{Name: name, Type: t}] = true
	outcomes := []dns.Outcome{dns.Found, dns.Found, dns.Found, dns.Found, dns.NXDomain, dns.NoData, dns.ServFail, dns.Refused, dns.Timeout, dns.Malformed, dns.OverLimit}
	if o := outcomes[h.choose(len(outcomes))]; o != dns.Found {
		return nil, &dns.Error{Question: dns.Question{Name: name, Type: t}, Outcome: o}
	}
	var out []string
	for range h.choose(13) {
		out = append(out, h.lines[h.choose(len(h.lines))])
	}
	return out, nil
}

func (h *hostile) LookupTXT(_ context.Context, name string) ([]string, error) {
	found, err := h.answer(name, dns.TXT)
	if err == nil && h.choose(4) > 0 {
		return []string{h.lines[h.choose(len(h.lines))]}, nil
	}
	return found, err
}

func (h *hostile) LookupMX(_ context.Context, name string) ([]dns.MXRecord, error) {
	found, err := h.answer(name, dns.MX)
	var out []dns.MXRecord
	for _, host := range found {
		out = append(out, dns.MXRecord{Host: host})
	}
	return out, err
}

func (h *hostile) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	found, err := h.answer(host, dns.Type(network))
	addrs := []string{client4, client6, "::ffff:192.0.2.3", "10.0.0.1", "::", "0.0.0.0"}
	var out []netip.Addr
	for range found {
		out = append(out, netip.MustParseAddr(addrs[h.choose(len(addrs))]))
	}
	return append(out, netip.Addr{}), err
}

func (h *hostile) LookupAddr(_ context.Context, addr netip.Addr) ([]string, error) {
	return h.answer(addr.String(), dns.PTR)
}

// FuzzCheck: whatever the DNS says, the result is a sound one, the questions
// are bounded, and the directive that is named has led to the result.
func FuzzCheck(f *testing.F) {
	f.Add("v=spf1 include:%{d2}.example a mx/24 ptr exists:%{p}.%{L}.x -all exp=e.example\nv=spf1 redirect=%{h}.y.example ~ip4:192.0.2.0/24\n%{c} %{s}\n", []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, "mta.example.org", "u@example.com", false)
	f.Add("v=spf1 mx:a.example ptr:b.example +a ?all\nv=spf1 -include:%{i}.example exp=%{d}\nx\r\n", []byte{1, 0, 0, 12, 7, 0, 3, 1}, "[192.0.2.3]", "", true)
	f.Add("v=spf1 include:a.example include:b.example\n\x00\xff", []byte{0}, "b\xc3\xbccher.example", `"a@b\"c"@x@example.com`, true)
	f.Fuzz(func(t *testing.T, script string, choices []byte, helo, from string, v6 bool) {
		client := netip.MustParseAddr(client4)
		if v6 {
			client = netip.MustParseAddr(client6)
		}
		h := newHostile(script, choices)
		results := Check(t.Context(), h, client, helo, from)
		for _, r := range []Result{results.MailFrom, results.Helo} {
			if fault := sound(r); fault != "" {
				t.Fatalf("%+v: %s", r, fault)
			}
		}
		if len(h.asked) > 30+15 {
			t.Fatalf("%d questions", len(h.asked))
		}
		agree(t, newHostile(script, choices), client, helo)
	})
}

// agree: our copy of the evaluation and the library's end with the same word.
func agree(t *testing.T, h *hostile, client netip.Addr, helo string) {
	t.Helper()
	e := &evaluation{
		ask:    &asker{resolver: h, left: 30, seen: map[dns.Question]bool{}},
		sender: sender{local: "u", domain: "example.com"}, client: client, helo: helo,
	}
	got := e.run(t.Context(), 2)
	if got.Word == None || got.Word == TempError || got.Word == PermError {
		return
	}
	want := Neutral
	if s := e.root.deciding(client); s != nil {
		want = map[byte]Word{'+': Pass, '-': Fail, '~': SoftFail, '?': Neutral}[s.qualifier]
	}
	if got.Word != want {
		t.Fatalf("%+v, our copy ends with %s", got, want)
	}
}
