package audit

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"sekimori/filter/dns"
)

const (
	rsa512  = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL2dFQQaZ1PrHTS7mudwwnqL+21iPmcahz4bcSRikpXx/2ptCpTpubhsZyKcibnPtxiVUPofBbh++kc4Cf//6b0CAwEAAQ=="
	rsa1024 = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC5CDqONM8wpb4Rp4bWr5VOU2WJntssqEwzxzRrTuARUz4+92GvFrqFOHP4P3udYfHk6ivhLPWBIWEsN0429o9Na3qo2zVPT5R19vDroK4pS/DFNlu0RC+UmQRh3QXywqtKvpPsAySfIkg3cUjbWqSLRe5s9XWj6kjUzlE8P+T/NwIDAQAB"
	rsa2048 = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA62v3KiXH4jKmxHwZUmAdBvm30VU6gR8ezMWA5sMho+gkDf/Lbg/7KxzkfsjbHlR+sXKIhbQ3DHQhmxWsBJE9tx+DjThS6xB4SKAFRzhyLRR2vs82Yr5DVWHNmcQX3DHooCd9QK1KKzNYUwq+u4gqAhwtHZZtdZH5Xe6QqCdzESkHrmuKKyd/8pbQHZMrL9Q1d\" \"q9n1bZrQ3QxUG5UO/7SxWdAOIh/I34BquxOp42yLrP4ikwQauhX7WaVh0iRXl6O/mcb/n5LPQGylXKHhpH1VFvoij8UzdtJXb6tt+qXIu1bfzNJ5ee1AZvB5lVPjzjsacudPGeYf5xww7CYkvbUVwIDAQAB"
	ed25519 = "JBBVdWMxlhk3hiug8gF4j77TwI3ZYH/Byeee72DjWyk="
)

// Pieces of a domain where all is well; a case replaces one of them.
const (
	goodMX    = "example.com. MX 10 mx.example.com.\nmx.example.com. A 192.0.2.1\nmx.example.com. AAAA 2001:db8::1\n"
	goodSPF   = "example.com. TXT \"v=spf1 mx ip4:192.0.2.0/24 -all\"\n"
	goodDKIM  = "default._domainkey.example.com. TXT \"v=DKIM1; k=rsa; p=" + rsa2048 + "\"\n"
	goodDMARC = "_dmarc.example.com. TXT \"v=DMARC1; p=reject; rua=mailto:d@example.com\"\n"
)

func spfCase(record string, more ...string) string {
	return goodMX + goodDKIM + goodDMARC + "example.com. TXT " + strings.Join(chunks(record), " ") + "\n" + strings.Join(more, "\n") + "\n"
}

func dmarcCase(record string, more ...string) string {
	return goodMX + goodDKIM + goodSPF + "_dmarc.example.com. TXT " + strings.Join(chunks(record), " ") + "\n" + strings.Join(more, "\n") + "\n"
}

func keyCase(lines ...string) string {
	return goodMX + goodSPF + goodDMARC + strings.Join(lines, "\n") + "\n"
}

func mxCase(lines ...string) string {
	return goodSPF + goodDKIM + goodDMARC + strings.Join(lines, "\n") + "\n"
}

// rsa5120 is a key of that size, if none that anybody could sign with.
func rsa5120() string {
	n := new(big.Int).Lsh(big.NewInt(1), 5119)
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537})
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// chunks divides a text as master files want it.
func chunks(text string) []string {
	var out []string
	for first := true; first || text != ""; first = false {
		n := min(len(text), 200)
		out = append(out, `"`+strings.ReplaceAll(text[:n], `"`, `\"`)+`"`)
		text = text[n:]
	}
	return out
}

func examine(t testing.TB, zone, domain string, o Options) Report {
	t.Helper()
	z, err := dns.ParseZone("test", strings.NewReader(zone))
	if err != nil {
		t.Fatalf("%v in\n%s", err, zone)
	}
	return Domain(t.Context(), z, domain, o)
}

// codes are those of the findings that are not fine, worst first.
func codes(r Report) string {
	var words []string
	for _, f := range r.Findings {
		if f.Rank != Fine {
			words = append(words, string(f.Code))
		}
	}
	return strings.Join(words, " ")
}

func repeat(n int, format string) string {
	var words []string
	for i := range n {
		words = append(words, fmt.Sprintf(format, i))
	}
	return strings.Join(words, " ")
}

func hosts(n int, format string) string {
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf(format, i))
	}
	return strings.Join(lines, "\n")
}

