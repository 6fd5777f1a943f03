//go:build unix

package main

import (
	"os/signal"
	"syscall"
)

// outlive: a file that may not grow any more (RLIMIT_FSIZE) is an error like a
// full disk, of which clients are told, and not the end of the process.
func outlive() { signal.Ignore(syscall.SIGXFSZ) }
