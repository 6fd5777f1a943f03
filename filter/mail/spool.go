package mail

import (
	"errors"
	"io"
	"os"
)

const (
	firstBlock     = 8 << 10  // most messages fit
	fileBlock      = 64 << 10 // of one write to and read from the file
	smallFileBlock = 8 << 10  // of one write where memory is short
)

// spool keeps bytes as they come: first in memory, in blocks that never move,
// then in a file that has no name. The zero value is empty. It grows with what
// comes and never ahead of it by more than a half.
type spool struct {
	directory string
	memory    int64
	budget    *Budget // of the memory of all messages: taken before it is made
	disk      *Budget

	blocks [][]byte // blocks[0] holds the whole header
	kept   int64    // bytes in blocks
	size   int64    // bytes in all

	file    *os.File
	pending []byte // what has not reached the file yet
	short   bool   // there was no memory for more blocks: all else goes to the file

	taken   int64 // of budget
	written int64 // of disk
}

func newSpool(o Options) spool {
	return spool{directory: o.Directory, memory: o.Memory, budget: o.Budget, disk: o.Disk}
}

// room gives space to read into. With whole, it continues the first block
// without a gap, whatever the limit of memory says: so the header is one slice.
func (s *spool) room(whole bool) ([]byte, error) {
	if len(s.blocks) == 0 {
		if err := s.firstRoom(); err != nil {
			return nil, err
		}
	}
	last := &s.blocks[len(s.blocks)-1]
	if whole {
		if len(*last) == cap(*last) {
			if err := s.double(last); err != nil {
				return nil, err
			}
		}
		return (*last)[len(*last):cap(*last)], nil
	}
	if len(*last) == cap(*last) {
		last = s.another(last)
	}
	free, left := int64(cap(*last)-len(*last)), s.memory-s.kept
	if s.pending != nil || free == 0 || left <= 0 {
		return s.fileRoom()
	}
	n := int64(len(*last))
	return (*last)[n : n+min(free, left)], nil
}

func (s *spool) firstRoom() error {
	n := min(firstBlock, max(s.memory, 512))
	if !s.take(n) {
		return &SpoolError{Op: "memory", Err: ErrBudget}
	}
	s.blocks = append(s.blocks, make([]byte, 0, n))
	return nil
}

// double gives a header more room. Both blocks are held while one is copied.
func (s *spool) double(b *[]byte) error {
	old := int64(cap(*b))
	if !s.take(2 * old) {
		return &SpoolError{Op: "memory", Err: ErrBudget}
	}
	*b = append(make([]byte, 0, 2*old), *b...)
	s.give(old)
	return nil
}

// another adds a block where memory allows, else gives the last one.
func (s *spool) another(last *[]byte) *[]byte {
	left := s.memory - s.kept
	n := min(max(firstBlock, s.kept/2&^(firstBlock-1)), left)
	if s.short || n <= 0 {
		return last
	}
	if !s.budget.takeSpare(n) {
		s.short = true
		return last
	}
	s.taken += n
	s.blocks = append(s.blocks, make([]byte, 0, n))
	return &s.blocks[len(s.blocks)-1]
}

func (s *spool) take(n int64) bool {
	if !s.budget.Take(n) {
		return false
	}
	s.taken += n
	return true
}

func (s *spool) give(n int64) {
	s.taken -= n
	s.budget.Give(n)
}

// fileRoom is what goes to the file next.
func (s *spool) fileRoom() ([]byte, error) {
	if s.pending == nil {
		n := int64(fileBlock)
		if !s.take(n) {
			if n = smallFileBlock; !s.take(n) {
				return nil, &SpoolError{Op: "memory", Err: ErrBudget}
			}
		}
		s.pending = make([]byte, 0, n)
	}
	if len(s.pending) == cap(s.pending) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	return s.pending[len(s.pending):cap(s.pending)], nil
}

// keep takes over the first n bytes of what room gave last.
func (s *spool) keep(n int) {
	s.size += int64(n)
	if s.pending != nil {
		s.pending = s.pending[:len(s.pending)+n]
		return
	}
	last := &s.blocks[len(s.blocks)-1]
	*last = (*last)[:len(*last)+n]
	s.kept += int64(n)
}

// flush writes what is pending to the file, which it makes when there is a need.
func (s *spool) flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	if !s.disk.Take(int64(len(s.pending))) {
		return &SpoolError{Op: "write", Err: ErrBudget}
	}
	s.written += int64(len(s.pending))
	if s.file == nil {
		f, err := createUnnamed(s.directory)
		if err != nil {
			return &SpoolError{Op: "create", Err: err}
		}
		s.file = f
	}
	if _, err := s.file.Write(s.pending); err != nil {
		return &SpoolError{Op: "write", Err: err}
	}
	s.pending = s.pending[:0]
	return nil
}

// settle ends the writing: from here on all can be read.
func (s *spool) settle() error {
	err := s.flush()
	s.give(int64(cap(s.pending)))
	s.pending = nil
	return err
}

// head is the first block: the whole header is in it.
func (s *spool) head() []byte {
	if len(s.blocks) == 0 {
		return nil
	}
	return s.blocks[0]
}

func (s *spool) close() error {
	s.give(s.taken)
	s.disk.Give(s.written)
	s.written = 0
	if s.file == nil {
		return nil
	}
	if err := s.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return &SpoolError{Op: "close", Err: err}
	}
	return nil
}

// readAt fills p from offset off, which must be within the spool with all of p.
func (s *spool) readAt(p []byte, off int64) error {
	start := int64(0)
	for _, b := range s.blocks {
		if end := start + int64(len(b)); off < end && len(p) > 0 {
			n := copy(p, b[off-start:])
			p, off = p[n:], off+int64(n)
		}
		start += int64(len(b))
	}
	if len(p) == 0 {
		return nil
	}
	if _, err := s.file.ReadAt(p, off-s.kept); err != nil {
		return &SpoolError{Op: "read", Err: unexpected(err)}
	}
	return nil
}

// unexpected: the file ends before the message does, which is no end to read on from.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// createUnnamed makes a file, mode 0600, that no directory holds: whatever
// becomes of us, nothing is left behind.
func createUnnamed(dir string) (*os.File, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	if f, err := openUnnamed(dir); err == nil {
		return f, nil
	}
	return createRemoved(dir)
}

// createRemoved is for file systems which cannot do without a name.
func createRemoved(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
