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
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
	"sekimori/filter/mail"
	"sekimori/testdata"
)

// endings are what one MTA or another has taken for the end of data (SM-01).
var endings = []string{
	"\n.\n", "\n.\r", "\r.\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\r\n.\n", "\r\n.\r\x00\n", "\n\n.\r\n", "\r\r.\r\n",
}

const smuggledMail = "MAIL FROM:<admin@sender.example>\r\nRCPT TO:<victim@rcpt.example>\r\nDATA\r\nFrom: admin@sender.example\r\n\r\nsmuggled\r\n"

// Toward an MTA that takes a bare CR or LF for a line end and drops NULs, never
// more than one message, and that one whole; whatever the core says, in shadow
// too.
func TestSmuggling(t *testing.T) {
	shapes, err := testdata.LoadShapes(os.DirFS("../../testdata"), "smuggling/shapes.txt")
	if err != nil {
		t.Fatal(err)
	}
	ways := []string{"DATA", "BDAT", "DATA octet by octet", "DATA in TLS", "BDAT in TLS", "BDAT in two"}
	cert := withTLS(t)
	for _, normalize := range []bool{false, true} {
		for _, shadow := range []bool{false, true} {
			d := newDoor(t, cert, normalizing(normalize))
			d.mta.lax = true
			d.judge(func(*mail.Message) filter.Verdict {
				return filter.Verdict{Action: filter.Accept, Shadow: shadow}
			})
			for _, s := range shapes {
				for _, how := range ways {
					if shadow && how != "DATA" && how != "BDAT" {
						continue
					}
					t.Run(fmt.Sprintf("normalize=%v/shadow=%v/%s/%s", normalize, shadow, s.Name, how), func(t *testing.T) {
						d.smuggle(t, s, how, normalize)
					})
				}
			}
		}
	}
}

// normalizing is a listener as the server has it for all, which normalizes or not.
func normalizing(on bool) func(*Server) {
	return func(s *Server) {
		s.Listeners = map[string]Listener{"test": {TLS: s.TLS, Limits: s.Limits, Normalize: on}}
	}
}

func (d *door) smuggle(t *testing.T, s testdata.Shape, how string, normalize bool) {
	d.mta.forget()
	k := d.dial().ready()
	k.t = t
	defer k.c.Close()
	if strings.Contains(how, "TLS") {
		k.secure().say("EHLO client.example", "250")
	}
	outer, _, _ := strings.Cut(s.Octets, "{inner}")
	text := letterText + strings.Replace(s.Octets, "{inner}", smuggledMail, 1)
	k.say("MAIL FROM:<a@sender.example>", "250")
	k.say("RCPT TO:<b@rcpt.example>", "250")
	chunked := strings.HasPrefix(how, "BDAT")
	switch how {
	case "BDAT", "BDAT in TLS":
		k.raw("BDAT " + strconv.Itoa(len(text)) + " LAST\r\n" + text)
	case "BDAT in two": // the border is in the middle of the sequence
		n := len(letterText+outer)/2*2 - 2
		k.raw("BDAT " + strconv.Itoa(n) + "\r\n" + text[:n])
		k.want("250", "BDAT")
		k.raw("BDAT " + strconv.Itoa(len(text)-n) + " LAST\r\n" + text[n:])
	case "DATA octet by octet":
		k.say("DATA", "354")
		for _, b := range []byte(text + ".\r\n") {
			k.raw(string([]byte{b}))
		}
	default:
		k.say("DATA", "354")
		k.raw(text + ".\r\n")
	}
	reply := k.hear()
	k.raw("QUIT\r\n")
	code, mark := s.Want(chunked, normalize)
	for more := k.hear(); more != ""; more = k.hear() {
		if strings.HasPrefix(more, "2") && (mark == "=" || !strings.HasPrefix(more, "221")) {
			t.Errorf("something more was agreed to: %q", more)
		}
	}
	if !chunked {
		text, _ = strictContent(text + ".\r\n")
	}
	if ends := text == letterText+outer || text+".\r\n" == letterText+outer; ends != (mark == "=") && code == "250" {
		t.Errorf("by the rule it is %q", text)
	}
	d.mta.smuggled(t, code, mark, reply, text)
}

