package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

func record(t testing.TB, s string) mdns.RR {
	t.Helper()
	rr, err := mdns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func records(t testing.TB, ss ...string) (rrs []mdns.RR) {
	t.Helper()
	for _, s := range ss {
		rrs = append(rrs, record(t, s))
	}
	return rrs
}

// wire packs and unpacks a message, so that strings are as the network gives them.
func wire(t testing.TB, m *mdns.Msg) *mdns.Msg {
	t.Helper()
	p, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := new(mdns.Msg)
	if err := out.Unpack(p); err != nil {
		t.Fatal(err)
	}
	return out
}

func readOne(t testing.TB, q Question, m *mdns.Msg) (Answer, chain, bool) {
	t.Helper()
	on := newChain(q)
	a, more := on.read(wire(t, m))
	return a, on, more
}

// DN-1: what is there, what is not, and who failed, are kept apart.
func TestReadOutcomes(t *testing.T) {
	soa := "example.com. 900 IN SOA ns. root. 1 2 3 4 300"
	for _, c := range []struct {
		name   string
		rcode  int
		answer []string
		ns     []string
		want   Outcome
		ttl    time.Duration
		more   string
	}{
		{"found", mdns.RcodeSuccess, []string{"q.example.com. 60 TXT x"}, nil, Found, time.Minute, ""},
		{"case of the owner", mdns.RcodeSuccess, []string{"Q.eXample.com. 60 TXT x"}, nil, Found, time.Minute, ""},
		{"least TTL of the set", mdns.RcodeSuccess, []string{"q.example.com. 60 TXT x", "q.example.com. 7 TXT y"}, nil, Found, 7 * time.Second, ""},
		{"TTL at most a day (DN-6)", mdns.RcodeSuccess, []string{"q.example.com. 2000000 TXT x"}, nil, Found, 24 * time.Hour, ""},
		{"TTL of 32 bits is none", mdns.RcodeSuccess, []string{"q.example.com. 4294967295 TXT x"}, nil, Found, 0, ""},
		{"nxdomain", mdns.RcodeNameError, nil, []string{soa}, NXDomain, 5 * time.Minute, ""},
		{"nxdomain, SOA's own TTL is less", mdns.RcodeNameError, nil, []string{"example.com. 9 IN SOA ns. root. 1 2 3 4 300"}, NXDomain, 9 * time.Second, ""},
		{"nxdomain at most an hour (DN-6)", mdns.RcodeNameError, nil, []string{"example.com. 86400 IN SOA ns. root. 1 2 3 4 86400"}, NXDomain, time.Hour, ""},
		{"nxdomain without SOA", mdns.RcodeNameError, nil, nil, NXDomain, 0, ""},
		{"SOA of another name", mdns.RcodeNameError, nil, []string{"mple.com. 900 IN SOA ns. root. 1 2 3 4 300"}, NXDomain, 0, ""},
		{"nodata", mdns.RcodeSuccess, nil, []string{soa}, NoData, 5 * time.Minute, ""},
		{"nodata without SOA", mdns.RcodeSuccess, nil, nil, NoData, 0, ""},
		{"only another name's record", mdns.RcodeSuccess, []string{"other.example.com. 60 TXT x"}, nil, NoData, 0, ""},
		{"only another type", mdns.RcodeSuccess, []string{"q.example.com. 60 A 192.0.2.1"}, nil, NoData, 0, ""},
		{"only another class", mdns.RcodeSuccess, []string{"q.example.com. 60 CH TXT x"}, nil, NoData, 0, ""},
		{"servfail", mdns.RcodeServerFailure, nil, nil, ServFail, 0, ""},
		{"refused", mdns.RcodeRefused, nil, nil, Refused, 0, ""},
		{"notimp", mdns.RcodeNotImplemented, nil, nil, Refused, 0, ""},
		{"cname", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME t.example.net.", "t.example.net. 60 TXT x"}, nil, Found, 30 * time.Second, ""},
		{"cname out of order", mdns.RcodeSuccess, []string{"t.example.net. 20 TXT x", "q.example.com. 30 CNAME T.example.net."}, nil, Found, 20 * time.Second, ""},
		{"cname to nothing", mdns.RcodeNameError, []string{"q.example.com. 30 CNAME t.example.com."}, []string{soa}, NXDomain, 30 * time.Second, ""},
		{"cname to no such type", mdns.RcodeSuccess, []string{"q.example.com. 600 CNAME t.example.com."}, []string{soa}, NoData, 5 * time.Minute, ""},
		{"cname and no word on its target", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME t.example.net."}, nil, "", 0, "t.example.net"},
		{"SOA is of the cname, not of its target", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME t.example.net."}, []string{soa}, "", 0, "t.example.net"},
		{"cname to itself", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME q.example.com."}, nil, ServFail, 0, ""},
		{"cnames in a circle", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME r.x.", "r.x. 1 CNAME q.example.com."}, nil, ServFail, 0, ""},
		{"cname to the root", mdns.RcodeSuccess, []string{"q.example.com. 30 CNAME ."}, nil, Malformed, 0, ""},
		{"cname to a label with a dot", mdns.RcodeSuccess, []string{`q.example.com. 30 CNAME a\.b.example.com.`}, nil, Malformed, 0, ""},
	} {
		m := &mdns.Msg{MsgHdr: mdns.MsgHdr{Response: true, RecursionAvailable: true, Rcode: c.rcode}, Answer: records(t, c.answer...), Ns: records(t, c.ns...)}
		a, on, more := readOne(t, Question{"q.example.com", TXT}, m)
		if a.Outcome != c.want || a.TTL != c.ttl || more != (c.more != "") {
			t.Errorf("%s: %s, TTL %v, more %v; want %s, %v, %v", c.name, a.Outcome, a.TTL, more, c.want, c.ttl, c.more != "")
		}
		if more && on.name != c.more {
			t.Errorf("%s: asks on for %q, want %q", c.name, on.name, c.more)
		}
		if (a.Err == nil) != (conclusive(a.Outcome) || more) {
			t.Errorf("%s: Err is %v", c.name, a.Err)
		}
	}
}

// DN-4: eight CNAMEs and no more, however they are spread over messages.
func TestReadChainLength(t *testing.T) {
	cname := func(i int) string { return fmt.Sprintf("n%d.x. 60 CNAME n%d.x.", i, i+1) }
	for n, want := range map[int]Outcome{1: Found, 8: Found, 9: ServFail, 40: ServFail} {
		m := &mdns.Msg{MsgHdr: mdns.MsgHdr{Response: true}}
		for i := range n {
			m.Answer = append(m.Answer, record(t, cname(i)))
		}
		m.Answer = append(m.Answer, record(t, fmt.Sprintf("n%d.x. 60 A 192.0.2.1", n)))
		if a, _, _ := readOne(t, Question{"n0.x", A}, m); a.Outcome != want {
			t.Errorf("%d CNAMEs: %s, want %s", n, a.Outcome, want)
		}
	}
	on, i := newChain(Question{"n0.x", A}), 0
	for ; ; i++ {
		a, more := on.read(&mdns.Msg{Answer: records(t, cname(i))})
		if !more {
			if a.Outcome != ServFail || i != 8 {
				t.Errorf("ended with %s after %d messages, want servfail after 8", a.Outcome, i)
			}
			return
		}
	}
}

// RFC 7208 section 3.3 (DN-3): strings joined without space, every byte as it was sent.
func TestReadTXTBytes(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	rdata := append([]byte{255}, all[:255]...)
	rdata = append(rdata, 1, 255, 0, 4, '"', '\\', ';', ' ')
	rr := &mdns.RFC3597{Hdr: mdns.RR_Header{Name: "q.x.", Rrtype: mdns.TypeTXT, Class: mdns.ClassINET, Ttl: 60}, Rdata: fmt.Sprintf("%x", rdata)}
	a, _, _ := readOne(t, Question{"q.x", TXT}, &mdns.Msg{Answer: []mdns.RR{rr, record(t, `q.x. 60 TXT "v=spf1" " -all"`), record(t, `q.x. 60 TXT ""`)}})
	want := []string{string(all) + `"\; `, "v=spf1 -all", ""}
	if fmt.Sprintf("%q", a.TXT) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q\nwant %q", a.TXT, want)
	}
}

func TestReadData(t *testing.T) {
	ask := func(typ Type, rrs ...string) Answer {
		a, _, _ := readOne(t, Question{"q.x", typ}, &mdns.Msg{Answer: records(t, rrs...)})
		return a
	}
	check := func(got Answer, want string) {
		t.Helper()
		if s := fmt.Sprint(got.Outcome, got.Addrs, got.MX, got.Names); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	check(ask(A, "q.x. A 192.0.2.1", "q.x. A 192.0.2.2"), "found[192.0.2.1 192.0.2.2] [] []")
	check(ask(AAAA, "q.x. AAAA 2001:db8::1", "q.x. A 192.0.2.2"), "found[2001:db8::1] [] []")
	check(ask(AAAA, "q.x. AAAA ::ffff:192.0.2.1"), "found[::ffff:192.0.2.1] [] []")
	check(ask(MX, "q.x. MX 10 A.Example.", "q.x. MX 0 ."), "found[] [{10 a.example} {0 }] []")
	check(ask(MX, `q.x. MX 10 a\010b.example.`, "q.x. MX 20 b.example."), "found[] [{20 b.example}] []")
	check(ask(MX, `q.x. MX 10 a\.b.example.`), "nodata[] [] []")
	check(ask(PTR, "q.x. PTR Host.Example.", `q.x. PTR a\@b.example.`), "found[] [] [host.example]")
	check(ask(PTR, "q.x. PTR ."), "nodata[] [] []")
	if a := ask(PTR, "q.x. PTR ."); a.Err == nil {
		t.Error("records that cannot be used are not told")
	}
}

func TestReadBounds(t *testing.T) {
	m := &mdns.Msg{}
	for i := range maxRecords {
		m.Answer = append(m.Answer, &mdns.A{Hdr: mdns.RR_Header{Name: "q.x.", Rrtype: mdns.TypeA, Class: 1}, A: []byte{10, 0, byte(i >> 8), byte(i)}})
	}
	if a, _, _ := readOne(t, Question{"q.x", A}, m); a.Outcome != Found || len(a.Addrs) != maxRecords {
		t.Errorf("%d records: %s %v", maxRecords, a.Outcome, a.Err)
	}
	m.Answer = append(m.Answer, m.Answer[0])
	if a, _, _ := readOne(t, Question{"q.x", A}, m); a.Outcome != Malformed {
		t.Errorf("%d records: %s, want malformed", len(m.Answer), a.Outcome)
	}
	// A zone in process is not held to the size of a message.
	big := &mdns.Msg{Answer: []mdns.RR{&mdns.TXT{Hdr: mdns.RR_Header{Name: "q.x.", Rrtype: mdns.TypeTXT, Class: 1}}}}
	for range maxText/250 + 1 {
		txt := big.Answer[0].(*mdns.TXT)
		txt.Txt = append(txt.Txt, strings.Repeat("x", 250))
	}
	on := newChain(Question{"q.x", TXT})
	if a, _ := on.read(big); a.Outcome != Malformed {
		t.Errorf("more than %d bytes of text: %s, want malformed", maxText, a.Outcome)
	}
}

func TestReadLameReferral(t *testing.T) {
	m := &mdns.Msg{Ns: records(t, "com. 60 NS a.gtld.example.")}
	if a, _, _ := readOne(t, Question{"q.com", TXT}, m); a.Outcome != Refused {
		t.Errorf("a referral is %s, want refused: it says nothing of the name", a.Outcome)
	}
	m.RecursionAvailable = true
	if a, _, _ := readOne(t, Question{"q.com", TXT}, m); a.Outcome != NoData {
		t.Errorf("nodata of a resolver is %s", a.Outcome)
	}
}

// RFC 8914.
func TestReadExtendedError(t *testing.T) {
	m := &mdns.Msg{MsgHdr: mdns.MsgHdr{Rcode: mdns.RcodeServerFailure}}
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &mdns.EDNS0_EDE{InfoCode: mdns.ExtendedErrorCodeDNSBogus, ExtraText: "evil\r\ntext"})
	a, _, _ := readOne(t, Question{"q.com", TXT}, m)
	if got, want := fmt.Sprint(a.Outcome, " ", a.Err), "servfail SERVFAIL (extended error 6 DNSSEC Bogus)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzAnswer: whatever a server sends, reading it ends, and an answer keeps its word.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"q.x. 60 TXT x", "q.x. 60 CNAME q.x.", "q.x. MX 10 h.x.", "q.x. PTR h.x.", "q.x. A 192.0.2.1", "q.x. AAAA ::1"} {
		m := &mdns.Msg{MsgHdr: mdns.MsgHdr{Id: 7, Response: true}, Question: []mdns.Question{{Name: "q.x.", Qtype: mdns.TypeTXT, Qclass: 1}}, Answer: records(f, s)}
		p, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		for _, typ := range []Type{A, AAAA, MX, PTR, TXT} {
			on := newChain(Question{"q.x", typ})
			q := newInquiry(&on, form{edns: true})
			q.name(7)
			if len(p) > 2 {
				p[0], p[1], p[2] = 0, 7, p[2]|0x80 // past the id, which fuzzing need not guess
			}
			if q.fits(p) != belongs {
				continue
			}
			m, err := q.read(p)
			if (m != nil) != (err == nil) {
				t.Fatalf("a message %v, error %v", m != nil, err)
			}
			if m == nil {
				continue
			}
			a, more := on.read(m)
			verify(t, a, more, typ)
			if more && !askable(on.name) {
				t.Fatalf("asks on for %q", on.name)
			}
		}
	})
}

func verify(t *testing.T, a Answer, more bool, typ Type) {
	n := map[Type]int{A: len(a.Addrs), AAAA: len(a.Addrs), MX: len(a.MX), PTR: len(a.Names), TXT: len(a.TXT)}[typ]
	if total := len(a.Addrs) + len(a.MX) + len(a.Names) + len(a.TXT); total != n {
		t.Fatalf("%d records, %d of them of type %s", total, n, typ)
	}
	if (a.Outcome == Found) != (n > 0) || (a.Outcome == "") != more || n > maxRecords {
		t.Fatalf("%q with %d records, more %v", a.Outcome, n, more)
	}
	if a.TTL < 0 || a.TTL > maxTTL {
		t.Fatalf("TTL %v", a.TTL)
	}
	hosts := a.Names
	for _, mx := range a.MX {
		hosts = append(hosts, mx.Host)
	}
	for _, h := range hosts {
		if strings.ContainsFunc(h, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || 'A' <= r && r <= 'Z' }) || strings.HasSuffix(h, ".") {
			t.Fatalf("host %q", h)
		}
	}
	for _, addr := range a.Addrs {
		if addr.Is4() != (typ == A) || addr == (netip.Addr{}) {
			t.Fatalf("%s of type %s", addr, typ)
		}
	}
}

// questionOf is a question as a client sends it.
func questionOf(t testing.TB, q Question) *mdns.Msg {
	t.Helper()
	return new(mdns.Msg).SetQuestion(present(q.Name), typeCode(q.Type))
}
