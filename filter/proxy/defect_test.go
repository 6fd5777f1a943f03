package proxy

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
)

// What go-smtp v0.25.1 does that a server on port 25 must not do, and that it
// does not get to do behind the guard. The tests named Limit hold what cannot
// be mended from outside: when one fails, upstream has mended it.

func quick(s *Server) {
	s.Limits.CommandTime = 150 * time.Millisecond
	s.Limits.DataIdle = 80 * time.Millisecond
	s.Limits.DataWindow = 100 * time.Millisecond
}

// After a timeout within a message its rest is not read as commands.
func TestBodyIsNeverCommands(t *testing.T) {
	smuggled := "RSET\r\nMAIL FROM:<ceo@bank.example>\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\nFrom: ceo@bank.example\r\n\r\nx\r\n.\r\n"
	for name, begin := range map[string]string{"DATA": "DATA\r\n", "BDAT": "BDAT 10000 LAST\r\n"} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, quick)
			k := d.dial().ready()
			k.say("MAIL FROM:<a@sender.example>", "250")
			k.say("RCPT TO:<b@rcpt.example>", "250")
			k.raw(begin + "Subject: slow\r\n\r\n")
			time.Sleep(200 * time.Millisecond)
			k.raw(smuggled)
			for reply := k.hear(); reply != ""; reply = k.hear() {
				if reply[0] == '2' {
					t.Errorf("%q after a timeout", reply)
				}
			}
			k.over()
			if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
				t.Errorf("record %+v", r)
			}
			if heard := strings.Join(d.mta.heard(), "|"); strings.Contains(heard, "ceo@") {
				t.Errorf("the MTA heard %q", heard)
			}
		})
	}
}

// BDAT LAST that the end of the connection cuts short is no message.
func TestChunkCutByTheEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT 1000 LAST\r\n" + letterText)
	k.c.(*net.TCPConn).CloseWrite()
	if got := k.hear(); strings.HasPrefix(got, "2") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
		t.Errorf("record %+v", r)
	}
}

func TestChunks(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	half := len(letterText) / 2
	for range 2 {
		k.say("MAIL FROM:<a@sender.example>", "250")
		k.say("RCPT TO:<b@rcpt.example>", "250")
		k.raw("BDAT 20\r\n" + letterText[:20])
		k.want("250", "BDAT")
		k.raw("BDAT " + strconv.Itoa(half-20) + "\r\n" + letterText[20:half])
		k.want("250", "BDAT")
		k.raw("BDAT " + strconv.Itoa(len(letterText)-half) + " LAST\r\n" + letterText[half:] + "NOOP\r\n")
		k.want(accepted, "BDAT LAST")
		k.want("250", "NOOP")
	}
	for _, l := range d.mta.got() {
		if !strings.HasSuffix(l.data, letterText) {
			t.Errorf("the MTA got %q", l.data)
		}
	}
	// No dots are unstuffed here, and the end needs no line end (SM-03, SM-04).
	dots := "A: b\r\n\r\n.\r\n..\r\n.x"
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT " + strconv.Itoa(len(dots)) + " LAST\r\n" + dots)
	k.want(accepted, "BDAT LAST")
	if got := d.mta.got()[2].data; !strings.HasSuffix(got, dots+"\r\n") {
		t.Errorf("the MTA got %q", got)
	}
}

// RSET between chunks gives the message up; the next one is another.
func TestResetBetweenChunks(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	for i := range 20 {
		k.say("MAIL FROM:<old@sender.example>", "250")
		k.say("RCPT TO:<old@rcpt.example>", "250")
		k.raw("BDAT 9\r\nold: text")
		k.want("250", "BDAT")
		k.say("RSET", "250")
		if r := d.record(i + 1); r.Outcome != filter.ClientLost {
			t.Fatalf("record %+v", r)
		}
	}
	if got := k.send(letterText); got != accepted {
		t.Fatalf("reply %q", got)
	}
	letters := d.mta.got()
	if len(letters) != 1 || strings.Contains(letters[0].data, "old") || letters[0].to[0] != "TO:<b@rcpt.example>" {
		t.Errorf("the MTA holds %+v", letters)
	}
}

