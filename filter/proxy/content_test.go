package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// blocks gives octets in blocks of the sizes named, one after another.
type blocks struct {
	rest  []byte
	sizes []byte // 0 counts as 1; the last one goes on
	whole bool   // as large as they can be instead
	back  []byte // given back
}

func (b *blocks) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := 1
	if len(b.sizes) > 0 {
		n = max(1, int(b.sizes[0]))
		if len(b.sizes) > 1 {
			b.sizes = b.sizes[1:]
		}
	}
	if b.whole {
		n = len(p)
	}
	n = copy(p[:min(n, len(p))], b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *blocks) unread(p []byte) { b.back = bytes.Clone(p) }

// byBytes is what content must be, octet by octet: what a stream means by RFC
// 5321 section 4.5.2 and what of it follows the end.
func byBytes(stream []byte) (content, rest []byte, ended bool) {
	start := true
	for i := 0; i < len(stream); i++ {
		if start && bytes.HasPrefix(stream[i:], []byte(".\r\n")) {
			return content, stream[i+3:], true
		}
		if start && stream[i] == '.' {
			start = false
			continue
		}
		content = append(content, stream[i])
		start = stream[i] == '\n' && i > 0 && stream[i-1] == '\r'
	}
	return content, nil, false
}

func readContent(t *testing.T, stream, sizes []byte, room int) {
	t.Helper()
	from := &blocks{rest: stream, sizes: sizes, whole: len(sizes) == 0}
	c := &content{from: from}
	var got []byte
	p := make([]byte, room)
	var err error
	for err == nil {
		var n int
		n, err = c.Read(p)
		got = append(got, p[:n]...)
		if n == 0 && err == nil {
			t.Fatalf("%q in %v gives nothing", stream, sizes)
		}
	}
	want, rest, ended := byBytes(stream)
	if ended != (err == io.EOF) || !ended && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%q in %v: error %v", stream, sizes, err)
	}
	if !ended { // of what may still become the end nothing is given
		held := bytes.TrimSuffix(want, []byte("\r"))
		if !bytes.Equal(got, want) && !bytes.Equal(got, held) {
			t.Fatalf("%q in %v gives %q, want %q", stream, sizes, got, want)
		}
		return
	}
	if n := len(stream) - len(rest) - 3; c.unsure != (n > 2 && string(stream[n-3:n]) == "\r\r\n") {
		t.Fatalf("%q in %v: unsure is %v", stream, sizes, c.unsure)
	}
	if after := append(from.back, from.rest...); !bytes.Equal(got, want) || !bytes.Equal(after, rest) {
		t.Fatalf("%q in %v gives %q and %q, want %q and %q", stream, sizes, got, after, want, rest)
	}
}

var streams = []string{
	".\r\n", "\r\n.\r\n", "..\r\n.\r\n", ".\r\r\n.\r\nx", ".\rX\r\n.\r\n", "a\r\n.\r", "a\r\n.", "\r\r\n.\r\nNOOP\r\n",
	"a\n.\r\nb\r.\r\nc\r\n.\r\n.\r\n", "x\r\n.\r\r\n.\r\n", "x\r\n...\r\n.\r\n", "x\r\n.\n.\r\n\r\n.\r\nMAIL", "\r\n\r\n.\r\r\r\n.\r\n",
	".\r.\r\n.\r\n", "\r\n.\r\n.\r\n", "x\r\n..\r\n..\r\n.x\r\n.\r\n", "\x00.\r\n.\x00\r\n.\r\n",
}

// Every stream in two blocks, parted at each of its octets, and octet by octet.
func TestContentParted(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	all := append([]string{}, streams...)
	for range 2000 {
		b := make([]byte, rnd.IntN(30))
		for i := range b {
			b[i] = "\r\r\n\n..x"[rnd.IntN(7)]
		}
		all = append(all, string(b)+"\r\n.\r\nNOOP\r\n", strings.ReplaceAll(string(b), "\r", "\r\n"))
	}
	for _, s := range all {
		for at := range min(len(s), 200) {
			readContent(t, []byte(s), []byte{byte(at), 255}, 512)
		}
		readContent(t, []byte(s), []byte{1}, 512)
		readContent(t, []byte(s), []byte{255}, 1)
		readContent(t, []byte(s), []byte{255}, 3)
	}
}

// FuzzContent: whatever the octets, the blocks that they come in and the room
// that there is, it is what an octet by octet reading gives. No sizes: blocks are
// as large as the room.
func FuzzContent(f *testing.F) {
	for _, s := range streams {
		f.Add([]byte(s), []byte{3, 1, 2}, 7)
	}
	for _, size := range borders {
		for _, s := range acrossBorder("\r\n.\rx\r\n..\r\n.\r\nNOOP\r\n") {
			f.Add([]byte(s), []byte{}, size-1)
		}
	}
	f.Fuzz(func(t *testing.T, stream, sizes []byte, room int) {
		readContent(t, stream, sizes, 1+max(0, room)%(64<<10))
	})
}

// An error of the connection is given as it is, behind what had come.
func TestContentBreaksOff(t *testing.T) {
	boom := errors.New("boom")
	c := &content{from: breaking{io.MultiReader(strings.NewReader("a\r\n..b"), iotest.ErrReader(boom))}}
	b, err := io.ReadAll(c)
	if string(b) != "a\r\n.b" || !errors.Is(err, boom) {
		t.Errorf("%q, %v", b, err)
	}
}

type breaking struct{ io.Reader }

func (breaking) unread([]byte) {}
