package proxy

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// randomID makes the id of a message: 80 random bits in 16 characters of 0-9 a-v.
func randomID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return strings.ToLower(base32.HexEncoding.EncodeToString(b[:]))
}
