package mail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func TestBudget(t *testing.T) {
	b := NewBudget(100)
	for _, step := range []struct {
		do   func() bool
		ok   bool
		used int64
	}{
		{func() bool { return b.takeSpare(76) }, false, 0},
		{func() bool { return b.takeSpare(75) }, true, 75},
		{func() bool { return b.takeSpare(1) }, false, 75},
		{func() bool { return b.Take(25) }, true, 100},
		{func() bool { return b.Take(1) }, false, 100},
		{func() bool { b.Resize(50); return b.Take(0) }, false, 100},
		{func() bool { b.Give(60); return b.Take(10) }, true, 50},
		{func() bool { b.Resize(1 << 62); return b.Take(1 << 61) }, true, 50 + 1<<61},
		{func() bool { return b.Take(1<<63 - 1) }, false, 50 + 1<<61},
	} {
		if ok := step.do(); ok != step.ok || b.Used() != step.used {
			t.Fatalf("%+v: %v, %d used", step, ok, b.Used())
		}
	}
	var none *Budget
	none.Give(1)
	if !none.Take(1<<62) || !none.takeSpare(1) || !none.Room() {
		t.Error("no budget has a limit")
	}
}

func TestBudgetRoom(t *testing.T) {
	b := NewBudget(16 << 10)
	if !b.Room() {
		t.Error("an empty budget has no room")
	}
	b.Take(1)
	if b.Room() {
		t.Error("there is room for less than the least")
	}
}

// What a message holds is what it took, no more than there is, and all of it
// comes back.
func TestBudgetIsWhatIsHeld(t *testing.T) {
	for _, size := range []int{0, 100, 8 << 10, 100_000, 300_000, 1 << 20} {
		o := Options{Budget: NewBudget(1 << 20), Disk: NewBudget(2 << 20), Directory: t.TempDir()}
		in := body(size)
		m := read(t, in, o)
		held := int64(0)
		for _, b := range m.spool.blocks {
			held += int64(cap(b))
		}
		if o.Budget.Used() != held || o.Disk.Used() != m.Size()-m.spool.kept {
			t.Errorf("%d bytes: %d of memory and %d of disk taken, %d held and %d written",
				size, o.Budget.Used(), o.Disk.Used(), held, m.Size()-m.spool.kept)
		}
		checkMessage(t, m, []byte(in))
		for range 2 {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
		if o.Budget.Used() != 0 || o.Disk.Used() != 0 {
			t.Errorf("%d bytes: %d of memory and %d of disk did not come back", size, o.Budget.Used(), o.Disk.Used())
		}
	}
}

// Where memory is short a message goes to disk earlier, and is whole.
func TestBudgetSpoolsEarlier(t *testing.T) {
	in := body(200_000)
	for _, c := range []struct {
		total int64
		kept  bool
		spool string
	}{
		{1 << 20, true, ""},
		{200 << 10, false, ""},
		{8<<10 + 64<<10, false, ""},
		{16 << 10, false, ""},                            // the least there can be
		{16<<10 - 1, false, "spool: memory: the budget"}, // for the file's buffer
		{8<<10 - 1, false, "spool: memory: the budget"},
	} {
		o := Options{Budget: NewBudget(c.total), Directory: t.TempDir()}
		m, err := Read(Envelope{}, strings.NewReader(in), o)
		if c.spool != "" {
			var spool *SpoolError
			if !errors.As(err, &spool) || !errors.Is(err, ErrBudget) || !strings.HasPrefix(err.Error(), c.spool) {
				t.Errorf("%d: %v", c.total, err)
			}
		} else if err != nil {
			t.Errorf("%d: %v", c.total, err)
		} else {
			if (m.spool.file == nil) != c.kept {
				t.Errorf("%d: in memory %v", c.total, m.spool.file == nil)
			}
			checkMessage(t, m, []byte(in))
			m.Close()
		}
		if o.Budget.Used() != 0 {
			t.Errorf("%d: %d did not come back", c.total, o.Budget.Used())
		}
	}
}

// A header has no other place than memory.
func TestBudgetHeader(t *testing.T) {
	in := "X: " + strings.Repeat("x", 60_000) + "\r\n\r\n"
	o := Options{Budget: NewBudget(90 << 10), Directory: t.TempDir()}
	if _, err := Read(Envelope{}, strings.NewReader(in), o); !errors.Is(err, ErrBudget) {
		t.Errorf("%v", err)
	}
	o.Budget.Resize(96 << 10) // 32 KiB and 64 KiB while one is copied to the other
	if m, err := Read(Envelope{}, strings.NewReader(in), o); err != nil {
		t.Errorf("%v", err)
	} else {
		m.Close()
	}
	if o.Budget.Used() != 0 {
		t.Errorf("%d did not come back", o.Budget.Used())
	}
}

func TestBudgetOfDisk(t *testing.T) {
	o := Options{Memory: 8 << 10, Disk: NewBudget(100_000), Directory: t.TempDir()}
	var spool *SpoolError
	if _, err := Read(Envelope{}, strings.NewReader(body(200_000)), o); !errors.As(err, &spool) || spool.Op != "write" || !errors.Is(err, ErrBudget) {
		t.Errorf("%v", err)
	}
	if o.Disk.Used() != 0 {
		t.Errorf("%d did not come back", o.Disk.Used())
	}
	if _, err := Read(Envelope{}, strings.NewReader(body(90_000)), o); err != nil {
		t.Errorf("%v", err)
	}
}

// Many messages of every kind and every ending share one budget that is too
// small for them: it is never overdrawn, and at the end it is whole.
func TestBudgetComesBack(t *testing.T) {
	memory, disk := NewBudget(300<<10), NewBudget(1<<20)
	dir := t.TempDir()
	var wait sync.WaitGroup
	for w := range 16 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for range 60 {
				ending(t, r, Options{Budget: memory, Disk: disk, Directory: dir, Memory: 1 << r.IntN(20), MaxSize: int64(r.IntN(600_000))})
				if u := memory.Used(); u < 0 || u > memory.Total() {
					t.Errorf("%d of %d used", u, memory.Total())
				}
			}
		})
	}
	wait.Wait()
	if memory.Used() != 0 || disk.Used() != 0 {
		t.Errorf("%d of memory and %d of disk did not come back", memory.Used(), disk.Used())
	}
}

