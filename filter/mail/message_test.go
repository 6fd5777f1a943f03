package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadKeepsEveryByte(t *testing.T) {
	in := crlf("From: a@example.com", "", "..body", ".") + "\x00\r\xff\n"
	m := read(t, in, Options{})
	for range 2 {
		raw, err := io.ReadAll(m.Raw())
		if err != nil || string(raw) != in {
			t.Errorf("raw %q, %v", raw, err)
		}
		body, err := io.ReadAll(m.Body())
		if err != nil || string(body) != in[m.BodyOffset():] {
			t.Errorf("body %q, %v", body, err)
		}
	}
	if m.Size() != int64(len(in)) {
		t.Errorf("size %d", m.Size())
	}
}

// SM-02: a line end may be cut anywhere by the blocks in which bytes come.
func TestBareNewlineAcrossBlocks(t *testing.T) {
	for _, c := range []struct {
		in   string
		bare bool
	}{
		{"A: b\r\n\r\nx\r\ny\r\n", false},
		{"A: b\r\n\r\nx\r\ny\n", true},
		{"A: b\r\n\r\nx\r\ny\r", true},
		{"A: b\r\n\r\nx\ny\r\n", true},
		{"A: b\r\n\r\nx\ry\r\n", true},
		{"A: b\r\n\r\n\n.\n", true},
		{"A: b\r\n\r\n\r.\r\n", true},
		{"A: b\r\n\r\nx\r\r\n\r\n", true},
		{"A: b\r\n\r\nx\r\n\n\r", true},
	} {
		for cut := range len(c.in) {
			r := io.MultiReader(strings.NewReader(c.in[:cut]), strings.NewReader(c.in[cut:]))
			m, err := Read(Envelope{}, r, Options{})
			if err != nil || m.Has(BareNewline) != c.bare {
				t.Errorf("%q cut at %d: %v, %v", c.in, cut, m.Defects, err)
			}
		}
	}
}

// reader tells how much of it was read when the header was whole.
type countingReader struct {
	io.Reader
	n int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

func TestOnHeader(t *testing.T) {
	header := crlf("From: a@example.com", "Subject: x")
	in := header + "\r\n" + strings.Repeat("body\r\n", 100_000)
	r := &countingReader{Reader: strings.NewReader(in)}
	calls := 0
	var got Header
	m, err := Read(Envelope{}, r, Options{OnHeader: func(h Header) {
		calls++
		got = h
		if r.n > 64<<10 {
			t.Errorf("the header was whole after %d bytes", r.n)
		}
	}})
	if err != nil || calls != 1 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if string(got.Raw) != header || len(got.Fields) != 2 || got.Author().Domain != "example.com" {
		t.Errorf("header %q", got.Raw)
	}
}

func TestOnHeaderWithoutBody(t *testing.T) {
	for _, in := range []string{"", "\r\n", "A: b\r\n", "A: b\r\n\r\n", "A: b"} {
		calls := 0
		read(t, in, Options{OnHeader: func(Header) { calls++ }})
		if calls != 1 {
			t.Errorf("%q: %d calls", in, calls)
		}
	}
}

// MS-09, SM-22: what is at the limit is taken, however it comes; one more is not.
func TestLimits(t *testing.T) {
	const rest = "\r\nbody\r\n"
	line := func(n int) string { return "X:" + strings.Repeat("x", n-4) + "\r\n" }
	field := func(lines, n int) string { return line(n) + strings.Repeat(" "+line(n-1), lines-1) }
	for _, c := range []struct {
		what    string
		in, big string
		o       Options
		limit   int64
	}{
		{"message size", line(50), line(51), Options{MaxSize: 50 + int64(len(rest))}, 50 + int64(len(rest))},
		{"header line", line(100 << 10), line(100<<10 + 1), Options{}, 100 << 10},
		{"header line", line(50), line(51), Options{Header: HeaderLimits{Line: 50}}, 50},
		{"header line", line(50) + " " + line(49), line(50) + " " + line(50), Options{Header: HeaderLimits{Line: 50}}, 50},
		{"header field", field(4, 64<<10), field(4, 64<<10) + " \r\n", Options{}, 256 << 10},
		{"header field", field(5, 10) + field(5, 10), field(5, 10) + field(5, 10) + " \r\n", Options{Header: HeaderLimits{Field: 50}}, 50},
		{"header size", strings.Repeat(line(1<<16), 16), strings.Repeat(line(1<<16), 16) + "X:\r\n", Options{}, 1 << 20},
		{"header size", strings.Repeat(line(10), 5), strings.Repeat(line(10), 5) + "X:\r\n", Options{Header: HeaderLimits{Block: 50}}, 50},
		{"header fields", strings.Repeat("X:\r\n", 1000), strings.Repeat("X:\r\n", 1001), Options{}, 1000},
		{"header fields", strings.Repeat("X:\r\n y\r\n", 5), strings.Repeat("no field\r\n", 6), Options{Header: HeaderLimits{Fields: 5}}, 5},
		{"header fields", " first\r\n" + strings.Repeat("X:\r\n", 4), " first\r\n" + strings.Repeat("X:\r\n", 5), Options{Header: HeaderLimits{Fields: 5}}, 5},
	} {
		for name, through := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "late EOF": iotest.DataErrReader,
		} {
			t.Run(fmt.Sprint(c.what, c.limit, name), func(t *testing.T) {
				m, err := Read(Envelope{}, through(strings.NewReader(c.in+rest)), c.o)
				if err != nil || m.Size() != int64(len(c.in+rest)) {
					t.Errorf("at the limit: %v", err)
				}
				_, err = Read(Envelope{}, through(strings.NewReader(c.big+rest)), c.o)
				var limit *LimitError
				if !errors.As(err, &limit) || limit.What != c.what || limit.Limit != c.limit || limit.Header != (c.what != "message size") {
					t.Errorf("above the limit: %v", err)
				}
				// The end of the message is as good as an empty line.
				if _, err := Read(Envelope{}, through(strings.NewReader(c.in)), c.o); err != nil {
					t.Errorf("at the limit without a body: %v", err)
				}
			})
		}
	}
}