func TestDomain(t *testing.T) {
	seen := map[Code]bool{}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			r := examine(t, c.zone, "example.com", Options{Selectors: c.selectors})
			if got := codes(r); got != c.want {
				t.Errorf("got  %s\nwant %s\n%s", got, c.want, sentences(r))
			}
			areas := map[string]bool{}
			for _, f := range r.Findings {
				seen[f.Code], areas[f.Area] = true, true
				if !isPrintable(f.Text) || !strings.HasSuffix(f.Text, ".") {
					t.Errorf("%s: %q is no sentence", f.Code, f.Text)
				}
			}
			for _, area := range []string{"spf", "dkim", "dmarc", "mx"} {
				if !areas[area] {
					t.Errorf("nothing is said of %s", area)
				}
			}
		})
	}
	seen[AuditLimit] = true // has a test of its own
	for _, c := range allCodes() {
		if !seen[c] {
			t.Errorf("no case for %s", c)
		}
	}
}

func sentences(r Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s %s %s: %s\n", f.Rank, f.Code, f.Name, f.Text)
		for _, p := range f.Publish {
			fmt.Fprintf(&b, "\t%s %s %s\n", p.Name, p.Type, p.Data)
		}
	}
	return b.String()
}

// What is to be published cures what it is proposed for, and breaks nothing.
func TestPublishCures(t *testing.T) {
	cured := map[Code]bool{}
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			before := examine(t, c.zone, "example.com", Options{Selectors: c.selectors})
			proposed, all := map[string][]Record{}, []Record{}
			for _, f := range before.Findings {
				if len(f.Publish) == 0 {
					continue
				}
				all = append(all, f.Publish...)
				at := f.Publish[0].Name + " " + f.Publish[0].Type
				if other, ok := proposed[at]; ok && !slices.Equal(other, f.Publish) {
					t.Errorf("%s: for %s both %v and %v", f.Code, at, other, f.Publish)
				}
				proposed[at] = f.Publish
				cured[f.Code] = true
				zone := published(c.zone, f.Publish)
				after := examine(t, zone, "example.com", Options{Selectors: c.selectors})
				for _, g := range after.Findings {
					stays := g.Code == f.Code && g.Name == f.Name && (f.Code != SPFWide || g.Text == f.Text)
					if stays || g.Rank == Broken && !strings.Contains(codes(before), string(g.Code)) {
						t.Errorf("%s: after publishing %v: %s: %s", f.Code, f.Publish, g.Code, g.Text)
					}
				}
			}
			after := examine(t, published(c.zone, unique(all)), "example.com", Options{Selectors: c.selectors})
			for _, f := range before.Findings {
				if len(f.Publish) > 0 && after.found(f) {
					t.Errorf("%s: stays when all is published: %s", f.Code, f.Text)
				}
			}
			if s := after.SPF; len(proposed["example.com TXT"]) > 0 && !after.MX.Null && after.MX.State == Found && !slices.ContainsFunc(s.Tree.Terms, func(m SPFTerm) bool { return names(m.Text) || isRedirect(m.Text) }) {
				t.Errorf("%s lets nobody send", s.Record)
			}
		})
	}
	for _, c := range []Code{SPFMissing, SPFNotARecord, SPFSeveral, SPFSyntax, SPFLookups, SPFVoids, SPFMXHosts, SPFIncludeMissing, SPFIncludeBroken, SPFLoop, SPFEveryone,
		SPFNeutral, SPFNoEnd, SPFWide, SPFPTR, SPFTargetVoid, SPFModifier, SPFUnreached, SPFDuplicateTerm, SPFSilent, DKIMTesting,
		DMARCMissing, DMARCNotARecord, DMARCSeveral, DMARCNoPolicy, DMARCInvalid, DMARCObsolete, DMARCUnknown, DMARCDuplicate, DMARCUnsupported, DMARCSpelling,
		DMARCNone, DMARCTesting, DMARCSubdomains, DMARCPSD, DMARCNoReports, DMARCUnauthorized, DMARCUnreachable, DMARCSilent,
		MXImplicit, MXNothing, MXNullOthers, MXTargetVoid, MXAlias} {
		if !cured[c] {
			t.Errorf("no case has a record to publish for %s", c)
		}
	}
}

func (r Report) found(f Finding) bool {
	return slices.ContainsFunc(r.Findings, func(g Finding) bool { return g.Code == f.Code && g.Name == f.Name && g.Text == f.Text })
}