// ending reads one message of some size that ends in some way.
func ending(t *testing.T, r *rand.Rand, o Options) {
	defer func() {
		if p := recover(); p != nil && p != "planted" {
			t.Error(p)
		}
	}()
	header := strings.Repeat("X: "+strings.Repeat("x", r.IntN(3000))+"\r\n", r.IntN(30))
	in := io.Reader(&stepReader{[]byte(header + "\r\n" + body(r.IntN(500_000))), 1 + r.IntN(20_000)})
	switch r.IntN(4) {
	case 0:
		in = io.MultiReader(in, failing{errors.New("lost")})
	case 1:
		o.OnHeader = func(Header) { panic("planted") }
	case 2:
		o.Header.Line = 1 + r.IntN(5000)
	}
	m, err := Read(Envelope{}, in, o)
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, m.Raw()); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

// Whatever comes, in whatever steps, with whatever there is of memory: the
// message is whole or refused, and what was taken comes back.
func FuzzBudget(f *testing.F) {
	f.Add([]byte("A: b\r\n\r\nbody"), uint(3), uint(100), uint(20_000), uint(40))
	f.Add([]byte("A: b\r\n\r\nbody"), uint(700), uint(9000), uint(70_000), uint(9000))
	f.Add(bytes.Repeat([]byte("X: y\r\n"), 100), uint(1000), uint(5000), uint(200_000), uint(200))
	f.Fuzz(func(t *testing.T, data []byte, step, memory, total, times uint) {
		in := bytes.Repeat(data, int(times%100)+1)
		if len(in) > 1<<20 {
			return
		}
		o := Options{Memory: int64(memory%300_000) - 1, Budget: NewBudget(int64(total % 400_000)), Disk: NewBudget(1 << 19), Directory: t.TempDir()}
		m, err := Read(Envelope{}, &stepReader{bytes.Clone(in), int(step%70_000) + 1}, o)
		if err == nil {
			checkMessage(t, m, in)
			err = m.Close()
		}
		if o.Budget.Used() != 0 || o.Disk.Used() != 0 {
			t.Error(fmt.Errorf("%d of memory and %d of disk did not come back: %w", o.Budget.Used(), o.Disk.Used(), err))
		}
	})
}