// smuggled looks at what came of it.
func (m *mta) smuggled(t *testing.T, code, mark, reply, text string) {
	t.Helper()
	letters := m.got()
	if n := len(letters); n > 1 {
		t.Errorf("%d messages: %+v", n, letters)
	}
	if code == "550" {
		if len(letters) != 0 || !strings.HasPrefix(reply, "550 5.6.11 ") {
			t.Errorf("%d messages, reply %q", len(letters), reply)
		}
		return
	}
	if len(letters) != 1 || reply != accepted || letters[0].from != "FROM:<a@sender.example>" {
		t.Fatalf("%d messages, reply %q", len(letters), reply)
	}
	want := strings.ReplaceAll(normalized(text), "\x00", "") // as this MTA understands it
	if _, got, _ := strings.Cut(letters[0].data, "\r\nFrom: "); "From: "+got != want {
		t.Errorf("the MTA holds %q, want %q", got, want)
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
// give what RFC 5321 says they mean, and what follows them is commands again.
func TestEndOfDataAgainstTheRule(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1500 {
		b := make([]byte, 1+rnd.IntN(40))
		for i := range b {
			b[i] = "\r\r\n\n..x"[rnd.IntN(7)]
		}
		stream := "x\r\n" + string(b) + "\r\n.\r\n"
		want, _ := strictContent(stream)
		if got := throughLibrary(t, stream); got != want {
			t.Fatalf("%q gives %q, want %q", stream, got, want)
		}
	}
}

func throughLibrary(t *testing.T, stream string) string {
	t.Helper()
	content := make(chan string, 1)
	lib := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		return bareSession{func(io.Reader) error {
			b, err := io.ReadAll(c.Conn().(*talk).message())
			if err != nil {
				b = []byte("error: " + err.Error())
			}
			content <- string(b)
			return nil
		}}, nil
	}))
	lib.ErrorLog = libraryLog{slog.New(slog.DiscardHandler)}
	ours, theirs := net.Pipe()
	defer ours.Close()
	guard := newConn(theirs, newGate("test", Listener{}, time.Now))
	(&talk{Conn: guard, server: &Server{}, guard: guard, lib: lib}).serve()
	defer lib.Shutdown(context.Background())
	go io.Copy(io.Discard, ours)
	go io.WriteString(ours, "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"+stream)
	got := <-content
	ours.Close()
	return got
}

var hiddenDot = regexp.MustCompile(`(?:^|\r\n)\x00+\.`)

// The stuffer and the rule are each other's inverse, however the octets come.
func FuzzStuffing(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n..\r\n.x\r\n"), 3)
	f.Add([]byte("no end"), 1)
	f.Add([]byte("x\ry\r\n"), 1)
	f.Add([]byte("x\r\n\r"), 1)
	f.Add([]byte("bare\n.\n"), 2)
	f.Add([]byte(""), 1)
	f.Add([]byte("x\r\n\x00\x00.\r\n"), 1)
	f.Add([]byte("\x00\r\n.\x00.\r\nx\x00."), 2)
	for _, size := range borders {
		for _, text := range acrossBorder("\r\n.\r\n..x\r\n") {
			f.Add([]byte(text), size)
		}
		f.Add([]byte(strings.Repeat("x", size-1)+"\ry\r\n"), size)
		f.Add([]byte(strings.Repeat("x", size)+"\n.\r\n"), size)
		f.Add([]byte(strings.Repeat("x", size-2)+"\r\n\x00."), size+1)
	}
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var out bytes.Buffer
		w := &stuffer{w: bufio.NewWriter(&out)}
		var err error
		for rest := text; len(rest) > 0 && err == nil; {
			n := min(max(1, step%(64<<10)), len(rest))
			_, err = w.Write(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = w.end()
		}
		if refused := bareNewlines(string(text)) || hiddenDot.Match(text); refused != (err != nil) {
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
