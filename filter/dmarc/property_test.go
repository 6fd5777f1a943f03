package dmarc

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The names of random worlds: three registrants under three kinds of suffix, one
// with names beyond the walk's cut.
var family = []string{
	"com", "example.com", "mail.example.com", "a.mail.example.com", "dept.example.com", "evil.com", "x.evil.com",
	"uk", "co.uk", "victim.co.uk", "www.victim.co.uk", "evil.co.uk",
	"io", "github.io", "one.github.io", "two.github.io",
	"h.example.com", "a.b.c.d.e.f.g.h.example.com", "z.c.d.e.f.g.h.example.com", "e.f.g.h.example.com",
}

var published = []string{
	"v=DMARC1; p=reject", "v=DMARC1; p=none; psd=u", "v=DMARC1; p=reject; psd=y", "v=DMARC1; p=quarantine; psd=n",
	"v=DMARC1; p=reject; adkim=s; aspf=s", "v=DMARC1; p=reject; adkim=s", "v=DMARC1", "v=DMARC1; p=none|v=DMARC1; p=none", "v=spf1 -all",
}

var outcomes = []string{"pass", "fail", "temperror", "none"}

// chooser turns random numbers or fuzzed bytes into choices.
type chooser func(n int) int

func (c chooser) record() string { return published[c(len(published))] }

func (c chooser) world() map[string]string {
	w := map[string]string{}
	for _, name := range family {
		if c(3) == 0 {
			w[name] = c.record()
		}
	}
	return w
}

func (c chooser) id() Identifier {
	return Identifier{Domain: append(family, "")[c(len(family)+1)], Result: outcomes[c(len(outcomes))]}
}

func (c chooser) message() (author string, spf Identifier, dkim []Identifier) {
	author, spf = family[c(len(family))], c.id()
	for range c(4) {
		dkim = append(dkim, c.id())
	}
	return author, spf, dkim
}

// plain is RFC 9989 section 4.10 read as naively as can be: every walk in full, no
// shortcut, no DNS trouble.
type plain struct {
	records map[string]string
	strict  bool // to the letter, without the safety net
}

func (p plain) at(name string) (Record, bool) {
	var found []Record
	for text := range strings.SplitSeq(p.records[name], "|") {
		if r, ok := Parse(text); ok {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return Record{}, false
	}
	return found[0], true
}

// suffixes of the worlds above, as a registrar knows them.
var suffixes = map[string]bool{"com": true, "uk": true, "co.uk": true, "io": true}

func (p plain) organizational(start string) string {
	all := strings.Split(start, ".")
	chosen := start
	for n := len(all); n > 0; n-- {
		if n != len(all) && n > 7 {
			continue
		}
		name := strings.Join(all[len(all)-n:], ".")
		r, ok := p.at(name)
		if !ok {
			continue
		}
		chosen = name
		if r.PSD == PSDYes && n < len(all) {
			chosen = strings.Join(all[len(all)-n-1:], ".")
		}
		if r.PSD != PSDUnknown {
			break
		}
	}
	for n := len(strings.Split(chosen, ".")); !p.strict && suffixes[chosen] && n < len(all); n++ {
		chosen = strings.Join(all[len(all)-n-1:], ".")
	}
	return chosen
}

func (p plain) policy(author string) (Record, bool) {
	if r, ok := p.at(author); ok {
		return r, true
	}
	for name := p.organizational(author); name != ""; name = parent(name) {
		if labels(name) > 7 {
			continue // beyond the cut, not asked
		}
		if r, ok := p.at(name); ok {
			return r, true
		}
	}
	return Record{}, false
}

func (p plain) aligned(author, domain string, strict bool) bool {
	if domain == "" || strict {
		return domain == author
	}
	return p.organizational(author) == p.organizational(domain)
}

func (p plain) evaluate(author string, spf Identifier, dkim []Identifier) Word {
	r, ok := p.policy(author)
	if !ok || r.Policy == "" {
		return None
	}
	pass, temp := false, false
	count := func(id Identifier, strict bool) {
		if id.Domain != "" && p.aligned(author, id.Domain, strict) {
			pass = pass || id.Result == "pass"
			temp = temp || id.Result == "temperror"
		}
	}
	count(spf, r.StrictSPF)
	for _, id := range dkim {
		count(id, r.StrictDKIM)
	}
	switch {
	case pass:
		return Pass
	case temp:
		return TempError
	}
	return Fail
}

// DM-051, DM-052: pass is said if and only if an aligned identifier passed and a
// policy exists; all shortcuts give what the full walks give.
func TestAgreesWithFullWalks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := chooser(random.IntN)
	count := map[Word]int{}
	for range 20000 {
		answers := c.world()
		author, spf, dkim := c.message()
		o := Options{StrictTreeWalk: c(2) == 0}
		p := plain{answers, o.StrictTreeWalk}
		r := records(answers).judge(t, o, author, spf, dkim)
		if want := p.evaluate(author, spf, dkim); r.Word != want {
			t.Fatalf("%v\n%+v author %s spf %v dkim %v:\n%s (%s), want %s", answers, o, author, spf, dkim, r.Word, r.Reason, want)
		}
		if want := p.organizational(author); r.OrganizationalDomain != want {
			t.Fatalf("%v\n%+v author %s: %s, want %s", answers, o, author, r.OrganizationalDomain, want)
		}
		count[r.Word]++
	}
	for _, w := range []Word{None, Pass, Fail, TempError} {
		if count[w] < 200 {
			t.Errorf("only %d cases of %s", count[w], w)
		}
	}
}