// CR CR LF . CR LF is an end of data, and dots behind CR CR LF are stuffed.
func TestEndAfterTwoReturns(t *testing.T) {
	for name, c := range map[string]struct{ sent, content string }{
		"end":          {"A: b\r\n\r\ntext\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n"},
		"four":         {"A: b\r\n\r\ntext\r\r\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\r\r\n"},
		"stuffed":      {"A: b\r\n\r\ntext\r\r\n..\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n.\r\n"},
		"stuffed word": {"A: b\r\n\r\ntext\r\r\n..dot\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n.dot\r\n"},
		"odd":          {"A: b\r\n\r\ntext\r\r\r\n..\r\n.\r\n", "A: b\r\n\r\ntext\r\r\r\n.\r\n"},
		"dot return":   {"A: b\r\n\r\ntext\r\r\n.\r\r\n.\r\n", "A: b\r\n\r\ntext\r\r\n\r\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			k := d.dial().ready().envelope()
			k.raw(c.sent)
			k.want("550 5.6.11 ", "the end")
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.seen[0] != c.content {
				t.Errorf("Check saw %q, want %q", d.seen[0], c.content)
			}
		})
	}
}

// What follows such an end is not executed: where it began is not certain.
func TestNothingFollowsAnUnsureEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready().envelope()
	k.raw("A: b\r\n\r\ntext\r\r\n.\r\nx\r\n.\r\nMAIL FROM:<c@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n")
	k.want("550 5.6.11 ", "the end")
	for reply := k.hear(); reply != ""; reply = k.hear() {
		if reply[0] == '2' {
			t.Errorf("%q", reply)
		}
	}
	if n := len(d.mta.got()); n != 0 {
		t.Errorf("%d messages", n)
	}
}

// A quoted local part cannot end the path and begin a parameter.
func TestPathsAreQuotedAgain(t *testing.T) {
	for said, heard := range map[string]string{
		`<"root@internal> NOTIFY=NEVER"@ok.example>`: `<"root@internal> NOTIFY=NEVER"@ok.example>`,
		`<"a b"@d.example>`:                          `<"a b"@d.example>`,
		`<"\""@d.example>`:                           `<"\""@d.example>`,
		`<"a\\b"@d.example>`:                         `<"a\\b"@d.example>`,
		`<"plain"@d.example>`:                        `<plain@d.example>`,
		`<"a..b"@d.example>`:                         `<a..b@d.example>`,
		`<@x.example,@y.example:u@d.example>`:        `<u@d.example>`, // SM-09: the route is ignored
		`<u@[192.0.2.1]>`:                            `<u@[192.0.2.1]>`,
		`<u@[IPv6:2001:db8::1]>`:                     `<u@[IPv6:2001:db8::1]>`,
		`<o'neil+tag@d.example>`:                     `<o'neil+tag@d.example>`,
	} {
		t.Run(said, func(t *testing.T) {
			d := newDoor(t)
			k := d.dial().ready()
			k.say("MAIL FROM:"+said, "250")
			k.say("RCPT TO:"+said, "250")
			got := d.mta.heard()
			if got[1] != "MAIL FROM:"+heard || got[2] != "RCPT TO:"+heard {
				t.Errorf("the MTA heard %q", got[1:])
			}
		})
	}
}

func TestBadPaths(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Limits.Faults = 1000 })
	k := d.dial().ready()
	long := strings.Repeat("x", 300)
	for path, code := range map[string]string{
		"<a@b<c\"d>":               "501",
		"<a@b c>":                  "501",
		"<(x)a@b.example>":         "501",
		"<a@b..example>":           "501",
		"<a@[1.2.3]>":              "501",
		"<a@[x y]>":                "501",
		"<a@b;c>":                  "501",
		"<\"a\x01\"@d.example>":    "501",
		"<a\x00@d.example>":        "501",
		"<a@d\x7f.example>":        "501",
		"<" + long + "@d.example>": "501",
		"<a@" + long + ".example>": "501",
		"<\xff@d.example>":         "501",
		"<\u3042@d.example>":       "553 5.6.7", // SM-15
		"<a@b\u00fccher.example>":  "553 5.6.7",
	} {
		k.say("MAIL FROM:"+path, code)
		k.say("MAIL FROM:<>", "250") // SM-08
		k.say("RCPT TO:"+path, code)
		k.say("RSET", "250")
	}
	for _, heard := range d.mta.heard() {
		if strings.HasPrefix(heard, "RCPT") || strings.HasPrefix(heard, "MAIL") && heard != "MAIL FROM:<>" {
			t.Errorf("the MTA heard %q", heard)
		}
	}
}