func TestLimitsOfAnUnfinishedLine(t *testing.T) {
	o := Options{Header: HeaderLimits{Line: 10, Field: 20, Block: 100, Fields: 3}}
	for in, ok := range map[string]bool{
		"A:\r\nB:\r\nC:\r\nD": false, "A:\r\nB:\r\nC:\r\n D": true,
		"A:456789012": false, "A:4567890": true, "A:4567890\r": true,
		"A:\r\n 345678\r\n 3456789": false, "A:\r\n 345678\r\nB345678": true,
	} {
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			if _, err := Read(Envelope{}, r, o); (err == nil) != ok {
				t.Errorf("%q: %v", in, err)
			}
		}
	}
}

func TestReadStopsAtALimit(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("X: "), zeroes{})
	r := &countingReader{Reader: endless}
	if _, err := Read(Envelope{}, r, Options{}); err == nil || r.n > 300<<10 {
		t.Errorf("%v after %d bytes", err, r.n)
	}
	r = &countingReader{Reader: io.MultiReader(strings.NewReader("\r\n"), zeroes{})}
	if _, err := Read(Envelope{}, r, Options{MaxSize: 1 << 20}); err == nil || r.n > 2<<20 {
		t.Errorf("%v after %d bytes", err, r.n)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestReaderFails(t *testing.T) {
	lost := errors.New("connection lost")
	for _, in := range []string{"", "From: a@", "A: b\r\n\r\nbody", "\r\n" + strings.Repeat("x", 1<<20)} {
		r := io.MultiReader(strings.NewReader(in), iotest.ErrReader(lost))
		m, err := Read(Envelope{}, r, Options{})
		if m != nil || !errors.Is(err, lost) || !strings.Contains(err.Error(), fmt.Sprintf("after %d bytes", len(in))) {
			t.Errorf("%d bytes: %v, %v", len(in), m, err)
		}
	}
	if _, err := Read(Envelope{}, iotest.ErrReader(nil), Options{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

func TestOnHeaderPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic was lost")
		}
	}()
	_, _ = Read(Envelope{}, strings.NewReader("A: b\r\n\r\n"), Options{OnHeader: func(Header) { panic("no") }})
}

func TestZeroMessage(t *testing.T) {
	var m Message
	b, err := io.ReadAll(m.Raw())
	if len(b) != 0 || err != nil || m.Size() != 0 || m.Close() != nil || m.Author().Status != AuthorNone {
		t.Errorf("%q, %v", b, err)
	}
}

// Memory grows with what comes: a block ahead, not a limit ahead.
func TestMemoryGrowsWithTheMessage(t *testing.T) {
	for _, n := range []int{0, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 23} {
		m := read(t, "\r\n"+strings.Repeat("x", n), Options{Memory: 1 << 30})
		held := 0
		for _, b := range m.spool.blocks {
			held += cap(b)
		}
		if held > 2*n+firstBlock {
			t.Errorf("%d bytes held for %d", held, n)
		}
		if len(m.spool.blocks) > 32 {
			t.Errorf("%d blocks for %d bytes", len(m.spool.blocks), n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, size := range []int{4 << 10, 40 << 10, 400 << 10, 25 << 20} {
		in := typicalHeader() + "\r\n"
		in += strings.Repeat(strings.Repeat("x", 76)+"\r\n", (size-len(in))/78)
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			dir := b.TempDir()
			for b.Loop() {
				m, err := Read(Envelope{}, strings.NewReader(in), Options{Directory: dir})
				if err != nil {
					b.Fatal(err)
				}
				m.Close()
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(typicalHeader()+"\r\nbody\r\n"), int64(100), uint8(3))
	f.Add([]byte("A: b\n\nx\r"), int64(-1), uint8(1))
	f.Add([]byte("A: b\r\n \r\n\x00\r\r\n\r\n\x00"), int64(5), uint8(2))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in []byte, memory int64, step uint8) {
		o := Options{Memory: min(memory, 1<<20), Directory: dir, Header: HeaderLimits{Line: 200, Field: 300, Block: 600, Fields: 20}}
		one, err1 := Read(Envelope{}, bytes.NewReader(in), o)
		two, err2 := Read(Envelope{}, &stepReader{in, int(step) + 1}, o)
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("whole: %v, in steps: %v", err1, err2)
		}
		if err1 != nil {
			return
		}
		defer one.Close()
		defer two.Close()
		for _, m := range []*Message{one, two} {
			checkMessage(t, m, in)
		}
		if fmt.Sprint(one.Defects, one.body, one.Header) != fmt.Sprint(two.Defects, two.body, two.Header) {
			t.Errorf("%v at %d, in steps %v at %d", one.Defects, one.body, two.Defects, two.body)
		}
		if one.Has(BareNewline) != hasBareNewline(in) {
			t.Errorf("bare newline: %v", one.Has(BareNewline))
		}
	})
}

func checkMessage(t *testing.T, m *Message, in []byte) {
	t.Helper()
	raw, err := io.ReadAll(m.Raw())
	if err != nil || !bytes.Equal(raw, in) {
		t.Errorf("raw %q, %v", raw, err)
	}
	var body bytes.Buffer
	if _, err := io.Copy(&body, m.Body()); err != nil || !bytes.Equal(body.Bytes(), in[m.BodyOffset():]) {
		t.Errorf("body %q, %v", body.Bytes(), err)
	}
	if !bytes.HasPrefix(in, m.Header.Raw) {
		t.Errorf("header %q", m.Header.Raw)
	}
	checkHeader(t, m.Header)
	checkAuthor(t, m.Author())
}

// hasBareNewline says it in the plainest way.
func hasBareNewline(b []byte) bool {
	b = bytes.ReplaceAll(b, []byte("\r\n"), nil)
	return bytes.ContainsAny(b, "\r\n")
}

type stepReader struct {
	left []byte
	step int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.left[:min(r.step, len(r.left))])
	r.left = r.left[n:]
	return n, nil
}
