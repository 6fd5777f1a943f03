package filter

import (
	"fmt"
	"testing"

	"sekimori/filter/dmarc"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// hosting is a provider: domains of customers, two to each, tenants of every tenth
// customer and a list of entries.
func hosting(tb testing.TB, customers, tenants, entries int) *Filter {
	owner := make(map[string]string, 2*customers)
	for i := range customers {
		customer := fmt.Sprintf("customer%d", i)
		owner[fmt.Sprintf("shop-%d.example", i)], owner[fmt.Sprintf("blog-%d.example", i)] = customer, customer
	}
	all := make([]testTenant, tenants)
	for i := range all {
		all[i] = testTenant{Tenant{Name: fmt.Sprintf("tenant%d", i), Customers: []string{fmt.Sprintf("customer%d", i)}, Recipients: []string{fmt.Sprintf("boss@shop-%d.example", i)}},
			rules(func(r *Rules) { r.Policy.HelpURL = fmt.Sprintf("https://help%d.example/", i%50) })}
	}
	f, err := withTenants(testFilter(nil), all)
	if err != nil {
		tb.Fatal(err)
	}
	f.Live = &Live{}
	f.Live.SetDomains(domains(tb, owner))
	f.Live.SetList(EverybodysList, listOf(tb, manyEntries(entries)...))
	f.Live.SetList("customer7", listOf(tb, Entry{Domain: "news.example", Sender: true}, Entry{Domain: "partner.example"}))
	return f
}

// decisions are messages with the facts that gather would have found, but for
// what it finds out about protected domains.
func decisions(tb testing.TB) map[string]func() (*mail.Message, Results) {
	message := func(from, mailFrom, rcpt string, r Results) func() (*mail.Message, Results) {
		env := testMessage().Envelope
		env.MailFrom, env.Rcpts = mailFrom, []string{rcpt}
		m := readWith(tb, env, "From: "+from+"\r\nTo: "+rcpt+"\r\nSubject: x\r\n\r\nhello\r\n")
		r.Author = m.Author()
		return func() (*mail.Message, Results) { return m, r }
	}
	pass := with(found(dmarc.Pass, dmarc.PolicyReject), func(r *Results) { r.SPF.MailFrom = spf.Result{Word: spf.Pass, Domain: "mail.example.com"} })
	return map[string]func() (*mail.Message, Results){
		"pass":  message("a@example.com", "a@mail.example.com", "user@shop-7.example", pass),
		"spoof": message(`"a@blog-9.example" <boss@mail.shop-99.example>`, "x@evil.example", "boss@shop-8.example", found(dmarc.None, "")),
		"listed": message("boss@shop-7.example", "x@bounce.news.example", "user@elsewhere.test",
			with(found(dmarc.None, ""), func(r *Results) { r.SPF.MailFrom = spf.Result{Word: spf.Pass, Domain: "bounce.news.example"} })),
	}
}

// decideAll is all that Check does but for asking the DNS and verifying.
func (f *Filter) decideAll(m *mail.Message, r Results) Verdict {
	d := f.Live.Domains()
	var v Verdict
	for _, p := range f.parties(m.Envelope.Rcpts) {
		one := *f
		one.Rules = p.rules
		r.Claims = claims(d, m, r.Author)
		one.prove(d, r.Claims, m, r)
		r.Listed = one.listed(p.lists, m, r)
		v = one.Policy.Decide(m, r)
	}
	return v
}

func TestScaleDecides(t *testing.T) {
	f := hosting(t, 200, 100, 1000)
	for name, want := range map[string]Reason{"pass": DMARCPass, "spoof": ProtectedAuthor, "listed": ListedSender} {
		m, r := decisions(t)[name]()
		if v := f.decideAll(m, r); v.Reason != want {
			t.Errorf("%s: %s: %s", name, v.Reason, v.Explanation)
		}
	}
}

// What is decided for one message allocates the same with a hundred domains as
// with many.
func TestScaleAllocates(t *testing.T) {
	small, large := hosting(t, 100, 100, 100), hosting(t, 5000, 1000, 20000)
	for name, one := range decisions(t) {
		m, r := one()
		a := testing.AllocsPerRun(50, func() { small.decideAll(m, r) })
		b := testing.AllocsPerRun(50, func() { large.decideAll(m, r) })
		if b > a+1 {
			t.Errorf("%s: %v allocations with few, %v with many", name, a, b)
		}
	}
}

// BenchmarkDecide: the whole decision with 100,000 domains, 10,000 tenants and
// 1,000,000 entries; MB is what these hold in memory.
func BenchmarkDecide(b *testing.B) {
	before := heap()
	f := hosting(b, 50_000, 10_000, 1_000_000)
	held := float64(heap()-before) / (1 << 20)
	for name, one := range decisions(b) {
		b.Run(name, func(b *testing.B) {
			m, r := one()
			b.ReportAllocs()
			for b.Loop() {
				f.decideAll(m, r)
			}
			b.ReportMetric(held, "MB")
		})
	}
}