func unique(all []Record) []Record {
	var out []Record
	for _, r := range all {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// published puts records in place of those of the same name, type and purpose.
func published(zone string, records []Record) string {
	var lines []string
	for line := range strings.SplitSeq(zone, "\n") {
		replaced := slices.ContainsFunc(records, func(r Record) bool {
			words := strings.Fields(line)
			return len(words) > 2 && words[0] == r.Name+"." && words[1] == r.Type && (r.Type != "TXT" || purpose(line) == purpose(r.Data))
		})
		if !replaced {
			lines = append(lines, line)
		}
	}
	for _, r := range records {
		data := r.Data
		if r.Type == "TXT" {
			data = strings.Join(chunks(data), " ")
		}
		lines = append(lines, r.Name+". "+r.Type+" "+data)
	}
	return strings.Join(lines, "\n") + "\n"
}

func purpose(text string) string {
	text = strings.ToLower(text)
	for _, p := range []string{"spf1", "dmarc1", "dkim1"} {
		if strings.Contains(text, p) {
			return p
		}
	}
	return ""
}

func TestSourceTrouble(t *testing.T) {
	silent, cancel := context.WithCancel(t.Context())
	cancel()
	z, err := dns.ParseZone("test", strings.NewReader(goodMX+goodSPF+goodDKIM+goodDMARC))
	if err != nil {
		t.Fatal(err)
	}
	r := Domain(silent, z, "example.com", Options{})
	if want := "mx_unanswered spf_unanswered dmarc_unanswered dkim_unanswered"; codes(r) != want || r.Rank != Broken {
		t.Errorf("without time: %s, want %s", codes(r), want)
	}
	r = Domain(t.Context(), z, "example.com", Options{Questions: 10})
	if !strings.Contains(codes(r), string(AuditLimit)) || r.DNS.Asked > 10 || r.Rank == Broken {
		t.Errorf("with ten questions: %s", sentences(r))
	}
}

// RFC 9989 section 4.10.1: sp for a name that exists, np for one that does not.
func TestInheritedPolicy(t *testing.T) {
	zone := goodMX + goodSPF + goodDKIM + "a.sub.example.com. A 192.0.2.1\n" +
		"_dmarc.example.com. TXT \"v=DMARC1; p=reject; sp=none; np=quarantine; t=y; rua=mailto:d@example.com; adkim=s\"\n"
	for name, want := range map[string]string{
		"example.com":         "example.com true reject quarantine none quarantine",
		"sub.example.com":     "example.com false none none none quarantine",
		"a.sub.example.com":   "example.com false none none none quarantine",
		"no.sub.example.com":  "example.com false quarantine none none quarantine",
		"sub.example.invalid": " false    ",
	} {
		d := examine(t, zone, name, Options{}).DMARC
		got := fmt.Sprint(d.PolicyDomain, " ", d.Own, " ", d.Policy, " ", d.EffectivePolicy, " ", d.SubdomainPolicy, " ", d.NonexistentPolicy)
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	d := examine(t, zone, "a.sub.example.com", Options{}).DMARC
	var walk []string
	for _, s := range d.Walk {
		walk = append(walk, s.Name+" "+string(s.State))
	}
	want := []string{"_dmarc.a.sub.example.com missing", "_dmarc.sub.example.com missing", "_dmarc.example.com found", "_dmarc.com missing"}
	if !slices.Equal(walk, want) || !d.StrictDKIM || d.StrictSPF || !d.Testing || d.OrganizationalDomain != "example.com" {
		t.Errorf("walk %q, want %q; %+v", walk, want, d)
	}
}

// RFC 7208 section 4.6.4: what counts, and what does not.
func TestLookupCount(t *testing.T) {
	more := []string{
		`one.example. TXT "v=spf1 a:mx.example.com -all a:mx.example.com"`,
		`two.example. TXT "v=spf1 include:one.example include:one.example ip4:192.0.2.1 ~all"`,
	}
	for record, want := range map[string]int{
		"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 all exp=x.example.com": 0,
		"v=spf1 mx a exists:%{i}.example.com ptr -all":               4,
		"v=spf1 exists:%{p}.example.com -all":                        2,
		"v=spf1 include:one.example -all":                            2,
		"v=spf1 include:two.example -all":                            5,
		"v=spf1 a redirect=two.example":                              6,
		"v=spf1 redirect=two.example -all":                           0,
	} {
		if got := examine(t, spfCase(record, more...), "example.com", Options{}).SPF; got.Lookups != want || got.Tree.Lookups != want {
			t.Errorf("%s: %d, want %d", record, got.Lookups, want)
		}
	}
}
