package filter

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

const relayZone = `
example.com.            TXT "v=spf1 ip4:203.0.113.1 -all"
mx.example.com.         TXT "v=spf1 ip4:203.0.113.1 -all"
_dmarc.example.com.     TXT "v=DMARC1; p=reject"
1.113.0.203.in-addr.arpa. PTR mx.example.com.
mx.example.com.         A 203.0.113.1
1.2.0.192.in-addr.arpa. PTR relay.example.net.
`

// relayFilter trusts the client of read, 192.0.2.1, and its neighbours.
func relayFilter(source dns.Source) *Filter {
	f := testFilter(source)
	f.IPRev = true
	f.Relays = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}
	return f
}

// received is a field as Postfix writes it.
func received(helo, ip, with string) string {
	return "Received: from " + helo + " (unknown [" + ip + "])\r\n\tby relay.example.net (Postfix) with " + with + " id 1; Sun, 1 Nov 2026 00:00:00 +0000\r\n"
}

func TestHop(t *testing.T) {
	const queue = "Received: (qmail 1 invoked from network); 1 Nov 2026\r\n"
	sender := received("mx.example.com", "203.0.113.1", "ESMTP")
	stranger := received("forged.example", "198.51.100.1", "ESMTP")
	inner := received("relay2.example.net", "192.0.2.2", "ESMTP")
	hidden := received("gateway", "10.0.0.1", "ESMTP")
	tests := []struct {
		name, header string
		hops         int
		client, why  string
	}{
		{"one", sender, 0, "203.0.113.1", ""},
		{"what stands below is a stranger's", sender + stranger, 1, "203.0.113.1", ""},
		{"below other fields", "Return-Path: <x@example.org>\r\nX-Virus: none\r\n" + sender, 1, "203.0.113.1", ""},
		{"the name in small letters", strings.ToLower(sender), 1, "203.0.113.1", ""},
		{"a relay that a relay names", inner + sender + stranger, 1, "203.0.113.1", ""},
		{"two relays that relays name", inner + inner + sender, 1, "203.0.113.1", ""},
		{"two by count", stranger + sender, 2, "203.0.113.1", ""},
		{"two by count, the first unreadable", "Received: by relay.example.net with LMTP\r\n" + sender, 2, "203.0.113.1", ""},
		{"two by count, the first hidden", hidden + sender, 2, "203.0.113.1", ""},
		{"two by count, then one that a relay names", inner + inner + sender, 2, "203.0.113.1", ""},
		{"qmail", queue + sender, 1, "203.0.113.1", ""},
		{"qmail twice", queue + inner + queue + sender, 1, "203.0.113.1", ""},
		{"qmail by count", queue + stranger + queue + sender, 2, "203.0.113.1", ""},

		{"no field", "", 1, "", "fewer Received fields"},
		{"too few", sender, 2, "", "fewer Received fields"},
		{"nobody but relays", inner + inner, 1, "", "nobody but relays"},
		{"a field without client", "Received: by relay.example.net (Postfix, from userid 0) id 1\r\n" + sender, 1, "", "names no client"},
		{"a field with two clients", "Received: from x ([203.0.113.1]) (y [198.51.100.1]) by z\r\n" + sender, 1, "", "in two ways"},
		{"qmail, the next field not adjacent", queue + "X-A: b\r\n" + sender, 1, "", "names no client"},
		{"qmail alone", queue, 1, "", "names no client"},
		{"a submission", received("laptop", "203.0.113.1", "ESMTPSA"), 1, "", "logged in"},
		{"of the relay's own network", hidden + sender, 1, "", "not of the internet"},
		{"loopback", received("localhost", "127.0.0.1", "ESMTP"), 1, "", "not of the internet"},
		{"shared", received("x", "100.100.0.1", "ESMTP"), 1, "", "not of the internet"},
		{"link-local", received("x", "IPv6:fe80::1", "ESMTP"), 1, "", "not of the internet"},
		{"unique local", received("x", "fd00::1", "ESMTP"), 1, "", "not of the internet"},
		{"a thousand fields", strings.Repeat(inner, 900) + sender, 1, "", "nobody but relays"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := relayFilter(zone(t, relayZone))
			f.RelayHops = tt.hops
			m := read(t, "a@example.com", tt.header+plain)
			v := f.Check(context.Background(), m)
			hop, res := v.Results.Hop, v.Results
			if hop.Behind != m.Envelope.Client || address(hop.Client) != tt.client || !strings.Contains(hop.Reason, tt.why) || (hop.Reason == "") != (tt.why == "") {
				t.Fatalf("%+v", hop)
			}
			if tt.why == "" {
				if v.Reason != DMARCPass || res.SPF.Helo.Word != spf.Pass || res.IPRev.Name != "mx.example.com" {
					t.Errorf("%s %s: %+v %+v", v.Action, v.Reason, res.SPF, res.IPRev)
				}
				return
			}
			if res.SPF.MailFrom.Word != spf.None || res.SPF.Helo.Word != spf.None || !strings.HasPrefix(res.SPF.MailFrom.Reason, "behind a relay: ") || res.IPRev.Word != "none" {
				t.Errorf("%+v %+v", res.SPF, res.IPRev)
			}
			if v.Action != Quarantine || v.Reason != DMARCFailOther {
				t.Errorf("%s %s: %s", v.Action, v.Reason, v.Explanation)
			}
			for _, e := range res.DNS {
				if e.Purpose == "spf" || e.Purpose == "iprev" {
					t.Errorf("asked %v for nobody", e.Question)
				}
			}
		})
	}
}

