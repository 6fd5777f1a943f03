// Package iprev checks that a client's address and its reverse name agree
// (RFC 8601 section 2.7.3).
package iprev
