package proxy

import (
	"bufio"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekimori/filter"
)

// RFC 5321 section 4.1.1.10: QUIT ends the conversation. What came in one block
// with it is not looked at: no message goes on, and no bug is met.
func TestNothingBehindQUIT(t *testing.T) {
	const start = "MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\n"
	for _, behind := range []string{
		start + "DATA\r\n" + letterText + ".\r\n",
		"EHLO again.example\r\n" + start + "DATA\r\n" + letterText + ".\r\n",
		"DATA\r\n" + letterText + ".\r\n",
		"BDAT 4 LAST\r\nA: b",
		"STARTTLS\r\n",
	} {
		var log warnings
		d := newDoor(t, withTLS(t), func(s *Server) { s.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		k := d.dial().ready()
		k.raw(start + "QUIT\r\n" + behind)
		k.want("250", "MAIL")
		k.want("250", "RCPT")
		k.want("221", "QUIT")
		k.over()
		eventually(t, func() bool { return len(d.server.open()) == 0 })
		d.mu.Lock()
		if len(d.records) > 0 || len(d.mta.got()) > 0 || log.count.Load() > 0 {
			t.Errorf("%q behind QUIT: %+v, %d warnings", behind, d.records, log.count.Load())
		}
		d.mu.Unlock()
	}
}

// warnings counts what is written to a log.
type warnings struct{ count atomic.Int32 }

func (w *warnings) Write(p []byte) (int, error) { w.count.Add(1); return len(p), nil }

// TLS 1.2 gives the last octets and its end in one: a message that is whole is taken,
// by DATA and in chunks, though the client waits for no reply.
func TestMessageThenEndOfTLS(t *testing.T) {
	chunk := "BDAT 42 LAST\r\nFrom: a@sender.example\r\n\r\nthe last chunk\r\n"
	for _, message := range []string{letterText + ".\r\n", chunk} {
		d := newDoor(t, withTLS(t))
		k := d.dial().ready()
		both := &held{Conn: k.c}
		k.say("STARTTLS", "220")
		c := tls.Client(both, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		k.c, k.r = c, bufio.NewReader(c)
		k.say("EHLO client.example", "250")
		k.say("MAIL FROM:<a@sender.example>", "250")
		k.say("RCPT TO:<b@rcpt.example>", "250")
		if message != chunk {
			k.say("DATA", "354")
		}
		both.hold = true
		k.raw(message)
		c.CloseWrite()
		both.Conn.Write(both.kept)
		if r := d.record(1); r.Outcome != filter.Delivered {
			t.Errorf("%.10q: %+v", message, r)
		}
	}
}

// held keeps back what is written, once hold is set.
type held struct {
	net.Conn
	hold bool
	kept []byte
}

func (h *held) SetWriteDeadline(time.Time) error { return nil } // CloseWrite ends writing by it

func (h *held) Write(p []byte) (int, error) {
	if !h.hold {
		return h.Conn.Write(p)
	}
	h.kept = append(h.kept, p...)
	return len(p), nil
}

// What was read too much is looked at once and copied once, and its room is let
// go when it is used up.
func TestManyCommandsInOneBlock(t *testing.T) {
	tk := &talk{Conn: &pipeConn{client: strings.NewReader(strings.Repeat("NOOP\r\n", 600) + "QU")}}
	p := make([]byte, 4096)
	room := 0
	for n := 0; ; n++ {
		i, err := tk.readLine(p)
		if err != nil {
			if n != 600 || tk.ahead != nil {
				t.Errorf("%d lines, then %v; %q is left", n, err, tk.ahead)
			}
			break
		}
		if string(p[:i]) != "NOOP\r\n" {
			t.Fatalf("line %q", p[:i])
		}
		if n == 0 {
			room = cap(tk.ahead)
		}
		if cap(tk.ahead) > room {
			t.Fatalf("at line %d it was copied anew", n)
		}
		room = cap(tk.ahead)
	}
}