// Only a trusted relay is believed.
func TestNoHopOfStrangers(t *testing.T) {
	f := relayFilter(zone(t, relayZone))
	f.Relays = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	v := f.Check(context.Background(), read(t, "a@example.com", received("mx.example.com", "203.0.113.1", "ESMTP")+plain))
	if v.Results.Hop != (Hop{}) || v.Action != Reject || v.Results.SPF.MailFrom.Word != spf.Fail {
		t.Errorf("%s %s %+v %+v", v.Action, v.Reason, v.Results.Hop, v.Results.SPF)
	}
}

// trusted_networks comes before trusted_relays.
func TestTrustedNetworkIsNoRelay(t *testing.T) {
	f := relayFilter(zone(t, relayZone))
	trustAll(&f.Policy)
	if v := f.Check(context.Background(), read(t, "a@example.com", plain)); v.Reason != TrustedNetwork || v.Results.Hop != (Hop{}) {
		t.Errorf("%s %s %+v", v.Action, v.Reason, v.Results.Hop)
	}
}

// What is told of the client is told of the hop before the relay.
func TestHopIsTold(t *testing.T) {
	f := relayFilter(zone(t, relayZone))
	f.Policy.DMARCReject = Strict
	m := read(t, "a@example.com", received("attacker.example", "198.51.100.1", "ESMTP")+plain)
	v := f.Check(context.Background(), m)
	if v.Action != Reject || !strings.Contains(v.Reply.Text, "198.51.100.1") || strings.Contains(v.Reply.Text, "192.0.2.1") {
		t.Errorf("%s: %s", v.Action, v.Reply.Text)
	}
	if !strings.Contains(v.Edit.Prepend[0], "policy.iprev=198.51.100.1") || !strings.Contains(v.Edit.Prepend[0], "smtp.mailfrom=example.com") {
		t.Errorf("%s", v.Edit.Prepend[0])
	}
	view := NewView(m, v)
	if want := (RelayView{"192.0.2.1", "198.51.100.1", "attacker.example", ""}); view.Relay != want || view.Envelope.ClientIP != "192.0.2.1" {
		t.Errorf("%+v", view.Relay)
	}

	v = f.Check(context.Background(), read(t, "", plain))
	for _, word := range []string{"SPF none (behind a relay)", "cannot be told"} {
		if !strings.Contains(v.Explanation, word) {
			t.Errorf("no %q in %q", word, v.Explanation)
		}
	}
	if !strings.Contains(v.Edit.Prepend[0], `reason="behind a relay: `) || strings.Contains(v.Edit.Prepend[0], "iprev") {
		t.Errorf("%s", v.Edit.Prepend[0])
	}
}

// Without DMARC a hidden client is nothing against the message either.
func TestHiddenHopWithoutDMARC(t *testing.T) {
	f := relayFilter(zone(t, `example.org. TXT "v=spf1 -all"`))
	v := f.Check(context.Background(), read(t, "a@example.org", strings.ReplaceAll(plain, "example.com", "example.org")))
	if v.Action != Accept || v.Reason != DMARCNone {
		t.Errorf("%s %s: %s", v.Action, v.Reason, v.Explanation)
	}
}

// At MAIL nothing is asked of the relay's own; the header tells whom to ask about.
func TestPrefetchBehindRelay(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	z := zone(t, relayZone)
	f := relayFilter(dns.NewCache(sourceFunc(func(ctx context.Context, q dns.Question) dns.Answer {
		mu.Lock()
		defer mu.Unlock()
		asked[q.Name]++
		return z.Query(ctx, q)
	}), 1<<20))
	m := read(t, "a@example.com", received("mx.example.com", "203.0.113.1", "ESMTP")+plain)
	f.Prefetch(context.Background(), m.Envelope, nil)
	if len(asked) != 0 {
		t.Errorf("asked %v at MAIL", asked)
	}
	f.Prefetch(context.Background(), m.Envelope, &m.Header)
	before := len(asked)
	if v := f.Check(context.Background(), m); v.Reason != DMARCPass || before == 0 || len(asked) != before {
		t.Errorf("%s; Prefetch asked %d questions, Check %d more", v.Reason, before, len(asked)-before)
	}
	if asked["1.2.0.192.in-addr.arpa"] != 0 {
		t.Error("asked for the name of the relay")
	}
}

func FuzzHop(f *testing.F) {
	f.Add([]byte(received("mx.example.com", "203.0.113.1", "ESMTP")), 1)
	f.Add([]byte("Received: (qmail 1 invoked from network)\r\nReceived: from x (192.0.2.3) by y\r\n"), 3)
	f.Fuzz(func(t *testing.T, header []byte, hops int) {
		m, err := mail.Read(mail.Envelope{Client: netip.MustParseAddr("192.0.2.1")}, strings.NewReader(string(header)+"\r\n\r\n"), mail.Options{})
		if err != nil {
			return
		}
		defer m.Close()
		c := relayFilter(nil)
		c.RelayHops = hops
		hop := c.hop(m.Envelope, &m.Header)
		if hop.Behind != m.Envelope.Client || hop.Client.IsValid() != (hop.Reason == "") || hop.Client.IsValid() && (c.relayed(hop.Client) || !public(hop.Client)) {
			t.Errorf("%+v", hop)
		}
	})
}
