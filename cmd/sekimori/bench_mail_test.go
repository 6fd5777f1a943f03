package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sekimori/config"
	"sekimori/filter/mail"
)

// The load is honest mail in full: every message passes every check, so that
// what is measured is the whole work.
func TestBenchMailPassesAllChecks(t *testing.T) {
	m, err := signedMail(0, "", []string{"user@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	zone, err := m.zone()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Hostname = "mx.example.net"
	judge, err := newFilter(cfg, zone)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[int]int{}
	for i, l := range m.letters {
		data := bytes.TrimSuffix(l.wire, []byte(".\r\n"))
		for _, size := range []int{4 << 10, 40 << 10, 400 << 10} {
			if len(data) > size-200 && len(data) < size+200 {
				sizes[size]++
			}
		}
		env := mail.Envelope{ID: "x", Client: netip.MustParseAddr("127.0.0.1"), Helo: benchHelo, MailFrom: l.from, Rcpts: l.rcpts, ESMTP: true}
		msg, err := mail.Read(env, bytes.NewReader(data), spoolOptions(cfg))
		if err != nil {
			t.Fatal(err)
		}
		v := judge.Check(t.Context(), msg)
		msg.Close()
		res := v.Results
		if v.Reason != "dmarc_pass" || res.SPF.MailFrom.Word != "pass" || res.SPF.Helo.Word != "pass" || len(res.DKIM) != 1 || res.DKIM[0].Word != "pass" {
			t.Errorf("message %d: %s %s: SPF %+v, DKIM %+v", i, v.Action, v.Reason, res.SPF, res.DKIM)
		}
	}
	if sizes[4<<10] != 16 || sizes[40<<10] != 3 || sizes[400<<10] != 1 {
		t.Errorf("sizes %v", sizes)
	}
}

func TestBenchMailOfOneSize(t *testing.T) {
	for size, n := range map[int]int{2000: 20, 9 << 20: 1} {
		m, err := signedMail(size, "me@example.org", nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.letters) != n {
			t.Errorf("%d: %d letters", size, len(m.letters))
		}
		if got := len(m.letters[0].wire); got < size-200 || got > size+200 || m.letters[0].from != "me@example.org" {
			t.Errorf("%d: %d bytes from %s", size, got, m.letters[0].from)
		}
	}
}

func TestCorpusMail(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.eml": "A: b\n\n.dot\n", "b.eml": "A: b\r\n\r\n\xff\r\n", "c.txt": "not mail"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := corpusMail(dir, "", []string{"x@example.net"})
	if err != nil || len(m.letters) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if got := string(m.letters[0].wire); got != "A: b\r\n\r\n..dot\r\n.\r\n" {
		t.Errorf("%q", got)
	}
	if l := m.letters[1]; l.parameters != " BODY=8BITMIME" || l.from != "news@s01.bench.example" {
		t.Errorf("%+v", l)
	}
	if _, err := m.zone(); err != nil {
		t.Error(err)
	}
	if _, err := corpusMail(t.TempDir(), "", nil); err == nil {
		t.Error("an empty directory is taken")
	}
}

func TestHistogram(t *testing.T) {
	h, random := &histogram{}, rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(random.ExpFloat64() * float64(20*time.Millisecond))
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, part := range []float64{0.01, .5, .9, .99, 1} {
		exact := all[int(part*float64(len(all)))-1]
		if got := h.quantile(part); got < exact-time.Microsecond || float64(got) > 1.016*float64(exact)+2000 {
			t.Errorf("%v: %s, exactly %s", part, got, exact)
		}
	}
	if h.longest != all[len(all)-1] || (&histogram{}).quantile(.5) != 0 {
		t.Errorf("longest %s of %s", h.longest, all[len(all)-1])
	}
}

// Every bucket ends where the next one begins; no duration is out of range.
func TestHistogramBuckets(t *testing.T) {
	h := &histogram{}
	for i := range h.counts {
		end := ceiling(i)
		if bucket(end-time.Microsecond) != i || i+1 < len(h.counts) && bucket(end) != i+1 {
			t.Fatalf("bucket %d ends at %s: %d, %d", i, end, bucket(end-time.Microsecond), bucket(end))
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, time.Hour, 1<<63 - 1} {
		h.add(d)
	}
	if h.quantile(1) != ceiling(len(h.counts)-1) {
		t.Errorf("%s", h.quantile(1))
	}
}

// The sink ends a message where RFC 5321 section 4.1.1.4 says, and nowhere else.
func TestSink(t *testing.T) {
	s, err := startSink()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	out, err := dialSender(s.listen.Addr().String(), netipNone, "mx.example.org")
	if err != nil {
		t.Fatal(err)
	}
	long := bytes.Repeat([]byte("x"), 4095) // the dot begins what is left of a line longer than the buffer
	for i, data := range []string{"A: b\r\n\r\n.\r\n..\r\n", "", "A: b\n.\n.\r.\r\n", "A: b\n.\r\nc", string(long) + "x.\r\nb", string(long) + "\r\n.b"} {
		if reply := out.send("", []string{"a@example.net"}, []byte(data)); !positive(reply) {
			t.Errorf("message %d: %s", i, reply)
		}
	}
	for _, word := range []string{"noop", "RSET", "HELO x"} {
		if reply := out.command("%s", word); !positive(reply) {
			t.Errorf("%s: %s", word, reply)
		}
	}
	if reply := out.command("VRFY x"); reply != "500 5.5.1 unknown command" {
		t.Error(reply)
	}
	if reply := out.command("QUIT"); reply != "221 2.0.0 Bye" {
		t.Error(reply)
	}
	if _, err := out.conn.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if n := s.messages.Load(); n != 6 {
		t.Errorf("%d messages", n)
	}
}