// DM-046: whatever anybody publishes, a registrant never passes for another one.
func TestRegistrantsStayApart(t *testing.T) {
	c := chooser(rand.New(rand.NewPCG(3, 4)).IntN)
	for range 5000 {
		answers := c.world()
		author, spf, _ := c.message()
		if spf.Domain == "" || spf.Domain == author || last(spf.Domain, registered(spf.Domain)) == last(author, registered(author)) {
			continue
		}
		spf.Result = "pass"
		r := records(answers).judge(t, Options{}, author, spf, []Identifier{spf})
		if r.Word == Pass || r.SPFAligned || r.DKIMAligned[0] {
			t.Fatalf("%v\n%s passes for %s", answers, spf.Domain, author)
		}
	}
}

// DM-018: where a question went unanswered, none, pass and fail are said only if
// every answer would have led there.
func TestTroubleDecidesNothing(t *testing.T) {
	c := chooser(rand.New(rand.NewPCG(5, 6)).IntN)
	settled := 0
	for range 3000 {
		answers := c.world()
		author, spf, dkim := c.message()
		o := Options{StrictTreeWalk: c(4) == 0}
		// The names that fail: one of the author's own and one of anybody's.
		trouble := []string{path(author)[c(len(path(author)))], family[c(len(family))]}
		for _, name := range trouble {
			answers[name] = "SERVFAIL"
		}
		r := records(answers).judge(t, o, author, spf, dkim)
		if r.Word == TempError {
			continue
		}
		settled++
		for range 40 {
			for _, name := range trouble {
				answers[name] = c.record()
			}
			if want := (plain{answers, o.StrictTreeWalk}).evaluate(author, spf, dkim); r.Word != want {
				t.Fatalf("%v\n%+v author %s spf %v dkim %v: %s (%s), but %s if %v answers so",
					answers, o, author, spf, dkim, r.Word, r.Reason, want, trouble)
			}
		}
	}
	if settled < 300 {
		t.Errorf("only %d cases were settled", settled)
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03"), "example.com", "a.example.com", "v=DMARC1; p=reject; psd=y")
	f.Add([]byte{}, "a..b", ".", "v=DMARC1")
	f.Add([]byte{9, 8, 7, 6, 5, 4, 3, 2, 1}, strings.Repeat("a.", 126)+"a", "a.a", "SERVFAIL")
	f.Fuzz(func(t *testing.T, choices []byte, author, domain, record string) {
		at := 0
		c := chooser(func(n int) int {
			if at == len(choices) {
				return 0
			}
			at++
			return int(choices[at-1]) % n
		})
		answers := c.world()
		answers[parent(author)], answers[family[c(len(family))]] = record, record
		_, spf, dkim := c.message()
		dkim = append(dkim, Identifier{Domain: domain, Result: outcomes[c(2)]}, Identifier{Domain: author, Result: outcomes[c(2)]})
		o := Options{StrictTreeWalk: c(2) == 1}

		r := records(answers).judge(t, o, author, spf, dkim)
		if want := r.supports(spf, dkim); r.Word == Pass && !want {
			t.Fatalf("pass without an aligned pass: %+v", r)
		}
		if len(r.Queries) > maxQueries*(1+maxIdentifiers) || len(r.DKIMAligned) != len(dkim) {
			t.Fatalf("%+v", r)
		}
		if !isValue(r.Record+r.Reason+r.AuthorDomain+"x") || r.Word != Pass && r.Reason == "" || r.Policy == "" && r.Word == Fail {
			t.Fatalf("%+v", r)
		}
	})
}

// supports tells whether a pass may stand on these identifiers: one passed, is
// called aligned, and shares at least a label with the author.
func (r Result) supports(spf Identifier, dkim []Identifier) bool {
	holds := func(id Identifier, aligned bool) bool {
		return aligned && id.Result == "pass" && common(normal(id.Domain), r.AuthorDomain) > 0
	}
	ok := holds(spf, r.SPFAligned)
	for i, id := range dkim {
		ok = ok || holds(id, r.DKIMAligned[i])
	}
	return ok && r.PolicyDomain != "" && r.Policy != ""
}
