package audit

import (
	"slices"
	"strings"
)

type auditCase struct {
	name, zone, want string
	selectors        []string
}

func cases() []auditCase {
	return slices.Concat(spfCases(), dkimCases(), dmarcCases(), mxCases())
}

func spfCases() []auditCase {
	return []auditCase{
		{name: "good", zone: spfCase("v=spf1 mx -all")},
		{name: "good, softfail and redirect", zone: spfCase("v=spf1 redirect=_spf.example.com", `_spf.example.com. TXT "v=spf1 mx:example.com ~all"`)},
		{name: "upper case", zone: spfCase("V=SPF1 MX -ALL")},
		{name: "missing", zone: goodMX + goodDKIM + goodDMARC, want: "spf_missing"},
		{name: "missing, others there", zone: spfCase("google-site-verification=x"), want: "spf_missing"},
		{name: "unanswered", zone: goodMX + goodDKIM + goodDMARC + ";fail example.com TXT SERVFAIL\n", want: "spf_unanswered"},
		{name: "not a record", zone: spfCase("v=spf1; mx; ip4:192.0.2.0/24; -all"), want: "spf_not_a_record"},
		{name: "not a record, quoted", zone: spfCase(`"v=spf1 mx -all"`), want: "spf_not_a_record"},
		{name: "a stray one", zone: spfCase("v=spf1 mx -all", `example.com. TXT "v=spf10 -all"`), want: "spf_stray"},
		{name: "two", zone: spfCase("v=spf1 mx -all", `example.com. TXT "v=spf1 ip4:198.51.100.1 redirect=_spf.example.com"`, `_spf.example.com. TXT "v=spf1 -all"`), want: "spf_several"},
		{name: "misspelt", zone: spfCase("v=spf1 ipv4:192.0.2.0/24 ip6:192.0.2.1 2001:db8::/48 mx, redirect:x.example –all"), want: "spf_syntax spf_syntax spf_syntax spf_syntax spf_syntax spf_syntax"},
		{name: "beyond repair", zone: spfCase("v=spf1 mx nonsense -all"), want: "spf_syntax"},
		{name: "too long", zone: spfCase("v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", 800) + "-all"), want: "spf_syntax spf_answer_size spf_length"},
		{name: "ten lookups", zone: spfCase("v=spf1 "+repeat(10, "include:i%d.example")+" -all", hosts(10, `i%d.example. TXT "v=spf1 -all"`)), want: "spf_lookups_near"},
		{name: "eleven lookups, own hosts", zone: spfCase("v=spf1 "+repeat(9, "include:i%d.example")+" a:mx.example.com mx -all", hosts(9, `i%d.example. TXT "v=spf1 -all"`)), want: "spf_lookups"},
		{name: "eleven lookups, others'", zone: spfCase("v=spf1 include:big.example -all", `big.example. TXT "v=spf1 `+repeat(10, "exists:%%{i}.e%d.example")+`"`), want: "spf_lookups"},
		{name: "after all does not count", zone: spfCase("v=spf1 mx -all " + repeat(11, "a:a%d.example")), want: strings.TrimSpace(strings.Repeat("spf_unreached ", 10)) + " audit_left_out"},
		{name: "voids", zone: spfCase("v=spf1 mx a:a.invalid a:b.invalid mx:c.invalid -all"), want: "spf_voids spf_target_void spf_target_void spf_target_void"},
		{name: "mx of many hosts", zone: spfCase("v=spf1 mx:many.example.com -all", hosts(11, "many.example.com. MX 10 h%d.example.com."), hosts(11, "h%d.example.com. A 192.0.2.7")), want: "spf_mx_hosts"},
		{name: "mx of a stranger's many hosts", zone: spfCase("v=spf1 include:i.example -all", `i.example. TXT "v=spf1 mx"`, hosts(11, "i.example. MX 10 h%d.example.")), want: "spf_mx_hosts"},
		{name: "include without record", zone: spfCase("v=spf1 mx include:gone.example -all"), want: "spf_include_missing"},
		{name: "redirect without record", zone: spfCase("v=spf1 mx redirect=gone.example"), want: "spf_include_missing"},
		{name: "include of a broken one", zone: spfCase("v=spf1 mx include:i.example -all", `i.example. TXT "v=spf1 nonsense"`), want: "spf_include_broken"},
		{name: "include of two", zone: spfCase("v=spf1 mx include:i.example -all", `i.example. TXT "v=spf1 a"`, `i.example. TXT "v=spf1 b"`), want: "spf_include_broken"},
		{name: "include of our own broken one", zone: spfCase("v=spf1 mx include:_spf.example.com -all", `_spf.example.com. TXT "v=spf1 ip4:300.0.0.1 ip4:192.0.2.1"`), want: "spf_syntax"},
		{name: "include of our own two", zone: spfCase("v=spf1 mx include:_spf.example.com -all", `_spf.example.com. TXT "v=spf1 ip4:192.0.2.1"`, `_spf.example.com. TXT "v=spf1 ip4:192.0.2.2"`), want: "spf_several"},
		{name: "broken below a stranger's", zone: spfCase("v=spf1 mx include:i.example -all", `i.example. TXT "v=spf1 include:gone.example"`), want: "spf_include_missing"},
		{name: "include unanswered", zone: spfCase("v=spf1 mx include:i.example -all", ";fail i.example TXT TIMEOUT"), want: "spf_unresolved"},
		{name: "a unanswered", zone: spfCase("v=spf1 a:i.example -all", ";fail i.example * REFUSED"), want: "spf_unresolved"},
		{name: "loop", zone: spfCase("v=spf1 mx include:example.com -all"), want: "spf_loop"},
		{name: "loop by two", zone: spfCase("v=spf1 mx include:_spf.example.com -all", `_spf.example.com. TXT "v=spf1 include:example.com"`), want: "spf_loop"},
		{name: "+all", zone: spfCase("v=spf1 mx +all"), want: "spf_everyone"},
		{name: "the whole internet", zone: spfCase("v=spf1 ip4:0.0.0.0/0 ip6:::/0 mx/0 exists:mx.example.com -all"), want: "spf_everyone spf_everyone spf_everyone spf_everyone"},
		{name: "+all in a stranger's", zone: spfCase("v=spf1 mx include:i.example -all", `i.example. TXT "v=spf1 +all"`), want: "spf_everyone"},
		{name: "+all in our own", zone: spfCase("v=spf1 mx include:_spf.example.com -all", `_spf.example.com. TXT "v=spf1 +all"`), want: "spf_everyone"},
		{name: "?include of +all", zone: spfCase("v=spf1 mx ?include:i.example -all", `i.example. TXT "v=spf1 +all"`)},
		{name: "?all", zone: spfCase("v=spf1 mx ?all"), want: "spf_neutral"},
		{name: "no end", zone: spfCase("v=spf1 mx"), want: "spf_no_end"},
		{name: "no end behind redirect", zone: spfCase("v=spf1 redirect=_spf.example.com", `_spf.example.com. TXT "v=spf1 mx:example.com"`), want: "spf_no_end"},
		{name: "wide", zone: spfCase("v=spf1 ip4:10.0.0.0/15 ip6:2001:d00::/31 mx/8 -all"), want: "spf_wide spf_wide spf_wide"},
		{name: "not too wide", zone: spfCase("v=spf1 ip4:172.16.0.0/16 ip6:2001:db8::/32 mx/24//64 include:i.example -all", `i.example. TXT "v=spf1 ip4:172.16.0.0/12"`)},
		{name: "ptr", zone: spfCase("v=spf1 mx ptr -all"), want: "spf_ptr"},
		{name: "as modifier", zone: spfCase("v=spf1 mx ip4=192.0.2.7 include=i.example -all", `i.example. TXT "v=spf1 -all"`), want: "spf_modifier spf_modifier"},
		{name: "two in one text", zone: spfCase("v=spf1 mx -all v=spf1 ip4:192.0.2.7 -all"), want: "spf_unreached spf_unreached spf_unreached"},
		{name: "redirect beside all", zone: spfCase("v=spf1 mx redirect=_spf.example.com -all"), want: "spf_unreached"},
		{name: "twice", zone: spfCase("v=spf1 mx ip4:192.0.2.7 MX -all"), want: "spf_duplicate_term"},
		{name: "long", zone: spfCase("v=spf1 " + repeat(33, "ip4:192.0.2.%d") + " -all"), want: "spf_length"},
		{name: "much text", zone: spfCase("v=spf1 mx -all", hosts(8, `example.com. TXT "%d`+strings.Repeat("x", 200)+`"`)), want: "spf_answer_size"},
		{name: "obsolete type", zone: spfCase("v=spf1 mx -all", `example.com. SPF "v=spf1 -all"`), want: "spf_type"},
		{name: "only a bad address", zone: spfCase("v=spf1 ip4:1.2.3.4.5 -all"), want: "spf_syntax"},
		{name: "only +all", zone: spfCase("v=spf1 +all"), want: "spf_everyone"},
		{name: "only ?all", zone: spfCase("v=spf1 ?all"), want: "spf_neutral"},
		{name: "only ptr", zone: spfCase("v=spf1 ptr -all"), want: "spf_ptr"},
		{name: "only a dead include", zone: spfCase("v=spf1 include:gone.example -all"), want: "spf_include_missing"},
		{name: "two, one open", zone: spfCase("v=spf1 mx -all", `example.com. TXT "v=spf1 ip4:198.51.100.1 ptr +all"`), want: "spf_several spf_everyone spf_ptr"},
		{name: "two, one with a dead include", zone: spfCase("v=spf1 mx -all", `example.com. TXT "v=spf1 include:gone.example ~all"`), want: "spf_several spf_include_missing"},
		{name: "two, too many terms together", zone: spfCase("v=spf1 "+repeat(6, "exists:%%{i}.a%d.example")+" -all", `example.com. TXT "v=spf1 `+repeat(6, "exists:%%{i}.b%d.example")+` -all"`), want: "spf_several spf_lookups"},
		{name: "two, one denies", zone: spfCase("v=spf1 -ip4:192.0.2.9 mx -all", `example.com. TXT "v=spf1 ip4:192.0.2.0/24 -all"`), want: "spf_several"},
		{name: "one of ours by two ways", zone: spfCase("v=spf1 include:a.example.com include:b.example.com -all", `a.example.com. TXT "v=spf1 include:c.example.com"`, `b.example.com. TXT "v=spf1 include:c.example.com"`,
			`c.example.com. TXT "v=spf1 ip4:192.0.2.1 ptr"`), want: "spf_ptr"},
		{name: "macros", zone: spfCase("v=spf1 exists:%{i}._spf.%{d} include:%{d}.i.example -all", `example.com.i.example. TXT "v=spf1 mx:gone.invalid -all"`)},
	}
}

