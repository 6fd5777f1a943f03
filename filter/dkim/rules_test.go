package dkim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sekimori/filter/dns"
)

// A rule's case: tags of a signature by the key of RFC 8463, made on plain.
type signatureCase struct {
	id     string
	tags   string
	want   Word
	reason string // a part of it
	check  func(Result) bool
}

func TestSignatureRules(t *testing.T) {
	domain, selector := func(d string) string { return tagged("d", d) }, func(s string) string { return tagged("s", s) }
	for _, c := range []signatureCase{
		{"DK-001 a tag twice", tagged() + "; d=example.com", Neutral, "twice", nothingRead},
		{"DK-001 an unknown tag twice", tagged("zz", "1") + "; zz=1", Neutral, "twice", nothingRead},
		{"DK-002 a tag's name by case", tagged("v", "-", "V", "1"), PermError, "v= is missing", nil},
		{"DK-002 a value by case", tagged("a", "RSA-SHA256"), Neutral, "a=", nil},
		{"DK-003 white space", strings.NewReplacer("=", " =\r\n\t", ";", "\r\n ;\t").Replace(tagged("q", "dns/txt")), Pass, "", nil},
		{"DK-003 a semicolon at the end", tagged() + ";", Pass, "", nil},
		{"DK-003 a semicolon and white space at the end", tagged() + "; \r\n ", Pass, "", nil},
		{"DK-003 an empty tag", tagged() + ";;", Neutral, "syntax", nothingRead},
		{"DK-003 no tag at all", "just words", Neutral, "syntax", nothingRead},
		{"DK-003 a bad name", tagged("1x", "y"), Neutral, "name", nothingRead},
		{"DK-003 a control", tagged("zz", "a\x01b"), Neutral, "control", nothingRead},
		{"DK-003 too many tags", tagged() + numbered(57), Neutral, "too many", nothingRead},
		{"DK-004 unknown tags", tagged("zz", "anything b=1", "b2", "", "\x41_9", "ü"), Pass, "", nil},
		{"DK-005 v=0.5", tagged("v", "0.5"), PermError, "version", nil},
		{"DK-005 v=2", tagged("v", "2"), PermError, "version", nil},
		{"DK-005 v=1.0", tagged("v", "1.0"), PermError, "version", nil},
		{"DK-005 v=01", tagged("v", "01"), PermError, "version", nil},
		{"DK-006 v missing", tagged("v", "-"), PermError, "v= is missing or empty", nil},
		{"DK-006 a missing", tagged("a", "-"), PermError, "a= is missing or empty", nil},
		{"DK-006 b missing", strings.Replace(tagged(), "; b={b}", "", 1), PermError, " b= is missing or empty", nil},
		{"DK-006 bh missing", strings.Replace(tagged(), "; bh={bh}", "", 1), PermError, "bh= is missing or empty", nil},
		{"DK-006 d missing", tagged("d", "-"), PermError, "d= is missing or empty", nil},
		{"DK-006 h missing", tagged("h", "-"), PermError, "h= is missing or empty", nil},
		{"DK-006 s missing", tagged("s", "-"), PermError, "s= is missing or empty", nil},
		{"DK-006 b empty", strings.Replace(tagged(), "{b}", " \t", 1), PermError, " b= is missing or empty", nil},
		{"DK-006 d empty", tagged("d", ""), PermError, "d= is missing or empty", nil},
		{"DK-007 From is not signed", tagged("h", "to:subject:from-x"), PermError, "does not cover From", nil},
		{"DK-007 From in any case", tagged("h", "to:FrOm"), Pass, "", nil},
		{"DK-008 h empty", tagged("h", " "), PermError, "h= is missing or empty", nil},
		{"DK-008 h with an empty name", tagged("h", "from::to"), Neutral, "h=", nil},
		{"DK-008 h with an impossible name", tagged("h", "from:a b"), Neutral, "h=", nil},
		{"DK-008 h names the signature's own kind", tagged("h", "from:dkim-signature"), Pass, "", nil},
		{"DK-009 no i=", tagged(), Pass, "", func(r Result) bool { return r.Identifier == "@example.com" }},
		{"DK-010 i= below d=", tagged("i", "joe@News.Example.COM"), Pass, "",
			func(r Result) bool { return r.Identifier == "joe@news.example.com" }},
		{"DK-010 i= in quoted-printable", tagged("i", "a=3Bb=20\r\n c@example.com"), Pass, "",
			func(r Result) bool { return r.Identifier == "a;b c@example.com" }},
		{"DK-010 i= not printable", tagged("i", "a=0Db@example.com"), Pass, "",
			func(r Result) bool { return r.Identifier == "@example.com" }},
		{"DK-010 i= of a lookalike", tagged("i", "@evilexample.com"), PermError, "i=",
			func(r Result) bool { return r.Identifier == "" && r.Domain == "example.com" }},
		{"DK-010 i= above d=", tagged("i", "@com"), PermError, "i=", nil},
		{"DK-010 i= with two @", tagged("i", "a@victim.example@example.com"), PermError, "i=", nil},
		{"DK-010 i= without @", tagged("i", "news.example.com"), PermError, "i=", nil},
		{"DK-010 i= with broken quoting", tagged("i", "a=4@example.com"), PermError, "i=", nil},
		{"DK-010 i= empty", tagged("i", ""), PermError, "i=", nil},
		{"DK-011 NUL", domain("example.com\x00.evil.example"), Neutral, "control", nothingRead},
		{"DK-011 quote", domain("example.com'a.evil.example"), Neutral, "d=", noDomain},
		{"DK-011 double quote", domain(`example.com"a.evil.example`), Neutral, "d=", noDomain},
		{"DK-011 parenthesis", domain("example.com(.evil.example"), Neutral, "d=", noDomain},
		{"DK-011 space", domain("example. com"), Neutral, "d=", noDomain},
		{"DK-011 two dots", domain("example..com"), Neutral, "d=", noDomain},
		{"DK-011 leading dot", domain(".example.com"), Neutral, "d=", noDomain},
		{"DK-011 trailing dot", domain("example.com."), Neutral, "d=", noDomain},
		{"DK-011 address literal", domain("[192.0.2.1]"), Neutral, "d=", noDomain},
		{"DK-011 too long", domain(strings.Repeat("a.", 126) + "com"), Neutral, "d=", noDomain},
		{"DK-012 a query elsewhere", selector("s1._domainkey.evil.example.\x00.any"), Neutral, "control", nothingRead},
		{"DK-012 empty label", selector("a..b"), Neutral, "s=", func(r Result) bool { return r.Selector == "" }},
		{"DK-012 slash", selector("a/b"), Neutral, "s=", nil},
		{"DK-012 trailing dot", selector("s1."), Neutral, "s=", nil},
		{"DK-012 too long for a query", selector(strings.Repeat("a.", 115) + "b"), PermError, "too long", nil},
		{"DK-013 unknown algorithm", tagged("a", "rsa-sha512"), Neutral, "a=", func(r Result) bool { return r.Algorithm == "" }},
		{"DK-013 unknown algorithm", tagged("a", "ecdsa-sha256"), Neutral, "a=", nil},
		{"DK-013 unknown algorithm", tagged("a", "rsa_sha256"), Neutral, "a=", nil},
		{"DK-014 rsa-sha1", tagged("a", "rsa-sha1"), Policy, "sha1",
			func(r Result) bool { return r.Algorithm == "rsa-sha1" && r.Queried == "" }},
		{"DK-015 no c=", tagged("c", "-"), Pass, "", func(r Result) bool { return r.Canonicalization == "simple/simple" }},
		{"DK-015 c=relaxed", tagged("c", "relaxed"), Pass, "", func(r Result) bool { return r.Canonicalization == "relaxed/simple" }},
		{"DK-015 unknown c=", tagged("c", "nofws"), Neutral, "c=", nil},
		{"DK-015 unknown c= of the body", tagged("c", "relaxed/nowsp"), Neutral, "c=", nil},
		{"DK-015 empty c=", tagged("c", ""), Neutral, "c=", nil},
		{"DK-016 q= with an argument", tagged("q", "x/y : dns/txt"), Pass, "", nil},
		{"DK-016 q= unknown", tagged("q", "dns/txt2:x"), PermError, "q=", nil},
		{"DK-016 q= with an argument of its own", tagged("q", "dns/txt:x"), Pass, "", nil},
		{"DK-017 l= more than the body", tagged("l", "100000"), PermError, "l=", nil},
		{"DK-017 l= that overflows", tagged("l", strings.Repeat("9", 76)), PermError, "l=", nil},
		{"DK-017 l= of 2^64", tagged("l", "18446744073709551616"), PermError, "l= is more", nil},
		{"DK-017 l= of 77 digits", tagged("l", strings.Repeat("0", 77)), Neutral, "l=", nil},
		{"DK-017 l= not a number", tagged("l", "-1"), Neutral, "l=", nil},
		{"DK-017 l= empty", tagged("l", ""), Neutral, "l=", nil},
		{"DK-018 l= less than the body", tagged("l", "10"), Policy, "l=", func(r Result) bool { return r.Partial }},
		{"DK-019 x= before t=", tagged("t", "1000", "x", "999"), Neutral, "expires", nil},
		{"DK-019 x= equal to t=", tagged("t", "1000", "x", "1000"), Neutral, "expires", nil},
		{"DK-019 t= not a number", tagged("t", "12a"), Neutral, "t=", nil},
		{"DK-019 x= empty", tagged("x", ""), Neutral, "x=", nil},
		{"DK-019 x= of 13 digits", tagged("x", "0000000000001"), Pass, "", func(r Result) bool { return r.Expires.IsZero() }},
		{"DK-020 valid for long", tagged("x", "2000000000"), Pass, "", func(r Result) bool { return r.Expires.Unix() == 2000000000 }},
		{"DK-020 expired", tagged("x", "1500000000"), Policy, "expired", nil},
		{"DK-021 t= ahead within a day", tagged("t", "1600086400"), Pass, "", nil},
		{"DK-021 t= ahead by more than a day", tagged("t", "1600086401"), Neutral, "future", nil},
		{"DK-021 t= of 13 digits", tagged("t", "1000000000000"), Neutral, "future", nil},
		{"DK-022 b= not base64", strings.Replace(tagged(), "{b}", "!!!!", 1), Neutral, "b=", func(r Result) bool { return r.B == "" }},
		{"DK-022 bh= not base64", strings.Replace(tagged(), "{bh}", "a", 1), Neutral, "bh=", nil},
		{"DK-022 bh= too short", strings.Replace(tagged(), "{bh}", "AAAA", 1), Neutral, "bh=", nil},
		{"DK-022 b= short", strings.Replace(tagged(), "{b}", "AA==", 1), Fail, "signature does not match", nil},
		{"DK-022 b= empty base64", strings.Replace(tagged(), "{b}", "=", 1), Neutral, "b=", nil},
		{"DK-022 b= huge", strings.Replace(tagged(), "{b}", strings.Repeat("AAAA", 9000), 1), Fail, "signature", nil},
		{"DK-023 z= malformed", tagged("z", "From:=GG|b=x|:::"), Pass, "", nil},
		{"DK-054 b= inside other values", tagged("z", "Subject:b=abc|b =d", "zb", "1 b= 2"), Pass, "", nil},
		{"DK-068 too many names", tagged("h", "from"+strings.Repeat(":x", 1000)), PermError, "1000", nil},
		{"DK-068 as many names as may be", tagged("h", "from"+strings.Repeat(":x", 999)), Pass, "", nil},
		{"DK-068 too long a field", tagged("zz", strings.Repeat("a", 65536)), PermError, "65536", nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			raw := sign(t, rsaKey(), c.tags, plain)
			got := verifyOne(t, raw, at(1600000000), record(t, rsaKey()))
			if got.Word != c.want || !strings.Contains(got.Reason, c.reason) || (got.Reason == "") != (c.want == Pass) {
				t.Errorf("%s: %q, want %s: %q", got.Word, got.Reason, c.want, c.reason)
			}
			if c.check != nil && !c.check(got) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func nothingRead(r Result) bool {
	return r.Domain == "" && r.Selector == "" && r.Identifier == "" && r.Queried == "" && r.B == ""
}

// noDomain: what is no name is neither printed nor asked for.
func noDomain(r Result) bool { return r.Domain == "" && r.Identifier == "" && r.Queried == "" }

// numbered makes n tags.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "; x%d=", i)
	}
	return b.String()
}

func TestKeyRules(t *testing.T) {
	p, ed := spki(t, rsaKey().Public()), strings.TrimPrefix(record(t, edKey()), "v=DKIM1; k=ed25519; p=")
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := base64.StdEncoding.EncodeToString(der[22:])
	for _, c := range []struct {
		id      string
		tags    string // of the signature, if not the usual ones
		records []string
		want    Word
		reason  string
		check   func(Result) bool
	}{
		{"DK-030 the name", "", []string{"v=DKIM1; p=" + p}, Pass, "",
			func(r Result) bool { return r.Queried == "s1._domainkey.example.com" && r.KeyBits == 1024 }},
		{"DK-032 no record at all", "", nil, PermError, "no key at s1._domainkey.example.com", nil},
		{"DK-033 junk beside the key", "", []string{"v=spf1 -all", "v=DKIM1; p=" + p}, Pass, "", nil},
		{"DK-033 the second key", "", []string{"v=DKIM1; p=" + p, "v=DKIM1; n=a; p=" + spki(t, mersenne(607, 521).Public())}, Pass, "", nil},
		{"DK-033 a revoked key beside", "", []string{"v=DKIM1; p=", "v=DKIM1; t=y; p=" + p}, Pass, "", func(r Result) bool { return r.Testing }},
		{"DK-033 more keys than are tried", "", []string{"v=DKIM1; p=", "v=DKIM1; a=1; p=", "v=DKIM1; a=2; p=", "v=DKIM1; z; p=", "v=DKIM1; z=; p=" + p},
			PermError, "revoked", nil},
		{"DK-033 no key among several", "", []string{"v=spf1 -all", "junk"}, PermError, "none of the 2 TXT records", nil},
		{"DK-034 v= is not first", "", []string{"k=rsa; v=DKIM1; p=" + p}, PermError, "v=", nil},
		{"DK-034 v=DKIM1.0", "", []string{"v=DKIM1.0; p=" + p}, PermError, "v=", nil},
		{"DK-034 v=dkim1", "", []string{"v=dkim1; p=" + p}, PermError, "v=", nil},
		{"DK-035 no v=", "", []string{"k=rsa; p=" + p}, Pass, "", nil},
		{"DK-036 revoked", "", []string{"v=DKIM1; p="}, PermError, "revoked", nil},
		{"DK-036 revoked by white space", "", []string{"v=DKIM1; p= \t"}, PermError, "revoked", nil},
		{"DK-036 no p=", "", []string{"v=DKIM1; k=rsa"}, PermError, "no p=", nil},
		{"DK-037 no k=", "", []string{"v=DKIM1; p=" + p}, Pass, "", nil},
		{"DK-037 k= unknown", "", []string{"v=DKIM1; k=dsa; p=" + p}, PermError, "k=", nil},
		{"DK-037 k= by case", "", []string{"v=DKIM1; k=RSA; p=" + p}, PermError, "k=", nil},
		{"DK-038 key of the other kind", "", []string{record(t, edKey())}, PermError, "the key is for ed25519", nil},
		{"DK-038 signature of the other kind", tagged("a", "ed25519-sha256"), []string{"v=DKIM1; p=" + p}, PermError, "the key is for rsa", nil},
		{"DK-039 h=sha1", "", []string{"v=DKIM1; h=sha1; p=" + p}, PermError, "h=", nil},
		{"DK-039 unknown entries", "", []string{"v=DKIM1; h=sha3 : sha256; p=" + p}, Pass, "", nil},
		{"DK-040 s=other", "", []string{"v=DKIM1; s=tlsrpt; p=" + p}, PermError, "s=", nil},
		{"DK-040 s=email among others", "", []string{"v=DKIM1; s=tlsrpt:email; p=" + p}, Pass, "", nil},
		{"DK-040 s=*", "", []string{"v=DKIM1; s=*; p=" + p}, Pass, "", nil},
		{"DK-041 t=s", tagged("i", "@a.example.com"), []string{"v=DKIM1; t=s; p=" + p}, PermError, "t=s", nil},
		{"DK-041 t=s among others", tagged("i", "@a.example.com"), []string{"v=DKIM1; t=x : s; p=" + p}, PermError, "t=s", nil},
		{"DK-041 t=s kept", tagged("i", "a@EXAMPLE.com"), []string{"v=DKIM1; t=s; p=" + p}, Pass, "", nil},
		{"DK-042 t=y, good", "", []string{"v=DKIM1; t=y; p=" + p}, Pass, "", func(r Result) bool { return r.Testing }},
		{"DK-042 t=y, bad", tagged("bh", strings.Repeat("A", 43)+"="), []string{"v=DKIM1; t=y:s; p=" + p}, Neutral, "testing",
			func(r Result) bool { return r.Testing }},
		{"DK-045 RSAPublicKey", "", []string{"v=DKIM1; p=" + pkcs1}, Pass, "", nil},
		{"DK-045 bytes after the key", "", []string{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(append(der, 0))}, PermError, "not an RSA", nil},
		{"DK-045 not DER", "", []string{"v=DKIM1; p=AAAA"}, PermError, "not an RSA", nil},
		{"DK-045 not base64", "", []string{"v=DKIM1; p=?"}, PermError, "base64", nil},
		{"DK-045 white space in p=", "", []string{"v=DKIM1; p=" + p[:10] + "\t" + p[10:20] + " \r\n" + p[20:] + " "}, Pass, "", nil},
		{"DK-045 a key of another kind in DER", "", []string{"v=DKIM1; p=" + spki(t, edKey().Public())}, PermError, "not an RSA", nil},
		{"DK-046 31 octets", tagged("a", "ed25519-sha256"), []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(make([]byte, 31))}, PermError, "31 octets", nil},
		{"DK-046 DER around it", tagged("a", "ed25519-sha256"), []string{"v=DKIM1; k=ed25519; p=" + spki(t, edKey().Public())}, PermError, "44 octets", nil},
		{"DK-046 wrong signature", tagged("a", "ed25519-sha256"), []string{"v=DKIM1; k=ed25519; p=" + ed}, Fail, "does not match", nil},
		{"DK-047 SPF text", "", []string{"v=spf1 include:example.com ~all"}, PermError, "no DKIM key", nil},
		{"DK-047 junk", "", []string{"hello"}, PermError, "no DKIM key", nil},
		{"DK-047 nothing", "", []string{""}, PermError, "no DKIM key", nil},
		{"DK-048 long", "", []string{"v=DKIM1; n=" + strings.Repeat("a", 4096) + "; p=" + p}, PermError, "longer than", nil},
		{"DK-048 many tags", "", []string{"v=DKIM1; p=" + p + numbered(31)}, PermError, "too many", nil},
		{"DK-048 as many tags as may be", "", []string{"v=DKIM1; p=" + p + numbered(30) + ";"}, Pass, "", nil},
		{"DK-001 a tag twice", "", []string{"v=DKIM1; p=" + p + "; p=" + p}, PermError, "twice", nil},
	} {
		t.Run(c.id, func(t *testing.T) {
			raw := sign(t, rsaKey(), orElse(c.tags, tagged()), plain)
			got := verifyOne(t, raw, at(1600000000), c.records...)
			if got.Word != c.want || !strings.Contains(got.Reason, c.reason) || (got.Reason == "") != (c.want == Pass) {
				t.Errorf("%s: %q, want %s: %q", got.Word, got.Reason, c.want, c.reason)
			}
			if c.check != nil && !c.check(got) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The order in which the DNS gives records changes nothing.
func TestRecordOrder(t *testing.T) { // DK-033
	records := []string{"v=DKIM1; a=1; p=", "v=DKIM1; p=", record(t, rsaKey()), "v=DKIM1; t=y; p=AAAA", "junk"}
	raw := sign(t, rsaKey(), tagged(), plain)
	want := verifyOne(t, raw, at(1600000000), records...)
	for range records {
		records = append(records[1:], records[0])
		if got := verifyOne(t, raw, at(1600000000), records...); got.Word != want.Word || got.Reason != want.Reason {
			t.Errorf("%s %q, before %s %q", got.Word, got.Reason, want.Word, want.Reason)
		}
	}
}

func TestDNSOutcomes(t *testing.T) { // DK-031, DK-032
	const name = "s1._domainkey.example.com"
	raw := sign(t, rsaKey(), tagged(), plain)
	for _, c := range []struct {
		err    error
		want   Word
		reason string
	}{
		{outcome(name, dns.Timeout), TempError, "timeout"},
		{outcome(name, dns.ServFail), TempError, "servfail"},
		{outcome(name, dns.Refused), TempError, "refused"},
		{outcome(name, dns.OverLimit), TempError, "overlimit"},
		{fmt.Errorf("wrapped: %w", outcome(name, dns.ServFail)), TempError, "servfail"},
		{context.Canceled, TempError, name},
		{errors.New("(hostile\r\ntext"), TempError, name},
		{outcome(name, dns.NXDomain), PermError, "no key at " + name},
		{outcome(name, dns.NoData), PermError, "no key at " + name},
		{outcome(name, dns.Malformed), TempError, "malformed"},
		{&dns.Error{Outcome: dns.Malformed, Err: dns.ErrName}, PermError, "cannot be asked"},
	} {
		z := &zone{errs: map[string]error{name: c.err}}
		got := Verify(t.Context(), z, message(t, raw), Limits{})[0]
		if got.Word != c.want || !strings.Contains(got.Reason, c.reason) || strings.Contains(got.Reason, "hostile") {
			t.Errorf("%v: %s %q", c.err, got.Word, got.Reason)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	z := &zone{}
	got := Verify(ctx, z, message(t, sign(t, rsaKey(), tagged(), plain)), Limits{})[0]
	if got.Word != TempError || len(z.asked) != 0 {
		t.Errorf("%s %q, asked %q", got.Word, got.Reason, z.asked)
	}
}

// slow cancels its context and answers all the same for one name.
type slow struct {
	zone
	cancel context.CancelFunc
}

func (s *slow) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if strings.HasPrefix(name, "slow.") {
		<-ctx.Done()
		return nil, outcome(name, dns.Timeout)
	}
	defer time.AfterFunc(time.Millisecond, s.cancel)
	return s.zone.LookupTXT(ctx, name)
}

// A key that never comes takes no time from a signature whose key is there.
func TestSlowKeyHurtsNobodyElse(t *testing.T) { // DK-060
	ctx, cancel := context.WithCancel(t.Context())
	z := &slow{zone{txt: map[string][]string{"s1._domainkey.example.com": {record(t, rsaKey())}}}, cancel}
	raw := sign(t, rsaKey(), tagged("s", "slow"), sign(t, rsaKey(), tagged(), plain))
	got := Verify(ctx, z, message(t, raw), Limits{})
	if got[0].Word != TempError || got[1].Word != Pass {
		t.Errorf("%+v", got)
	}
}

func TestResolverPanicReachesCaller(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "a bug in the resolver") {
			t.Errorf("recovered %v", p)
		}
	}()
	Verify(t.Context(), &zone{panics: true}, message(t, sign(t, rsaKey(), tagged(), plain)), Limits{})
}
