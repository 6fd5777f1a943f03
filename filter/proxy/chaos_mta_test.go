package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// faults are what the MTA does in place of what it should.
func faults() map[string]misdeed {
	return map[string]misdeed{
		"killed":          {close: true},
		"reset":           {reset: true},
		"hanging":         {hang: true},
		"half-closed":     {half: true},
		"450":             {say: "450 4.7.1 not now\r\n"},
		"554":             {say: "554 5.7.1 never\r\n"},
		"421":             {say: "421 4.3.2 going down\r\n", close: true},
		"421 and stays":   {say: "421 4.3.2 going down\r\n"},
		"many lines of 4": {say: strings.Repeat("451-4.7.1 wait\r\n", 90) + "451 4.7.1 wait\r\n"},
		"too many lines":  {say: strings.Repeat("250-x\r\n", 200)},
		"over-long":       {say: "250 " + strings.Repeat("x", 1<<16) + "\r\n"},
		"garbage":         {say: "\x16\x03\x01\x00\x05hello?\r\n"},
		"no code":         {say: "ok\r\n"},
		"two codes":       {say: "250-ok\r\n550 no\r\n"},
		"cut reply":       {say: "250 2.0.0 Ok: queued as Q", close: true},
		"nothing but CR":  {say: "\r\r\r\r"},
		"unasked":         {more: "250 2.0.0 Ok: queued as Q1\r\n", keep: true},
		"drip":            {drip: true, keep: true},
		"late":            {late: true, keep: true},
		"kept, killed":    {close: true, keep: true},
		"kept, hanging":   {hang: true, keep: true},
		"kept, cut":       {say: "250 2.0.0 Ok: queu", close: true, keep: true},
	}
}

// Every fault of the MTA at every step, once and for a while. The clients go on
// as clients do, and in the end all their mail is where they were told it is.
func TestLedgerMTA(t *testing.T) {
	for _, step := range []string{"connect", "EHLO", "XCLIENT", "MAIL", "RCPT", "DATA", "body", "end", "RSET", "QUIT"} {
		t.Run(step, func(t *testing.T) {
			var all sync.WaitGroup
			defer all.Wait()
			for name, deed := range faults() {
				if deed.keep && (step == "body" || step != "end" && !deed.drip && !deed.late && deed.more == "") {
					continue
				}
				d := newDoor(t, hurried)
				d.mta.queue = true
				if step == "XCLIENT" {
					d.mta.offers = append(d.mta.offers, "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT")
				}
				d.judge(byName)
				all.Go(func() {
					for _, fault := range d.suffer(step, deed) {
						t.Errorf("%s: %s", name, fault)
					}
				})
			}
		})
	}
}

// hurried makes each step with the MTA fail faster than is good for it.
func hurried(s *Server) {
	const d = 60 * time.Millisecond
	s.Upstream.Times = Times{Connect: time.Second, Greeting: d, Command: d, Data: d, Final: d}
	s.Upstream.Patience = Patience{Failures: 2, Pause: 20 * time.Millisecond}
	s.Upstream.Reuse = Reuse{Idle: 3}
}

// byName is what the core says of messages that tell it in their HELO.
func byName(m *mail.Message) filter.Verdict {
	switch h := m.Envelope.Helo; {
	case strings.HasPrefix(h, "reject"):
		return filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 550, Enhanced: "5.7.26", Text: "no"}}
	case strings.HasPrefix(h, "defer"):
		return filter.Verdict{Action: filter.Defer, Reply: filter.Reply{Code: 451, Enhanced: "4.7.0", Text: "later"}}
	case strings.HasPrefix(h, "panic"):
		panic("boom")
	}
	return filter.Verdict{Action: filter.Accept}
}

// suffer plays one fault within the traffic of several clients.
func (d *door) suffer(step string, deed misdeed) (found []string) {
	l := &ledger{}
	warm := &courier{d: d, l: l, helo: "warm.example"}
	fresh := &courier{d: d, l: l, helo: "fresh.example"}
	spoof := &courier{d: d, l: l, helo: "reject.example"}
	defer warm.leave()
	defer fresh.leave()
	defer spoof.leave()
	var pages []*page
	send := func(c *courier, lines int) {
		p := l.write(c.helo, lines)
		pages = append(pages, p)
		c.deliver(p)
	}
	send(warm, 3)
	d.mta.do(step, deed)
	if warm.connect() && warm.envelope(l.write(warm.helo, 1)) == "" {
		warm.reset()
	}
	send(warm, 2000)
	send(fresh, 3)
	send(spoof, 3)
	if warm.connect() {
		warm.ask("QUIT")
		warm.leave()
	}
	deed.once = true
	d.mta.do(step, deed)
	send(warm, 3)
	d.mta.behave()
	return append(l.finish(d, pages), l.faults(d.mta.got())...)
}

// finish sends again what has not come to its end.
func (l *ledger) finish(d *door, pages []*page) (found []string) {
	for _, p := range pages {
		c := &courier{d: d, l: l, helo: p.helo}
		got := c.insist(p)
		c.leave()
		if !l.settled(p) {
			found = append(found, fmt.Sprintf("%s of %s comes to nothing though all is well again: %q, %q", p.nonce, p.helo, got, p.told))
		}
	}
	return found
}
