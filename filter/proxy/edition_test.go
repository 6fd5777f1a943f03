package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"weak"

	"sekimori/filter/mail"
)

// block is what the proxy copies at a time, borders are what may go wrong at it.
const block = 32 << 10

var borders = []int{block - 1, block, block + 1}

// acrossBorder gives texts in which part lies at and around the end of a block,
// cut at each of its octets.
func acrossBorder(part string) []string {
	var all []string
	for at := block - len(part); at <= block+1; at++ {
		all = append(all, strings.Repeat("x", at)+part)
	}
	return all
}

// stuffed gives what a text is sent as, in blocks of a size.
func stuffed(text string, size int) (string, error) {
	var out bytes.Buffer
	w := &stuffer{w: bufio.NewWriterSize(&out, block)}
	for rest := text; len(rest) > 0; {
		n := min(size, len(rest))
		if _, err := io.WriteString(w, rest[:n]); err != nil {
			return out.String(), err
		}
		rest = rest[n:]
	}
	err := w.end()
	return out.String(), err
}

// RFC 5321 section 4.5.2: one dot more where a line begins with one, a line end
// only where there is none, wherever blocks end.
func TestStuffingAtBorders(t *testing.T) {
	next := strings.Repeat("y", block) // fills the block behind the border
	for _, size := range borders {
		for _, part := range []string{"\r\n.\r\n..x\r\n...\r\n", "\r\n.", "\r\n.\r\n", "x\r\n", "x"} {
			for _, text := range acrossBorder(part) {
				stuffedAs(t, text, size)
				stuffedAs(t, text+next, size)
			}
		}
	}
}

func stuffedAs(t *testing.T, text string, size int) {
	t.Helper()
	want := strings.ReplaceAll(text, "\r\n.", "\r\n..")
	if !strings.HasSuffix(text, "\r\n") {
		want += "\r\n"
	}
	if got, err := stuffed(text, size); err != nil || got != want+".\r\n" {
		t.Fatalf("blocks of %d: %q is sent as %q, %v", size, strings.Trim(text, "xy"), strings.Trim(got, "xy"), err)
	}
}

// Of a block in which anything is amiss nothing leaves, not even what is well.
func TestStufferLooksFirst(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		err  error
	}{
		"CR":         {"well\r\nx\ry\r\n", errBareNewline},
		"LF":         {"well\r\nx\ny\r\n", errBareNewline},
		"hidden dot": {"well\r\n\x00.\r\n", errHiddenDot},
		"far behind": {strings.Repeat("well\r\n", block) + "\n", errBareNewline},
	} {
		for _, before := range []string{"", "a\r\n", "a"} {
			var out bytes.Buffer
			blocks := bufio.NewWriterSize(&out, 16)
			w := &stuffer{w: blocks}
			io.WriteString(w, before)
			n, err := io.WriteString(w, c.text)
			blocks.Flush()
			if n != 0 || !errors.Is(err, c.err) || out.String() != before {
				t.Errorf("%s after %q: %d, %v, sent %.40q", name, before, n, err, out.String())
			}
		}
	}
}

// A field that is dropped goes as a whole and alone, and what is prepended stands
// before all else in the order given.
func TestEdition(t *testing.T) {
	const head, body = "A: 1\r\nB: 2\r\n folded\r\nC: 3\r\n", "\r\n.text\r\n"
	for _, c := range []struct {
		drop []int
		want string
	}{
		{nil, head}, {[]int{0}, "B: 2\r\n folded\r\nC: 3\r\n"}, {[]int{1}, "A: 1\r\nC: 3\r\n"},
		{[]int{2}, "A: 1\r\nB: 2\r\n folded\r\n"}, {[]int{0, 1}, "C: 3\r\n"}, {[]int{0, 1, 2}, ""},
	} {
		m, err := mail.Read(mail.Envelope{}, strings.NewReader(head+body), mail.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		var out strings.Builder
		e, err := newEdition(m, []string{"X: 1\r\n", "Y: 2\r\n"}, c.drop)
		if err == nil {
			err = e.write(&out)
		}
		if want := "X: 1\r\nY: 2\r\n" + c.want + body; err != nil || out.String() != want {
			t.Errorf("without %v: %q, want %q, %v", c.drop, out.String(), want, err)
		}
	}
}

// Writers are used for one client after another. A message that breaks off, its
// MTA lost or its writer gone wrong, leaves nothing to the next one's.
func TestBrokenEditionLeavesNothing(t *testing.T) {
	first, second := newMTA(t), newMTA(t)
	first.do("body", misdeed{reset: true})
	up := &Upstream{Hosts: []Host{{Address: first.l.Addr().String()}, {Address: second.l.Addr().String()}}, Hostname: "proxy.example"}
	secret := strings.Repeat("the first client's secret\r\n", 500)
	lost := func(w io.Writer) error {
		for {
			if _, err := io.WriteString(w, secret); err != nil {
				return err
			}
		}
	}
	torn := func(w io.Writer) error { io.WriteString(w, secret); return io.ErrUnexpectedEOF }
	for i := range 8 {
		write := lost
		if i%2 == 1 {
			write = torn
		}
		if _, err := sendOn(t, up.every()[0], write); err == nil {
			t.Fatal("a message broke off without an error")
		}
		own := fmt.Sprintf("Subject: %d\r\n\r\n.the second client's\r\n", i)
		r, err := sendOn(t, up.every()[1], func(w io.Writer) error { _, err := io.WriteString(w, own); return err })
		if err != nil || r.code != 250 {
			t.Fatalf("%+v, %v", r, err)
		}
		if got := second.got(); len(got) != i+1 || got[i].data != own {
			t.Fatalf("%d messages, the last one %.200q", len(got), got[len(got)-1].data)
		}
	}
	if n := len(first.got()); n != 0 {
		t.Errorf("%d parts were taken for the whole", n)
	}
}

func sendOn(t *testing.T, h *host, write func(io.Writer) error) (reply, error) {
	t.Helper()
	l, err := h.connect(t.Context(), introduction{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.drop()
	l.mail("a@b.example", nil)
	l.rcpt("a@b.example", nil)
	return l.data(write)
}

// What waits for the next message holds neither a connection nor a text.
func TestWritersWaitEmpty(t *testing.T) {
	up := &Upstream{}
	conn := &strings.Builder{}
	gone := weak.Make(conn)
	w := up.writer(conn)
	w.WriteString("a secret")
	w.Flush()
	w.WriteString("another")
	up.putBack(w)
	conn = nil
	runtime.GC()
	if gone.Value() != nil {
		t.Error("the connection stays reachable")
	}
	room := w.AvailableBuffer()
	if w.Buffered() != 0 || len(bytes.Trim(room[:cap(room)], "\x00")) != 0 {
		t.Errorf("%d octets wait: %q", w.Buffered(), bytes.Trim(room[:cap(room)], "\x00"))
	}
	runtime.KeepAlive(w)
}
