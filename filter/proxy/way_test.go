package proxy

import (
	"strings"
	"testing"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// The way of one message, in the good case and in the plain bad ones.

func TestDelivered(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	if got := k.send(letterText); got != accepted {
		t.Fatalf("reply %q", got)
	}
	k.say("QUIT", "221")
	k.over()
	letters := d.mta.got()
	if len(letters) != 1 || letters[0].from != "FROM:<a@sender.example>" || letters[0].to[0] != "TO:<b@rcpt.example>" {
		t.Fatalf("the MTA holds %+v", letters)
	}
	head, rest, _ := strings.Cut(letters[0].data, "From:")
	if "From:"+rest != letterText {
		t.Errorf("the message was changed: %q", letters[0].data)
	}
	if !strings.HasPrefix(head, "Received: from client.example ([127.0.0.1])\r\n\tby mx.example (Sekimori) with ESMTP id ") {
		t.Errorf("trace %q", head)
	}
	r := d.record(1)
	if r.Outcome != filter.Delivered || !r.Judged || r.Reply.Code != 250 || r.Reply.Text != accepted[4:] || r.Reply.Enhanced != "2.0.0" {
		t.Errorf("record %+v", r)
	}
	if r.Size != int64(len(letterText)) || r.Listener != "test" || r.Err != "" || r.Envelope.Helo != "client.example" || len(r.Envelope.Rcpts) != 1 {
		t.Errorf("record %+v", r)
	}
	if r.Delivery <= 0 || r.Delivery > r.Total {
		t.Errorf("%v of %v for the MTA", r.Delivery, r.Total)
	}
}

func TestSeveralMessagesOneConnection(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	for range 3 {
		if got := k.send(letterText); got != accepted {
			t.Fatalf("reply %q", got)
		}
	}
	if n := d.mta.connections(); n != 1 {
		t.Errorf("%d connections to the MTA for one client", n)
	}
	for _, c := range d.mta.heard() {
		if c == "RSET" {
			t.Error("RSET after a finished message")
		}
	}
}

func TestVerdicts(t *testing.T) {
	refuse := filter.Reply{Code: 550, Enhanced: "5.7.26", Text: "sender.example does not authenticate\nsee https://help.example"}
	later := filter.Reply{Code: 451, Enhanced: "4.7.0", Text: "later"}
	for name, c := range map[string]struct {
		verdict filter.Verdict
		reply   string
		outcome filter.Outcome
		held    int
	}{
		"accept":           {filter.Verdict{Action: filter.Accept}, accepted, filter.Delivered, 1},
		"tag":              {filter.Verdict{Action: filter.Tag}, accepted, filter.Delivered, 1},
		"quarantine":       {filter.Verdict{Action: filter.Quarantine}, accepted, filter.Delivered, 1},
		"reject":           {filter.Verdict{Action: filter.Reject, Reply: refuse}, "550-5.7.26 sender.example does not authenticate|550 5.7.26 see https://help.example", filter.Rejected, 0},
		"reject in shadow": {filter.Verdict{Action: filter.Reject, Reply: refuse, Shadow: true}, accepted, filter.Delivered, 1},
		"defer":            {filter.Verdict{Action: filter.Defer, Reply: later}, "451 4.7.0 later", filter.Deferred, 0},
		"zero":             {filter.Verdict{}, "451 4.7.0 message cannot be judged now, try again later (id)", filter.Deferred, 0},
		"unknown action":   {filter.Verdict{Action: 99}, "451 4.7.0 ", filter.Deferred, 0},
		"reject with 250":  {filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 250, Text: "fine"}}, "550 5.7.1 message refused by policy (id)", filter.Rejected, 0},
		"reject with 451":  {filter.Verdict{Action: filter.Reject, Reply: later}, "550 5.7.1 ", filter.Rejected, 0},
		"reply injection":  {filter.Verdict{Action: filter.Reject, Reply: filter.Reply{Code: 550, Enhanced: "5.7.1\r\n250 ok", Text: "no\r\n250 ok"}}, "550-5.7.0 no?|550 5.7.0 250 ok", filter.Rejected, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, func(s *Server) { s.NewID = func() string { return "id" } })
			d.judge(func(*mail.Message) filter.Verdict { return c.verdict })
			k := d.dial().ready()
			if got := k.send(letterText); !strings.HasPrefix(got, c.reply) {
				t.Errorf("reply %q, want %q", got, c.reply)
			}
			if r := d.record(1); r.Outcome != c.outcome || !r.Judged {
				t.Errorf("outcome %s", r.Outcome)
			}
			if n := len(d.mta.got()); n != c.held {
				t.Errorf("the MTA holds %d messages", n)
			}
			heard := d.mta.heard()
			if c.held == 0 && heard[len(heard)-1] != "RSET" {
				t.Errorf("no RSET: %q", heard)
			}
			k.say("NOOP", "250")
		})
	}
}

