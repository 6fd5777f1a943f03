package mail

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func body(n int) string { return "A: b\r\n\r\n" + strings.Repeat("0123456789abcde\n", n/16+1)[:n] }

func TestSpoolBorder(t *testing.T) {
	for _, memory := range []int64{1000, 8 << 10, 8<<10 + 1, 100_000, 256 << 10} {
		o := Options{Memory: memory, Directory: t.TempDir()}
		const header = 8
		for _, c := range []struct {
			size int64
			file bool
		}{{memory - 1, false}, {memory, false}, {memory + 1, true}, {memory + 200_000, true}} {
			in := body(int(c.size) - header)
			m := read(t, in, o)
			if (m.spool.file != nil) != c.file {
				t.Errorf("%d bytes of %d: file %v", c.size, memory, m.spool.file != nil)
			}
			if m.spool.kept > memory {
				t.Errorf("%d bytes of %d in memory", m.spool.kept, memory)
			}
			checkMessage(t, m, []byte(in))
		}
	}
}

// A block that grew for the header is not filled beyond the limit.
func TestSpoolBorderAfterALargeHeader(t *testing.T) {
	in := "X: " + strings.Repeat("x", 9000) + "\r\n" + body(50_000)[6:]
	m, err := Read(Envelope{}, &stepReader{[]byte(in), 700}, Options{Memory: 10_000, Directory: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.spool.kept != 10_000 {
		t.Errorf("%d bytes in memory", m.spool.kept)
	}
	checkMessage(t, m, []byte(in))
}

func TestSpoolDefaults(t *testing.T) {
	o := Options{Directory: t.TempDir()}
	if m := read(t, body(256<<10-8), o); m.spool.file != nil {
		t.Error("256 KiB are in a file")
	}
	if m := read(t, body(256<<10-7), o); m.spool.file == nil {
		t.Error("more than 256 KiB are in memory")
	}
	if m := read(t, body(100), Options{Memory: -1, Directory: t.TempDir()}); m.spool.kept > 512 {
		t.Errorf("%d bytes in memory", m.spool.kept)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	var bad *SpoolError
	if _, err := Read(Envelope{}, strings.NewReader(body(300<<10)), Options{}); !errors.As(err, &bad) {
		t.Errorf("not in os.TempDir: %v", err)
	}
}

// However large the header is, it is one slice, and its bytes stay.
func TestSpoolLargeHeader(t *testing.T) {
	header := strings.Repeat("X: "+strings.Repeat("x", 2000)+"\r\n", 500)
	in := header + body(50_000)[6:]
	var early Header
	m := read(t, in, Options{Memory: 1000, Directory: t.TempDir(), OnHeader: func(h Header) { early = h }})
	checkMessage(t, m, []byte(in))
	m.Close()
	if string(early.Raw) != header || cap(early.Raw) != len(early.Raw) {
		t.Error("the header changed")
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestSpoolLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	o := Options{Memory: 1000, Directory: dir}
	m := read(t, body(1<<20), o)
	if entries(t, dir) != 0 {
		t.Error("the file has a name")
	}
	info, err := m.spool.file.Stat()
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	var bad *SpoolError
	if _, err := io.ReadAll(m.Raw()); !errors.As(err, &bad) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	for range 20 { // what fails is closed too, though nobody can call Close
		lost := errors.New("lost")
		if _, err := Read(Envelope{}, io.MultiReader(strings.NewReader(body(1<<20)), failing{lost}), o); !errors.Is(err, lost) {
			t.Fatal(err)
		}
	}
	if runtime.GOOS == "linux" {
		if n := openIn(t, dir); n != 0 {
			t.Errorf("%d files are open", n)
		}
	}
	if entries(t, dir) != 0 {
		t.Error("something was left")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// openIn counts our open files in a directory.
func openIn(t *testing.T, dir string) int {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, dir) {
			n++
		}
	}
	return n
}

// Where a file system has no unnamed files, the name is gone at once.
func TestSpoolNamedFile(t *testing.T) {
	dir := t.TempDir()
	f, err := createRemoved(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Mode() != 0o600 || entries(t, dir) != 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestSpoolWithoutDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := Read(Envelope{}, strings.NewReader(body(1<<20)), Options{Directory: dir})
	var bad *SpoolError
	if !errors.As(err, &bad) || bad.Op != "create" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := Read(Envelope{}, strings.NewReader(body(1000)), Options{Directory: dir}); err != nil {
		t.Errorf("a small message needs no directory: %v", err)
	}
}

// A device that is always full says what a full disk says.
func TestSpoolDiskFull(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("this system has no device that is always full: %v", err)
	}
	m := &Message{spool: spool{memory: 1000, file: f}}
	defer m.Close()
	in := intake{message: m, options: Options{}.withDefaults()}
	in.header.limits = in.options.Header
	var bad *SpoolError
	if err := in.readAll(strings.NewReader(body(1 << 20))); !errors.As(err, &bad) || bad.Op != "write" || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
}

// The kernel refuses to let a file of ours grow: the message is refused, whether
// the limit is met in its middle or at its end, and nothing is left.
func TestSpoolFileLimit(t *testing.T) {
	if dir := os.Getenv("MAIL_TEST_FILE_LIMIT"); dir != "" {
		readUnderFileLimit(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSpoolFileLimit$")
	cmd.Env = append(os.Environ(), "MAIL_TEST_FILE_LIMIT="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if entries(t, dir) != 0 {
		t.Error("something was left")
	}
}

func readUnderFileLimit(t *testing.T, dir string) {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 200_000, Max: 200_000}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{210_000, 1 << 20} {
		_, err := Read(Envelope{}, strings.NewReader(body(size)), Options{Memory: 1000, Directory: dir})
		var bad *SpoolError
		if !errors.As(err, &bad) || bad.Op != "write" || !errors.Is(err, syscall.EFBIG) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := Read(Envelope{}, strings.NewReader(body(200_000)), Options{Memory: 1000, Directory: dir}); err != nil {
		t.Errorf("what fits: %v", err)
	}
}

func TestSections(t *testing.T) {
	in := body(300_000)
	m := read(t, in, Options{Memory: 100_000, Directory: t.TempDir()})
	size := int64(len(in))
	for _, c := range []struct{ off, n int64 }{
		{0, size}, {0, 0}, {5, 10}, {8190, 5}, {99_999, 2}, {100_000, 1}, {99_000, 150_000}, {size - 1, 1},
		{size, 1}, {size + 5, 5}, {-5, 10}, {10, -1}, {200_000, size},
	} {
		off := min(max(c.off, 0), size)
		want := in[off:min(off+max(c.n, 0), size)]
		var read, written bytes.Buffer
		_, err1 := read.ReadFrom(struct{ io.Reader }{m.Section(c.off, c.n)})
		n, err2 := m.Section(c.off, c.n).WriteTo(&written)
		if read.String() != want || written.String() != want || err1 != nil || err2 != nil || n != int64(len(want)) {
			t.Errorf("%d bytes from %d: read %d, written %d, %v, %v", c.n, c.off, read.Len(), written.Len(), err1, err2)
		}
		if s := m.Section(c.off, c.n); s.Size() != int64(len(want)) {
			t.Errorf("%d bytes from %d: size %d", c.n, c.off, s.Size())
		}
	}
}

func TestSectionReadAt(t *testing.T) {
	m := read(t, body(1000), Options{})
	s := m.Section(8, 20)
	p := make([]byte, 4)
	if n, err := s.ReadAt(p, 10); n != 4 || err != nil || string(p) != "abcd" {
		t.Errorf("%q, %v", p, err)
	}
	if n, err := s.ReadAt(p, 18); n != 2 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := s.ReadAt(p, 20); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := s.ReadAt(p, -1); n != 0 || err == nil || err == io.EOF {
		t.Errorf("%d, %v", n, err)
	}
	// A part read, the rest written.
	if _, err := io.ReadFull(s, p); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	if n, err := s.WriteTo(&rest); n != 16 || err != nil || rest.String() != "456789abcde\n0123" {
		t.Errorf("%q, %v", rest.String(), err)
	}
	if n, err := s.Read(p); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

type shortWriter struct{ left int }

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	w.left -= n
	if n < len(p) {
		return n, syscall.EPIPE
	}
	return n, nil
}

func TestSectionWriterFails(t *testing.T) {
	m := read(t, body(300_000), Options{Memory: 100_000, Directory: t.TempDir()})
	for _, n := range []int{0, 10, 50_000, 150_000, 299_999} {
		if got, err := m.Raw().(*Section).WriteTo(&shortWriter{n}); got != int64(n) || !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%d of %d: %v", got, n, err)
		}
	}
}

func TestReadersAreIndependent(t *testing.T) {
	in := body(300_000)
	m := read(t, in, Options{Memory: 100_000, Directory: t.TempDir()})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { checkMessage(t, m, []byte(in)) })
	}
	wait.Wait()
}