func dkimCases() []auditCase {
	at := func(selector, record string) string {
		return selector + `._domainkey.example.com. TXT "` + record + `"`
	}
	good := "v=DKIM1; k=rsa; p=" + rsa2048
	return []auditCase{
		{name: "missing", zone: keyCase(), want: "dkim_missing"},
		{name: "at a given selector", zone: keyCase(at("x1", good)), selectors: []string{"x1"}},
		{name: "no key at a given selector", zone: keyCase(at("x1", good)), selectors: []string{"x1", "x2"}, want: "dkim_no_key"},
		{name: "another text at a given selector", zone: keyCase(at("x1", "hello")), selectors: []string{"x1"}, want: "dkim_malformed"},
		{name: "another text at a usual selector", zone: keyCase(at("s1", "hello"), at("s2", good))},
		{name: "512", zone: keyCase(at("s1", "v=DKIM1; p="+rsa512)), want: "dkim_short"},
		{name: "5120", zone: keyCase(at("s1", "v=DKIM1; p="+strings.Trim(strings.Join(chunks(rsa5120()), " "), `"`))), want: "dkim_long"},
		{name: "1024", zone: keyCase(at("s1", "v=DKIM1; p="+rsa1024)), want: "dkim_1024"},
		{name: "Ed25519 alone", zone: keyCase(at("s1", "v=DKIM1; k=ed25519; p="+ed25519)), want: "dkim_ed25519_only"},
		{name: "Ed25519 beside RSA", zone: keyCase(at("s1", "v=DKIM1; k=ed25519; p="+ed25519), at("s2", good))},
		{name: "revoked", zone: keyCase(at("s1", "v=DKIM1; p="), at("s2", good)), want: "dkim_revoked"},
		{name: "testing", zone: keyCase(at("s1", "v=DKIM1; t=y:s; p="+rsa2048)), want: "dkim_testing"},
		{name: "malformed", zone: keyCase(at("s1", "v=DKIM1; k=rsa; p=MI!")), want: "dkim_malformed"},
		{name: "not a tag list", zone: keyCase(at("s1", "v=DKIM1 k=rsa p="+rsa512)), want: "dkim_malformed"},
		{name: "sha1 only", zone: keyCase(at("s1", "v=DKIM1; h=sha1; p="+rsa2048)), want: "dkim_malformed"},
		{name: "two at one", zone: keyCase(at("s1", good), at("s1", "v=DKIM1; p="+rsa1024)), want: "dkim_several dkim_1024"},
		{name: "by CNAME", zone: keyCase("s1._domainkey.example.com. CNAME s1.keys.example.", `s1.keys.example. TXT "`+good+`"`)},
		{name: "wildcard", zone: keyCase(at("*", good))},
		{name: "wildcard without a key", zone: keyCase(at("*", "v=spf1 -all"), at("s1", good))},
		{name: "unanswered", zone: keyCase(at("s2", good), ";fail s1._domainkey.example.com TXT SERVFAIL"), want: "dkim_unanswered"},
		{name: "all unanswered", zone: keyCase(";fail *._domainkey.example.com TXT SERVFAIL"), want: "dkim_unanswered"},
	}
}

