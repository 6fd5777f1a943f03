package filter

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

const testZone = `
example.com.            TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.example.com.     TXT "v=DMARC1; p=reject"
example.org.            TXT "v=spf1 -all"
;fail _dmarc.broken.example TXT SERVFAIL
;fail spf.broken.example TXT TIMEOUT
`

func zone(t testing.TB, text string) *dns.Zone {
	t.Helper()
	z, err := dns.ParseZone("test.zone", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func read(t testing.TB, mailFrom, text string) *mail.Message {
	t.Helper()
	return readWith(t, mail.Envelope{ID: "id1", Client: netip.MustParseAddr("192.0.2.1"), Helo: "mx.example.com", MailFrom: mailFrom}, text)
}

func readWith(t testing.TB, env mail.Envelope, text string) *mail.Message {
	t.Helper()
	m, err := mail.Read(env, strings.NewReader(text), mail.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

const plain = "From: a@example.com\r\nTo: b@example.net\r\nSubject: x\r\n\r\nhello\r\n"

func testFilter(source dns.Source) *Filter {
	return &Filter{Rules: Rules{Policy: testPolicy()}, Resolver: source}
}

func TestCheck(t *testing.T) {
	f := testFilter(zone(t, testZone))
	tests := []struct {
		name, mailFrom, text string
		action               Action
		reason               Reason
	}{
		{"aligned SPF", "a@example.com", plain, Accept, DMARCPass},
		{"spoof", "a@example.org", plain, Reject, DMARCFailReject},
		{"DMARC unknown", "a@example.com", strings.ReplaceAll(plain, "a@example.com", "a@broken.example"), Accept, DNSTempError},
		{"bare LF", "a@example.com", "From: a@example.com\r\n\r\nx\ny\r\n", Reject, BareNewline},
		{"two From fields", "a@example.com", "From: a@example.com\r\n" + plain, Reject, AuthorMalformed},
		{"no From field", "a@example.com", "To: a@example.com\r\n\r\n", Reject, AuthorMissing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := f.Check(context.Background(), read(t, tt.mailFrom, tt.text))
			if v.Action != tt.action || v.Reason != tt.reason {
				t.Errorf("%s %s, want %s %s: %s", v.Action, v.Reason, tt.action, tt.reason, v.Explanation)
			}
		})
	}
}

type sourceFunc func(context.Context, dns.Question) dns.Answer

func (f sourceFunc) Query(ctx context.Context, q dns.Question) dns.Answer { return f(ctx, q) }

// Invariant 4: a panic is a 451, never an accept, wherever it comes from.
func TestPanicDefers(t *testing.T) {
	for _, at := range []string{"example.com", "mx.example.com", "_dmarc.example.com", "s1._domainkey.example.com"} {
		f := testFilter(sourceFunc(func(_ context.Context, q dns.Question) dns.Answer {
			if q.Name == at {
				panic("planted at " + at)
			}
			return dns.Answer{Outcome: dns.NXDomain}
		}))
		text := "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n" + plain
		v := f.Check(context.Background(), read(t, "a@example.com", text))
		if v.Action != Defer || v.Reason != InternalError || v.Reply.Code != 451 || !strings.Contains(v.Fault, "planted at "+at) {
			t.Errorf("panic at %s: %s %s %+v\n%s", at, v.Action, v.Reason, v.Reply, v.Fault)
		}
		if strings.Contains(v.Reply.Text, "planted") {
			t.Errorf("the client is told of our insides: %q", v.Reply.Text)
		}
	}
}

// Invariant 5: whatever way the DNS fails us, nobody is refused for it.
func TestDNSTroubleIsNoFault(t *testing.T) {
	for _, o := range []dns.Outcome{dns.ServFail, dns.Refused, dns.Timeout, dns.OverLimit} {
		f := testFilter(sourceFunc(func(context.Context, dns.Question) dns.Answer { return dns.Answer{Outcome: o} }))
		v := f.Check(context.Background(), read(t, "a@example.com", plain))
		if v.Action != Accept || v.Reason != DNSTempError {
			t.Errorf("%s: %s %s", o, v.Action, v.Reason)
		}
	}
}

// A sender whose own name servers are slow cannot keep his victim's policy from
// being found. The clock is the bubble's: nothing else takes time.
func TestSlowSenderHidesNoPolicy(t *testing.T) {
	z := zone(t, testZone)
	m := read(t, "a@attacker.example", plain)
	synctest.Test(t, func(t *testing.T) {
		f := testFilter(sourceFunc(func(ctx context.Context, q dns.Question) dns.Answer {
			if strings.HasSuffix(q.Name, "attacker.example") {
				<-ctx.Done()
				return dns.Answer{Outcome: dns.Timeout}
			}
			time.Sleep(time.Second)
			return z.Query(ctx, q)
		}))
		f.Timeout = 20 * time.Second
		f.Policy.DMARCReject = Strict
		v := f.Check(context.Background(), m)
		if v.Action != Reject {
			t.Errorf("%s %s: %s", v.Action, v.Reason, v.Explanation)
		}
		if s := v.Results.Stages; s.SPF != f.Timeout || s.DNS != f.Timeout || s.IPRev != 0 {
			t.Errorf("SPF waited %v for the DNS: %+v", f.Timeout, s)
		}
	})
}

// Each stage that has run has taken its time.
func TestStagesOfACheck(t *testing.T) {
	v := testFilter(zone(t, testZone)).Check(context.Background(), read(t, "a@example.com", plain))
	if s := v.Results.Stages; s.SPF <= 0 || s.DKIM <= 0 || s.DMARC <= 0 || s.IPRev != 0 {
		t.Errorf("%+v", s)
	}
}

// Nor can one who makes SPF ask more than a message may.
func TestGreedySenderHidesNoPolicy(t *testing.T) {
	greedy := testZone + "attacker.example. TXT \"v=spf1 mx mx:m1.attacker.example mx:m2.attacker.example mx:m3.attacker.example mx:m4.attacker.example mx:m5.attacker.example mx:m6.attacker.example -all\"\n"
	for _, host := range []string{"", "m1.", "m2.", "m3.", "m4.", "m5.", "m6."} {
		for i := range 10 {
			greedy += host + "attacker.example. MX 10 h" + string(rune('0'+i)) + "." + host + "attacker.example.\n"
			greedy += "h" + string(rune('0'+i)) + "." + host + "attacker.example. A 198.51.100.1\n"
		}
	}
	f := testFilter(zone(t, greedy))
	f.Policy.DMARCReject = Strict
	v := f.Check(context.Background(), read(t, "a@attacker.example", plain))
	if v.Action != Reject {
		t.Errorf("%s %s: %s", v.Action, v.Reason, v.Explanation)
	}
	if n := dns.Questions(v.Results.DNS); n > 60 {
		t.Errorf("%d questions for one message", n)
	}
}

// Invariant 6: Check is right without Prefetch, and with it asks the network
// nothing new.
func TestPrefetchOnlyWarms(t *testing.T) {
	var mu sync.Mutex
	asked := map[dns.Question]int{}
	z := zone(t, testZone)
	counting := sourceFunc(func(ctx context.Context, q dns.Question) dns.Answer {
		mu.Lock()
		defer mu.Unlock()
		asked[q]++
		return z.Query(ctx, q)
	})
	m := read(t, "a@example.com", "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=s1; h=from; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA\r\n"+plain)
	cold := testFilter(z).Check(context.Background(), m)

	f := testFilter(dns.NewCache(counting, 1<<20))
	f.Prefetch(context.Background(), m.Envelope, nil)
	f.Prefetch(context.Background(), m.Envelope, &m.Header)
	before := len(asked)
	warm := f.Check(context.Background(), m)
	if warm.Action != cold.Action || warm.Reason != cold.Reason || warm.Edit.Prepend[0] != cold.Edit.Prepend[0] {
		t.Errorf("with Prefetch %s %s, without %s %s", warm.Action, warm.Reason, cold.Action, cold.Reason)
	}
	if before == 0 || len(asked) != before {
		t.Errorf("Prefetch asked %d questions, Check %d more", before, len(asked)-before)
	}
	for q, n := range asked {
		if n != 1 {
			t.Errorf("%v asked %d times", q, n)
		}
	}
}

// Forged fields are dropped by index, and ours stand on top (invariants 2, 3).
func TestEdit(t *testing.T) {
	f := testFilter(zone(t, testZone))
	m := read(t, "a@example.com", "X-Sekimori-Verdict: accept; reason=dmarc_pass\r\n"+
		"Authentication-Results: mx.example.net; dmarc=pass header.from=bank.example\r\n"+
		"Authentication-Results: other.example; spf=pass smtp.mailfrom=x.example\r\n"+plain)
	e := f.Check(context.Background(), m).Edit
	if len(e.Drop) != 2 || e.Drop[0] != 0 || e.Drop[1] != 1 {
		t.Errorf("drops %v", e.Drop)
	}
	if len(e.Prepend) != 2 || !strings.HasPrefix(e.Prepend[0], "Authentication-Results: mx.example.net;") || !strings.HasPrefix(e.Prepend[1], VerdictField+": accept;") {
		t.Errorf("prepends %q", e.Prepend)
	}
}

// A trusted client's mail is not judged, but what it forged is dropped.
func TestTrustedClient(t *testing.T) {
	f := testFilter(sourceFunc(func(_ context.Context, q dns.Question) dns.Answer {
		t.Errorf("asked %v for a trusted client", q)
		return dns.Answer{Outcome: dns.NXDomain}
	}))
	trustAll(&f.Policy)
	v := f.Check(context.Background(), read(t, "a@example.com", "Authentication-Results: mx.example.net; dmarc=pass\r\n"+plain))
	if v.Action != Accept || v.Reason != TrustedNetwork || len(v.Edit.Drop) != 1 {
		t.Errorf("%+v", v)
	}
}

// What only looks like a field of ours is dropped too, even where the operator
// lets malformed headers through.
func TestLookalikesAreDropped(t *testing.T) {
	f := testFilter(zone(t, testZone))
	trustAll(&f.Policy)
	for _, line := range []string{
		"Authentication\xa0-Results: mx.example.net; dmarc=pass",
		"Authentication-Results : mx.example.net; dmarc=pass",
		"X-Sekimori-Ver dict: accept",
		"X-Sekimori-Verdict",
	} {
		e := f.Check(context.Background(), read(t, "a@example.com", "To: b@example.net\r\n"+line+"\r\n"+plain)).Edit
		if len(e.Drop) != 1 || e.Drop[0] != 1 {
			t.Errorf("%q: drops %v", line, e.Drop)
		}
	}
}
