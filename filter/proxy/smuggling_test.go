package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// endings are what one MTA or another has taken for the end of data (SM-01).
var endings = []string{
	"\n.\n", "\n.\r", "\r.\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\r\n.\n", "\r\n.\r\x00\n", "\n\n.\r\n", "\r\r.\r\n",
}

const smuggledMail = "MAIL FROM:<admin@sender.example>\r\nRCPT TO:<victim@rcpt.example>\r\nDATA\r\nFrom: admin@sender.example\r\n\r\nsmuggled\r\n"

// Toward an MTA that takes a bare CR or LF for a line end, never more than one
// message, whatever the core says; and in shadow too.
func TestSmuggling(t *testing.T) {
	for _, shadow := range []bool{false, true} {
		for _, seq := range endings {
			for _, how := range []string{"DATA", "BDAT", "TLS"} {
				t.Run(fmt.Sprintf("%v/%q/%s", shadow, seq, how), func(t *testing.T) {
					smuggle(t, seq, how, shadow)
				})
			}
		}
	}
}

func smuggle(t *testing.T, seq, how string, shadow bool) {
	d := newDoor(t, withTLS(t))
	d.mta.lax = true
	d.judge(func(*mail.Message) filter.Verdict {
		return filter.Verdict{Action: filter.Accept, Shadow: shadow}
	})
	k := d.dial().ready()
	if how == "TLS" {
		k.secure().say("EHLO client.example", "250")
	}
	text := letterText + "more" + seq + smuggledMail
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	if how == "BDAT" {
		k.raw("BDAT " + strconv.Itoa(len(text)) + " LAST\r\n" + text)
	} else {
		k.say("DATA", "354")
		k.raw(text + ".\r\n")
	}
	reply := k.hear()
	k.raw("QUIT\r\n")
	for more := k.hear(); more != ""; more = k.hear() {
		if strings.HasPrefix(more, "250") {
			t.Errorf("a second message was accepted: %q", more)
		}
	}
	letters := d.mta.got()
	for _, l := range letters {
		if strings.Contains(l.from, "admin") {
			t.Errorf("smuggled: %+v", l)
		}
	}
	if returnAfterDot(text) && how != "BDAT" { // the library loses a CR: one message at the most
		if len(letters) > 1 {
			t.Errorf("%d messages", len(letters))
		}
		return
	}
	if clean := !bareNewlines(seq); clean && len(letters) != 1 || !clean && (len(letters) != 0 || !strings.HasPrefix(reply, "550 5.6.11 ")) {
		t.Errorf("%d messages, reply %q", len(letters), reply)
	}
}

func bareNewlines(s string) bool {
	s = strings.ReplaceAll(s, "\r\n", "")
	return strings.ContainsAny(s, "\r\n")
}

// strictContent is what the octets behind the 354 mean by RFC 5321 section
// 4.5.2; ok is false where they have no end.
func strictContent(b string) (content string, ok bool) {
	var out strings.Builder
	start := true
	for i := 0; i < len(b); i++ {
		if start && strings.HasPrefix(b[i:], ".\r\n") {
			return out.String(), true
		}
		if start && b[i] == '.' {
			start = false
			continue
		}
		out.WriteByte(b[i])
		start = b[i] == '\n' && i > 0 && b[i-1] == '\r'
	}
	return "", false
}

// Random streams of CR, LF, dots and letters through the library and our reader
// give what RFC 5321 says they mean.
func TestEndOfDataAgainstTheRule(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	tried := 0
	for range 1500 {
		b := make([]byte, 1+rnd.IntN(40))
		for i := range b {
			b[i] = "\r\r\n\n..x"[rnd.IntN(7)]
		}
		stream := "x\r\n" + strings.ReplaceAll(string(b), "x\n", "x\r\n") + "\r\n.\r\n"
		if returnAfterDot(stream) {
			continue // a named limit
		}
		want, _ := strictContent(stream)
		if got := throughLibrary(t, stream); got != want {
			t.Fatalf("%q gives %q, want %q", stream, got, want)
		}
		tried++
	}
	if tried < 500 {
		t.Errorf("only %d streams", tried)
	}
}

// returnAfterDot: a line that begins with ". CR" and does not end there.
func returnAfterDot(s string) bool {
	for rest := s; ; {
		i := strings.Index(rest, "\r\n.\r")
		if i < 0 {
			return false
		}
		rest = rest[i+4:]
		if !strings.HasPrefix(rest, "\n") {
			return true
		}
	}
}

func throughLibrary(t *testing.T, stream string) string {
	t.Helper()
	content := make(chan string, 1)
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		guard := c.Conn().(*conn)
		return bareSession{func(r io.Reader) error {
			b, err := io.ReadAll(&lineReader{r: r, ended: guard.hangUp})
			if err != nil {
				b = []byte("error: " + err.Error())
			}
			content <- string(b)
			return nil
		}}, nil
	}))
	srv.MaxLineLength = lineMax
	srv.ErrorLog = libraryLog{slog.New(slog.DiscardHandler)}
	ours, theirs := net.Pipe()
	defer ours.Close()
	srv.Serve(&single{conn: newConn(theirs, newGate("test", Listener{}, time.Now))})
	defer srv.Shutdown(context.Background())
	go io.Copy(io.Discard, ours)
	go io.WriteString(ours, "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"+stream)
	got := <-content
	ours.Close()
	return got
}

// The stuffer and the rule are each other's inverse, however the octets come.
func FuzzStuffing(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n..\r\n.x\r\n"), 3)
	f.Add([]byte("no end"), 1)
	f.Add([]byte("x\ry\r\n"), 1)
	f.Add([]byte("x\r\n\r"), 1)
	f.Add([]byte("bare\n.\n"), 2)
	f.Add([]byte(""), 1)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var out bytes.Buffer
		w := &stuffer{w: bufio.NewWriter(&out)}
		var err error
		for rest := text; len(rest) > 0 && err == nil; {
			n := min(max(1, step%7), len(rest))
			_, err = w.Write(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = w.end()
		}
		if bare := bareNewlines(string(text)); bare != (err != nil) {
			t.Fatalf("error %v for %q", err, text)
		}
		if err != nil {
			return
		}
		want := string(text)
		if len(want) > 0 && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if got, ok := strictContent(out.String()); !ok || got != want {
			t.Fatalf("%q was sent as %q", text, out.String())
		}
	})
}