// Invariant: every octet but dropped and prepended fields arrives as it came.
func TestEditKeepsEveryOtherOctet(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Spool.Memory = 1024 })
	d.judge(func(m *mail.Message) filter.Verdict {
		var drop []int
		for i, f := range m.Header.Fields {
			if strings.EqualFold(f.Name, "drop") {
				drop = append(drop, i)
			}
		}
		return filter.Verdict{Action: filter.Tag, Edit: filter.Edit{Drop: drop, Prepend: []string{"A-R: one;\r\n two\r\n", "X-Second: 2\r\n"}}}
	})
	body := strings.Repeat(".\r\n..\r\n...x\r\nplain \t\r\n\xff\x80\r\n\r\n", 3000) + ".dot last\r\n"
	text := "From: a@b\r\nDrop: me\r\n folded\r\ndrop : too\r\njunk without colon\r\nKeep: \xe3\x81\x82\r\nDROP:\r\nlast: x\r\n\r\n" + body
	kept := "From: a@b\r\njunk without colon\r\nKeep: \xe3\x81\x82\r\nlast: x\r\n\r\n" + body
	k := d.dial().ready()
	if got := k.send(strings.ReplaceAll(text, "\r\n.", "\r\n..")); got != accepted {
		t.Fatalf("reply %q", got)
	}
	d.mu.Lock()
	seen := d.seen[0]
	d.mu.Unlock()
	if seen != text {
		t.Error("Check did not see the octets that came")
	}
	data := d.mta.got()[0].data
	top, rest, _ := strings.Cut(data, "From: a@b")
	if "From: a@b"+rest != kept {
		t.Errorf("what arrived differs: %d octets, want %d: %.200q", len(rest)+9, len(kept), rest)
	}
	// AR-07: our results above our Received.
	if !strings.HasPrefix(top, "A-R: one;\r\n two\r\nX-Second: 2\r\nReceived: from ") || strings.Count(top, "Received:") != 1 {
		t.Errorf("top %q", top)
	}
}

// What the core must not hand us: fields that are more or less than one field.
func TestBadEditIsOurTrouble(t *testing.T) {
	for name, e := range map[string]filter.Edit{
		"two fields":    {Prepend: []string{"A: 1\r\nB: 2\r\n"}},
		"body":          {Prepend: []string{"A: 1\r\n\r\n"}},
		"no line end":   {Prepend: []string{"A: 1"}},
		"bare LF":       {Prepend: []string{"A: 1\n B: 2\r\n"}},
		"no name":       {Prepend: []string{": 1\r\n"}},
		"no such field": {Drop: []int{7}},
		"negative":      {Drop: []int{-1}},
		"twice":         {Drop: []int{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			d.judge(func(*mail.Message) filter.Verdict { return filter.Verdict{Action: filter.Accept, Edit: e} })
			if got := d.dial().ready().send(letterText); !strings.HasPrefix(got, "451 4.3.0 ") {
				t.Errorf("reply %q", got)
			}
			if r := d.record(1); r.Outcome != filter.Failed || r.Err == "" || len(d.mta.got()) != 0 {
				t.Errorf("record %+v", r)
			}
		})
	}
}

// Invariant: a panic is a 451 and a counter, never an accept.
func TestPanics(t *testing.T) {
	d := newDoor(t)
	d.judge(func(*mail.Message) filter.Verdict { panic("boom") })
	k := d.dial().ready()
	if got := k.send(letterText); got != "451 4.3.0 trouble of ours, try again later" {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.Failed || r.Judged || d.panics != 1 {
		t.Errorf("record %+v, %d panics", r, d.panics)
	}
	d.judge(func(*mail.Message) filter.Verdict { return filter.Verdict{Action: filter.Accept} })
	if got := k.send(letterText); got != accepted {
		t.Errorf("the connection is of no use afterwards: %q", got)
	}
}

func TestPanicsElsewhere(t *testing.T) {
	boom := func() { panic("boom") }
	for name, change := range map[string]func(*Server){
		"id":     func(s *Server) { s.NewID = func() string { boom(); return "" } },
		"events": func(s *Server) { s.Events.Upstream = func(Trouble) { boom() } },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, change)
			d.mta.do("MAIL", misdeed{close: true})
			k := d.dial().ready()
			k.say("MAIL FROM:<a@b.example>", "451 4.3.0 trouble of ours")
			k.say("QUIT", "221")
		})
	}
	t.Run("done", func(t *testing.T) {
		d := newDoor(t, func(s *Server) { s.Done = func(filter.Record) { boom() } })
		if got := d.dial().ready().send(letterText); got != accepted {
			t.Errorf("reply %q: what the MTA holds must not be sent again", got)
		}
	})
}
