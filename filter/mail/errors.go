package mail

import "fmt"

// SpoolError is trouble of ours with the memory or the file that holds a
// message: no space, no such directory, no more file descriptors. The client is
// to try again: 452 4.3.1. Err is what the system said (syscall.ENOSPC, EDQUOT,
// ...), or ErrBudget.
type SpoolError struct {
	Op  string // "memory", "create", "write", "read" or "close"
	Err error
}

func (e *SpoolError) Error() string { return fmt.Sprintf("spool: %s: %v", e.Op, e.Err) }

func (e *SpoolError) Unwrap() error { return e.Err }

// LimitError is a message that is too much: 552 5.3.4 for its size, 552 5.6.0
// where Header is true.
type LimitError struct {
	What   string // plain words: "message size", "header size", "header line", "header field", "header fields"
	Limit  int64  // octets, or fields for "header fields"
	Header bool   // the header is at fault, not the size of the whole
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is above the limit of %d", e.What, e.Limit)
}