func dmarcCases() []auditCase {
	const rua = "; rua=mailto:d@example.com"
	return []auditCase{
		{name: "good", zone: dmarcCase("v=DMARC1; p=quarantine" + rua)},
		{name: "missing", zone: goodMX + goodSPF + goodDKIM, want: "dmarc_missing"},
		{name: "missing, but for the registry", zone: goodMX + goodSPF + goodDKIM + "_dmarc.com. TXT \"v=DMARC1; p=reject; psd=y\"\n", want: "dmarc_missing"},
		{name: "unanswered", zone: goodMX + goodSPF + goodDKIM + ";fail _dmarc.example.com TXT SERVFAIL\n", want: "dmarc_unanswered"},
		{name: "the registry unanswered", zone: goodMX + goodSPF + goodDKIM + ";fail _dmarc.com TXT SERVFAIL\n", want: "dmarc_unanswered"},
		{name: "the registry has two", zone: dmarcCase("v=DMARC1; p=reject"+rua, `_dmarc.com. TXT "v=DMARC1; p=none"`, `_dmarc.com. TXT "v=DMARC1; p=reject"`)},
		{name: "not a record", zone: dmarcCase("v=dmarc1; p=reject" + rua), want: "dmarc_not_a_record"},
		{name: "not a record, beyond repair", zone: dmarcCase("DMARC1"), want: "dmarc_not_a_record"},
		{name: "two", zone: dmarcCase("v=DMARC1; p=reject", `_dmarc.example.com. TXT "v=DMARC1; p=none`+rua+`"`), want: "dmarc_several"},
		{name: "no policy", zone: dmarcCase("v=DMARC1; p=rejct"), want: "dmarc_no_policy"},
		{name: "bad policy", zone: dmarcCase("v=DMARC1; p=rejct" + rua), want: "dmarc_no_policy"},
		{name: "bad sp", zone: dmarcCase("v=DMARC1; p=reject; sp=no" + rua), want: "dmarc_no_policy"},
		{name: "p left out", zone: dmarcCase("v=DMARC1" + rua), want: "dmarc_invalid dmarc_none"},
		{name: "bad tags", zone: dmarcCase("v=DMARC1; p=reject; adkim=x; p=none; foo=1; pct=50; ri=3" + rua), want: "dmarc_invalid dmarc_duplicate dmarc_unknown dmarc_obsolete dmarc_obsolete"},
		{name: "not mailto", zone: dmarcCase("v=DMARC1; p=reject; rua=https://example.com/x,mailto:d@example.com!10m"), want: "dmarc_unsupported dmarc_obsolete"},
		{name: "capital", zone: dmarcCase("V=DMARC1; p=reject" + rua), want: "dmarc_spelling"},
		{name: "none", zone: dmarcCase("v=DMARC1; p=none; sp=none" + rua), want: "dmarc_none"},
		{name: "testing", zone: dmarcCase("v=DMARC1; p=reject; t=y" + rua), want: "dmarc_testing"},
		{name: "milder below", zone: dmarcCase("v=DMARC1; p=reject; sp=none; np=quarantine" + rua), want: "dmarc_subdomains"},
		{name: "psd", zone: dmarcCase("v=DMARC1; p=reject; psd=y" + rua), want: "dmarc_psd"},
		{name: "no reports", zone: dmarcCase("v=DMARC1; p=reject"), want: "dmarc_no_reports"},
		{name: "a report address that agrees", zone: dmarcCase("v=DMARC1; p=reject; rua=mailto:x@r.example", "r.example. MX 10 mx.example.com.", `*._report._dmarc.r.example. TXT "v=DMARC1;"`)},
		{name: "one of ours", zone: dmarcCase("v=DMARC1; p=reject; rua=mailto:x@r.example.com", "r.example.com. A 192.0.2.1")},
		{name: "one that does not", zone: dmarcCase("v=DMARC1; p=reject; rua=mailto:x@r.example; ruf=mailto:y@r.example", "r.example. MX 10 mx.example.com."), want: "dmarc_unauthorized"},
		{name: "one that sends on", zone: dmarcCase("v=DMARC1; p=reject; rua=mailto:x@r.example", "r.example. MX 10 mx.example.com.",
			`example.com._report._dmarc.r.example. TXT "v=DMARC1; rua=mailto:a@r.example,mailto:b@s.example"`), want: "dmarc_unauthorized"},
		{name: "one that takes no mail", zone: dmarcCase("v=DMARC1; p=reject" + rua + ",mailto:x@r.invalid"), want: "dmarc_unreachable"},
		{name: "one with a null MX", zone: dmarcCase("v=DMARC1; p=reject"+rua+",mailto:x@r.example", "r.example. MX 0 ."), want: "dmarc_unreachable"},
		{name: "nothing but dead ones", zone: dmarcCase("v=DMARC1; p=reject; rua=http://example.com/x,mailto:x@r.invalid"), want: "dmarc_unsupported dmarc_unreachable"},
		{name: "several faults", zone: dmarcCase("v=DMARC1; p=none; pct=50; psd=y; t=y; rua=mailto:x@r.invalid,mailto:x@s.invalid"), want: "dmarc_unreachable dmarc_unreachable dmarc_obsolete dmarc_testing dmarc_psd dmarc_none"},
		{name: "none and testing", zone: dmarcCase("v=DMARC1; p=none; t=y" + rua), want: "dmarc_testing dmarc_none"},
		{name: "one that is not known", zone: dmarcCase("v=DMARC1; p=reject; rua=mailto:x@r.example", "r.example. MX 10 mx.example.com.", ";fail example.com._report._dmarc.r.example TXT SERVFAIL"), want: "dmarc_unresolved"},
	}
}

