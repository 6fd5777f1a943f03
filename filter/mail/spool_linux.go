package mail

import (
	"os"
	"syscall"
)

// unnamed is O_TMPFILE (open(2)), which package syscall does not name.
const unnamed = 0x400000 | syscall.O_DIRECTORY

// openUnnamed makes a file that never had a name; not every file system can.
func openUnnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|os.O_EXCL|unnamed, 0o600)
}
