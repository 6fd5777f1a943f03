// Package peer is for tests that take a program which not every machine has.
package peer

import (
	"os"
	"testing"
)

// Require goes on if ok. Else it skips the test, or fails it where
// SEKIMORI_REQUIRE_PEERS=1 says that the tests are to be complete. word tells
// what is missing and where it is to be had.
func Require(t testing.TB, ok bool, word string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("SEKIMORI_REQUIRE_PEERS") == "1":
		t.Fatalf("SEKIMORI_REQUIRE_PEERS=1, but %s", word)
	default:
		t.Skipf("skipped: %s", word)
	}
}