func mxCases() []auditCase {
	const null = "example.com. MX 0 .\n"
	return []auditCase{
		{name: "none, but an address", zone: mxCase("example.com. A 192.0.2.1", goodSPF), want: "spf_target_void mx_implicit"},
		{name: "nothing", zone: `example.com. TXT "v=spf1 -all"` + "\n" + goodDMARC, want: "dmarc_unreachable mx_nothing"},
		{name: "nothing, but mail is sent", zone: `example.com. TXT "v=spf1 ip4:192.0.2.1 -all"` + "\n" + goodDKIM + `_dmarc.example.com. TXT "v=DMARC1; p=reject; rua=mailto:a@d.example.com"` + "\nd.example.com. A 192.0.2.1\n", want: "mx_nothing"},
		{name: "no such name", zone: "else.example. A 192.0.2.1\n", want: "mx_no_domain spf_missing dmarc_missing"},
		{name: "unanswered", zone: mxCase(";fail example.com MX TIMEOUT"), want: "mx_unanswered spf_unresolved dmarc_unresolved"},
		{name: "unusable", zone: mxCase(`example.com. MX 10 a\032b.example.`), want: "mx_unusable spf_target_void dmarc_unreachable"},
		{name: "null", zone: null + `example.com. TXT "v=spf1 -all"` + "\n" + `_dmarc.example.com. TXT "v=DMARC1; p=reject"` + "\n"},
		{name: "null, and no records", zone: null, want: "spf_missing dmarc_missing"},
		{name: "null, and mail is sent", zone: null + `example.com. TXT "v=spf1 ip4:192.0.2.1 -all"` + "\n" + `_dmarc.example.com. TXT "v=DMARC1; p=none"` + "\n", want: "spf_silent dmarc_silent"},
		{name: "null, and keys revoked", zone: null + `example.com. TXT "v=spf1 -all"` + "\n" + `_dmarc.example.com. TXT "v=DMARC1; p=reject"` + "\n" + `*._domainkey.example.com. TXT "v=DKIM1; p="` + "\n"},
		{name: "null beside others", zone: mxCase(null + goodMX), want: "mx_null_others"},
		{name: "all void", zone: mxCase("example.com. MX 10 gone.example.com.", "example.com. MX 10 192.0.2.1."), want: "mx_all_void spf_target_void"},
		{name: "one void", zone: mxCase(goodMX, "example.com. MX 20 gone.example.com."), want: "mx_target_void"},
		{name: "alias", zone: mxCase(goodMX, "example.com. MX 20 alias.example.com.", "alias.example.com. CNAME mx.example.com."), want: "mx_alias"},
		{name: "null beside an alias and a void one", zone: mxCase(null+goodMX, "example.com. MX 20 alias.example.com.", "alias.example.com. CNAME mx.example.com.", "example.com. MX 30 gone.example.com."), want: "mx_null_others mx_alias mx_target_void"},
		{name: "private", zone: mxCase(goodMX, "mx.example.com. A 192.168.0.1"), want: "mx_private"},
		{name: "host unanswered", zone: mxCase(goodMX, "example.com. MX 20 x.example.", ";fail x.example * SERVFAIL"), want: "mx_unresolved"},
	}
}
