package main

import (
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter/history"
)

// moodySession is of an MTA that does after DATA what the recipient's name says.
type moodySession struct {
	conn *smtp.Conn
	to   string
}

func (s *moodySession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *moodySession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *moodySession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	switch name, _, _ := strings.Cut(s.to, "@"); name {
	case "full":
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "<" + s.to + "> is over quota"}
	case "gone":
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + s.to + "> is no user"}
	case "lost":
		return s.conn.Conn().Close()
	}
	return nil
}

func (s *moodySession) Reset()        { s.to = "" }
func (s *moodySession) Logout() error { return nil }

func startMoodyMTA(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &moodySession{conn: c}, nil }))
	s.ErrorLog = nobodysLog{}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// nobodysLog is for what the double says of connections it has closed itself.
type nobodysLog struct{}

func (nobodysLog) Printf(string, ...any) {}
func (nobodysLog) Println(...any)        {}

const agreeZone = serveZone + `
_dmarc.shop.example.   TXT "v=DMARC1; p=quarantine"
;fail _dmarc.unsure.example. TXT SERVFAIL
`

const agreePolicy = `history.path = %q
log.personal = "none"
policy.spf.fail = "tag"
policy.dmarc.temperror = "defer"
recipients.mixed = "strictest"
listener.max_errors = 100
` + twoTenants

// numbers are of messages, by what is said of them.
type numbers map[string]int

// judged counts one message by action and reason, and the same for its tenants.
func (c numbers) judged(action, reason, shadow string, tenants []string) {
	c[action+" "+reason]++
	if shadow != "" {
		c["would "+shadow+" "+reason]++
	}
	if len(tenants) == 0 {
		tenants = []string{"none"}
	}
	for _, name := range tenants {
		c["to "+name+" "+action]++
		if shadow != "" {
			c["to "+name+" would "+shadow+" "+reason]++
		}
	}
}

