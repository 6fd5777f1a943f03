package audit

import (
	"strings"
	"testing"
)

// What is proposed for a name, by all findings, and what the texts say.
func TestProposals(t *testing.T) {
	const own = "example.com"
	second := func(record string) string { return `example.com. TXT "` + record + `"` }
	for name, c := range map[string]struct{ zone, at, want, says string }{
		"a bad address":    {spfCase("v=spf1 ip4:1.2.3.4.5 -all"), own, "", `publish "v=spf1 ip4:YOUR-SERVER -all" with`},
		"beside mx":        {spfCase("v=spf1 mx ip4:1.2.3.4.5 -all"), own, "", `publish "v=spf1 mx ip4:YOUR-SERVER -all" with`},
		"not a record":     {spfCase("v=spf1; ip4:1.2.3.4.5; -all"), own, "", `publish "v=spf1 ip4:YOUR-SERVER -all" with`},
		"everybody":        {spfCase("v=spf1 +all"), own, "v=spf1 mx ~all", "Add every other server"},
		"neutral":          {spfCase("v=spf1 ?all"), own, "v=spf1 mx ~all", "Add every other server"},
		"ptr":              {spfCase("v=spf1 ptr -all"), own, "v=spf1 mx ~all", "Add every other server"},
		"ptr beside mx":    {spfCase("v=spf1 mx ptr -all"), own, "v=spf1 mx ~all", "ptr"},
		"behind all":       {spfCase("v=spf1 -all ip4:192.0.2.1"), own, "v=spf1 mx ~all", "Add every other server"},
		"a bad denial":     {spfCase("v=spf1 mx -ip4:1.2.3.4.5 -all"), own, "v=spf1 mx -all", "-ip4"},
		"an open one":      {spfCase("v=spf1 include:_spf.example.com mx -all", `_spf.example.com. TXT "v=spf1 +all"`), "_spf.example.com", "", "YOUR-SERVER"},
		"no server known":  {goodDKIM + "example.com. TXT \"v=spf1 +all\"\n" + "_dmarc.example.com. TXT \"v=DMARC1; p=reject\"\n", own, "", `publish "v=spf1 ip4:YOUR-SERVER ~all" with`},
		"two":              {spfCase("v=spf1 mx -all", second("v=spf1 ip4:198.51.100.1 ~all")), own, "v=spf1 mx ip4:198.51.100.1 ~all", `"v=spf1 mx -all" and "v=spf1 ip4:198.51.100.1 ~all"`},
		"two, both strict": {spfCase("v=spf1 mx -all", second("v=spf1 mx ip4:198.51.100.1 -all")), own, "v=spf1 mx ip4:198.51.100.1 -all", "in their place"},
		"two, one open":    {spfCase("v=spf1 mx -all", second("v=spf1 ip4:198.51.100.1 ptr +all")), own, "v=spf1 mx ip4:198.51.100.1 ~all", `"+all" lets everybody`},
		"two, one bad":     {spfCase("v=spf1 mx -all", second("v=spf1 ip4:1.2.3.4.5 -all")), own, "", `publish "v=spf1 mx ip4:YOUR-SERVER -all" with`},
		"two, many terms":  {spfCase("v=spf1 "+repeat(6, "exists:%%{i}.a%d.example")+" -all", second("v=spf1 "+repeat(6, "exists:%%{i}.b%d.example")+" -all")), own, "", "at most ten terms"},
		"dead reports":     {dmarcCase("v=DMARC1; p=reject; rua=http://example.com/x,mailto:x@r.invalid"), "_dmarc.example.com", "v=DMARC1; p=reject; rua=mailto:dmarc-reports@example.com", "takes no mail"},
		"several faults":   {dmarcCase("v=DMARC1; p=none; t=y; pct=50; psd=y; rua=mailto:x@r.invalid,mailto:d@example.com"), "_dmarc.example.com", "v=DMARC1; p=none; t=y; rua=mailto:d@example.com", "psd=y"},
		"none, in test":    {dmarcCase("v=DMARC1; p=none; t=y; rua=mailto:d@example.com"), "_dmarc.example.com", "v=DMARC1; p=quarantine; rua=mailto:d@example.com", "policy in force is none"},
		"null MX, alias":   {mxCase("example.com. MX 0 .", "example.com. MX 20 alias.example.com.", "alias.example.com. CNAME mx.example.com.", "mx.example.com. A 192.0.2.1"), own, "20 mx.example.com.", "null MX"},
	} {
		t.Run(name, func(t *testing.T) {
			r := examine(t, c.zone, own, Options{})
			got := map[string]bool{}
			for _, f := range r.Findings {
				for _, p := range f.Publish {
					if p.Name == c.at {
						got[p.Data] = true
					}
					if strings.Contains(p.Data, openTerm) {
						t.Errorf("%s is to be published", p.Data)
					}
				}
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !got[c.want]) {
				t.Errorf("proposed: %v, want %q", got, c.want)
			}
			if all := strings.ReplaceAll(sentences(r), `\"`, `"`); !strings.Contains(all, c.says) {
				t.Errorf("%q is missing in\n%s", c.says, all)
			}
		})
	}
}

// All texts of a name are in the report.
func TestSeveralShown(t *testing.T) {
	r := examine(t, spfCase("v=spf1 mx -all", `example.com. TXT "v=spf1 ip4:192.0.2.1 ~all"`), "example.com", Options{})
	if got := strings.Join(r.SPF.Tree.Records, "; "); got != "v=spf1 mx -all; v=spf1 ip4:192.0.2.1 ~all" {
		t.Error(got)
	}
}
