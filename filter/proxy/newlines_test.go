package proxy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// normalized is what a message becomes where bare newlines are made whole.
func normalized(s string) string {
	return regexp.MustCompile(`\r\n|\r|\n`).ReplaceAllString(s, "\r\n")
}

func TestNewlines(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		"a\r\nb\r\n":        "a\r\nb\r\n",
		"a\nb":              "a\r\nb",
		"a\rb":              "a\r\nb",
		"a\r\r\nb":          "a\r\n\r\nb",
		"a\n\rb":            "a\r\n\r\nb",
		"a\n\r\nb":          "a\r\n\r\nb",
		"\r":                "\r\n",
		"\n":                "\r\n",
		"\r\r":              "\r\n\r\n",
		"a\n.\nb":           "a\r\n.\r\nb",
		"a\r\x00\nb":        "a\r\n\x00\r\nb",
		"\x00.\x80\xff\x0b": "\x00.\x80\xff\x0b",
	} {
		if got := normalized(in); got != want {
			t.Errorf("the rule gives %q for %q", got, in)
		}
		if got := throughNewlines(t, strings.NewReader(in), 7); got != want {
			t.Errorf("%q gives %q", in, got)
		}
	}
}

// throughNewlines reads in steps of n octets.
func throughNewlines(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	var out strings.Builder
	l, p, empty := &newlines{r: r}, make([]byte, n), 0
	for {
		n, err := l.Read(p)
		out.Write(p[:n])
		if empty++; n > 0 {
			empty = 0
		}
		if err == io.EOF {
			return out.String()
		}
		if err != nil || empty > 3 {
			t.Fatalf("%d empty reads, %v", empty, err)
		}
	}
}

// An error comes after all that came before it, and comes again.
func TestNewlinesErrors(t *testing.T) {
	boom := errors.New("boom")
	l := &newlines{r: io.MultiReader(strings.NewReader("a\n"), iotest.ErrReader(boom))}
	b, err := io.ReadAll(l)
	if string(b) != "a\r\n" || err != boom {
		t.Errorf("%q, %v", b, err)
	}
	if n, err := l.Read(make([]byte, 1)); n != 0 || err != boom {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := l.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	together := &newlines{r: iotest.DataErrReader(strings.NewReader("a\n"))}
	if b, err := io.ReadAll(iotest.OneByteReader(together)); string(b) != "a\r\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

// FuzzNewlines: however the octets come and are asked for, what comes out is by
// the rule, has no bare newline, and is left alone by a second pass.
func FuzzNewlines(f *testing.F) {
	for _, s := range endings {
		f.Add([]byte("a"+s+"b"), 0, 0)
		f.Add([]byte("a"+s+"b"), 1, 2)
	}
	f.Add([]byte(strings.Repeat("x\n", 3000)), 2047, 4097)
	f.Fuzz(func(t *testing.T, b []byte, in, out int) {
		in, out = 1+abs(in)%5000, 1+abs(out)%5000
		got := throughNewlines(t, &stepReader{bytes.NewReader(b), in}, out)
		if got != normalized(string(b)) || bareNewlines(got) {
			t.Fatalf("%q gives %q", b, got)
		}
		if again := throughNewlines(t, strings.NewReader(got), out); again != got {
			t.Fatalf("%q gives %q", got, again)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

// stepReader gives so many octets at a time.
type stepReader struct {
	r io.Reader
	n int
}

func (s *stepReader) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), s.n)]) }