func measured(t *testing.T, d *daemon) numbers {
	t.Helper()
	all, err := readSamples([]byte(strings.TrimPrefix(d.get("/metrics"), "200 ") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := numbers{}
	for name, key := range map[string]func(l map[string]string) string{
		"messages_total":        func(l map[string]string) string { return l["action"] + " " + l["reason"] },
		"shadow_messages_total": func(l map[string]string) string { return "would " + l["action"] + " " + l["reason"] },
		"tenant_messages_total": func(l map[string]string) string { return "to " + l["tenant"] + " " + l["action"] },
		"tenant_shadow_messages_total": func(l map[string]string) string {
			return "to " + l["tenant"] + " would " + l["action"] + " " + l["reason"]
		},
		"outcomes_total": func(l map[string]string) string { return "outcome " + l["outcome"] },
	} {
		for _, s := range all["sekimori_"+name] {
			c[key(s.labels)] += int(s.value)
		}
	}
	maps.DeleteFunc(c, func(_ string, n int) bool { return n == 0 })
	return c
}

func written(t *testing.T, d *daemon) numbers {
	t.Helper()
	c := numbers{}
	for _, line := range logged(t, d.log.String(), "message") {
		c[fmt.Sprint("outcome ", line["sekimori.outcome"])]++
		action, judged := line["event.action"].(string)
		if !judged {
			continue
		}
		shadow, _ := line["sekimori.shadow"].(string)
		var tenants []string
		if list, ok := line["sekimori.tenant"].([]any); ok {
			for _, name := range list {
				tenants = append(tenants, name.(string))
			}
		}
		c.judged(action, line["event.reason"].(string), shadow, tenants)
	}
	return c
}

func kept(t *testing.T, d *daemon) numbers {
	t.Helper()
	store := d.service.common.history
	if err := store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err := store.Search(t.Context(), history.Query{From: time.Now().Add(-time.Hour), Limit: history.MaxRows})
	if err != nil {
		t.Fatal(err)
	}
	c := numbers{}
	for _, r := range rows {
		c["outcome "+string(r.Outcome)]++
		if r.Action != "" {
			c.judged(r.Action, string(r.Reason), r.Shadow, r.Tenants)
		}
	}
	return c
}

// leave goes away in the middle of a message.
func (d *daemon) leave(t *testing.T) {
	t.Helper()
	s, err := dialSender(d.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"MAIL FROM:<zqleaver@example.com>", "RCPT TO:<zqleft@example.net>", "DATA"} {
		if reply := s.command("%s", line); reply[0] != '2' && reply[0] != '3' {
			t.Fatalf("%s: %q", line, reply)
		}
	}
	if _, err := io.WriteString(s.conn, "Subject: half\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s.conn.Close()
}

// deliver is send for several recipients.
func (d *daemon) deliver(t *testing.T, from string, rcpts []string, data string) string {
	t.Helper()
	s, err := dialSender(d.addr, netipNone, "mx.example.com")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	return s.send(from, rcpts, []byte(data))
}

// What was done to one load of mail is told three times: by the metrics, by the log
// and by the history. The three count the same: by action and reason, by what would
// have been done without shadow mode, by tenant, and by outcome.
func TestNumbersAgree(t *testing.T) {
	d := startDaemonOn(t, agreeZone, startMoodyMTA(t), fmt.Sprintf(agreePolicy, filepath.Join(t.TempDir(), "h.db")))
	waitFor(t, "ready", func() bool { return d.get("/readyz") == "200 ready" })
	letters := []struct{ from, data string }{
		{"a@example.com", "From: a@example.com\r\n\r\nhonest\r\n"},
		{"x@attacker.example", "From: ceo@bank.example\r\n\r\npay\r\n"},
		{"x@attacker.example", "From: ceo@shop.example\r\n\r\nto be put aside\r\n"},
		{"x@attacker.example", "From: x@attacker.example\r\n\r\nno DMARC, to be tagged\r\n"},
		{"x@attacker.example", "From: x@unsure.example\r\n\r\nthe DNS does not say\r\n"},
		{"a@example.com", "Subject: nobody\r\n\r\nno author\r\n"},
		{"a@example.com", "From: ceo@bank.example\r\n\r\na list, perhaps\r\n"},
	}
	to := [][]string{{"user@example.net"}, {"full@example.net"}, {"gone@example.net"}, {"lost@example.net"},
		{"a@strict.example"}, {"b@watching.example"}, {"lost@watching.example"}, {"a@strict.example", "b@watching.example"}}
	for _, rcpts := range to {
		for _, l := range letters {
			d.deliver(t, l.from, rcpts, l.data)
		}
	}
	d.leave(t)
	waitFor(t, "the one who left is counted", func() bool { return measured(t, d)["outcome client_lost"] == 1 })
	counted, written, kept := measured(t, d), written(t, d), kept(t, d)
	if !maps.Equal(counted, written) || !maps.Equal(counted, kept) {
		t.Errorf("metrics %v\nlog     %v\nhistory %v", counted, written, kept)
	}
	total := 0
	for key, n := range counted {
		if strings.HasPrefix(key, "outcome ") {
			total += n
		}
	}
	if total != len(to)*len(letters)+1 {
		t.Errorf("%d messages: %v", total, counted)
	}
	for _, key := range []string{"outcome delivered", "outcome rejected", "outcome deferred", "outcome upstream_refused", "outcome upstream_failed",
		"accept dmarc_pass", "reject dmarc_fail_reject", "quarantine dmarc_fail_quarantine", "tag spf_fail", "defer dns_temperror", "reject author_missing",
		"would reject dmarc_fail_reject", "would defer dns_temperror", "to none defer", "to strict reject", "to watching accept", "to watching would reject dmarc_fail_reject"} {
		if counted[key] == 0 {
			t.Errorf("the load has no %q: %v", key, counted)
		}
	}
}