// No text of ours but the one meant for clients ever reaches one.
func TestNothingInternalLeaks(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Spool.Memory, s.Spool.Directory = 1, "/nonexistent/secret" })
	k := d.dial().ready()
	if got := k.send(letterText + strings.Repeat("x\r\n", 100000)); got != "452 4.3.1 no space to hold the message, try again later" {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.Refused || !strings.Contains(r.Err, "secret") || r.Judged {
		t.Errorf("record %+v", r)
	}
	k.say("NOOP", "250")
}

// A panic in Logout would end the process.
func TestLogoutContainsPanics(t *testing.T) {
	d := newDoor(t, func(s *Server) { s.Events.Upstream = func(Trouble) { panic("boom") } })
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "250")
	d.mta.do("RSET", misdeed{close: true})
	k.c.Close()
	eventually(t, func() bool { d.mu.Lock(); defer d.mu.Unlock(); return d.panics == 1 })
}

// A steady sender is not cut off for being long, a slow one is.
func TestSpeed(t *testing.T) {
	d := newDoor(t, quick, func(s *Server) { s.Limits.DataRate = 500 })
	k := d.dial().ready().envelope()
	for range 12 {
		k.raw("Subject: " + strings.Repeat("x", 20) + "\r\n")
		time.Sleep(20 * time.Millisecond)
	}
	k.raw("\r\n.\r\n")
	k.want("250", "a steady message")
	k.envelope()
	for range 12 {
		k.c.Write([]byte("x"))
		time.Sleep(20 * time.Millisecond)
	}
	k.want("421 4.4.2 ", "a slow message")
	k.over()
}

// One octet now and then does not prolong a command.
func TestSlowCommand(t *testing.T) {
	d := newDoor(t, quick)
	k := d.dial().ready()
	go func() {
		for range 20 {
			k.c.Write([]byte("N"))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	// What is there of the command is taken for one, which comes to nothing.
	k.want("501 ", "a slow command")
	k.want("421 ", "a slow command")
	k.over()
}

// A command that the end of the connection cuts short is executed by the
// library; no message comes of it.
func TestCommandCutByTheEnd(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	k.raw("BDAT 9\r\nold: text")
	k.want("250", "BDAT")
	k.raw("BDAT 0 LAST")
	k.c.(*net.TCPConn).CloseWrite()
	if got := k.hear(); strings.HasPrefix(got, "2") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(1); r.Outcome != filter.ClientLost || len(d.mta.got()) != 0 {
		t.Errorf("record %+v", r)
	}
}

// Lines beyond the library's 2000 octets are real mail.
func TestLongLines(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	if got := k.send("Subject: x\r\n\r\n" + strings.Repeat("y", 500000) + "\r\n"); got != accepted {
		t.Errorf("reply %q", got)
	}
	if got := k.send("Subject: x\r\n\r\n" + strings.Repeat("y", 2<<20) + "\r\n"); !strings.HasPrefix(got, "554 5.6.0 a line") {
		t.Errorf("reply %q", got)
	}
	if r := d.record(2); r.Outcome != filter.Refused {
		t.Errorf("record %+v", r)
	}
}

func TestNestedMail(t *testing.T) {
	d := newDoor(t)
	k := d.dial().ready()
	k.say("MAIL FROM:<a@b.example>", "250")
	k.say("MAIL FROM:<c@d.example>", "503 5.5.1")
	k.say("RCPT TO:<a@b.example>", "250")
	k.say("MAIL FROM:<c@d.example>", "503 5.5.1")
	k.say("DATA", "354")
	k.raw(letterText + ".\r\n")
	k.want(accepted, ".")
	if l := d.mta.got()[0]; l.from != "FROM:<a@b.example>" {
		t.Errorf("sent as %q", l.from)
	}
}

// The HELO name is the latest one (SM-14), and HELO is not EHLO.
func TestHelo(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	k.want("220 mx.example", "connecting")
	k.say("HELO one.example", "250")
	k.send(letterText)
	k.say("EHLO two.example", "250")
	k.send(letterText)
	k.say("EHLO bad\x01name", "250")
	k.say("MAIL FROM:<a@b.example>", "501 5.5.4")
	for n, want := range []string{"Received: from one.example ([127.0.0.1])\r\n\tby mx.example (Sekimori) with SMTP id", "Received: from two.example ([127.0.0.1])\r\n\tby mx.example (Sekimori) with ESMTP id"} {
		if got := d.mta.got()[n].data; !strings.HasPrefix(got, want) {
			t.Errorf("message %d: %.100q", n, got)
		}
	}
	bad := d.dial()
	bad.want("220", "connecting")
	bad.say("EHLO \x01", "501 5.5.4")
	bad.say("AUTH PLAIN", "502")
}

// The library itself, without the guard: what the limits below are measured on.
func library(t *testing.T, data func(io.Reader) error) net.Conn {
	t.Helper()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return bareSession{data}, nil }))
	ours, theirs := net.Pipe()
	go srv.Serve(&single{conn: theirs})
	t.Cleanup(func() { ours.Close(); srv.Shutdown(context.Background()) })
	ours.SetDeadline(time.Now().Add(5 * time.Second))
	return ours
}

type bareSession struct{ data func(io.Reader) error }

func (bareSession) Reset()                               {}
func (bareSession) Logout() error                        { return nil }
func (bareSession) Mail(string, *smtp.MailOptions) error { return nil }
func (bareSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s bareSession) Data(r io.Reader) error             { return s.data(r) }

// Limit: of a line ".\rX" the library loses the CR.
func TestLimitReturnAfterDotIsLost(t *testing.T) {
	var got string
	var wg sync.WaitGroup
	wg.Add(1)
	c := library(t, func(r io.Reader) error {
		defer wg.Done()
		b, _ := io.ReadAll(r)
		got = string(b)
		return nil
	})
	go io.Copy(io.Discard, c)
	io.WriteString(c, "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n.\rX\r\n.\r\n")
	wg.Wait()
	if got != "X\r\n" {
		t.Errorf("upstream has mended it: %q", got)
	}
}

// Limits of the conversation, each a line of the README.
func TestLimitsOfTheLibrary(t *testing.T) {
	d := newDoor(t)
	k := d.dial()
	k.want("220", "connecting")
	// EHLO is answered with the client's name instead of ours.
	k.say("EHLO client.example", "250-Hello client.example|250-PIPELINING|250-8BITMIME|250-ENHANCEDSTATUSCODES|250-CHUNKING|")
	// The MTA's words of success at MAIL and RCPT are not passed on.
	k.say("MAIL FROM:<a@b.example>", "250 2.0.0 Roger")
	d.mta.do("RCPT", misdeed{say: "251 2.1.5 will forward\r\n"})
	k.say("RCPT TO:<a@b.example>", "250 2.0.0 I'll make sure")
	// RFC 5321 section 4.5.1 wants postmaster without a domain.
	k.say("RCPT TO:<postmaster>", "501")
	// An unknown parameter is 555 in RFC 5321 section 4.1.1.11.
	k.say("RCPT TO:<a@b.example> FOO=BAR", "500")
	k.say("VRFY a", "252")
	// A quoted @ cannot be told from two @ without quotes, which are wrong.
	k.say(`RCPT TO:<"a@b"@c.example>`, "501 5.1.3")
	k.say("RCPT TO:<a@b@c.example>", "501 5.1.3")
}
