// Package mail holds one received message: its SMTP envelope (RFC 5321), its
// bytes exactly as they came, and the only parser of its header (RFC 5322).
// Bytes go in; a Message with raw header fields, an Author and a list of
// structural defects comes out. Nothing here changes a byte.
package mail

import "net/netip"

// Envelope is what SMTP said around the message.
type Envelope struct {
	ID       string     // our own id of the message: log, reply and header share it; [0-9A-Za-z-], at most 64 bytes
	Client   netip.Addr // never IPv4-mapped, no zone
	Port     uint16     // of the client, 0 if unknown
	Helo     string     // as the client said it: hostile, unvalidated
	MailFrom string     // reverse-path without <>: "" is the null sender; local part quoted where it needs to be
	Rcpts    []string   // forward-paths without <>, as MailFrom
	SMTPUTF8 bool       // RFC 6531
	ESMTP    bool       // greeted with EHLO
	TLS      TLS
}

// TLS says how the client's connection is protected; the zero value is not at all.
type TLS struct {
	Version string // "TLS1.3"; "" without TLS
	Cipher  string // IANA name
	Client  ClientCertificate
}

// ClientCertificate is what a client showed of itself; the zero value is nothing.
// It decides nothing.
type ClientCertificate struct {
	Subject     string // as RFC 2253 writes it, at most 256 bytes of UTF-8
	Fingerprint string // SHA-256 of the whole certificate, in hexadecimal
	Verified    bool   // signed by an authority that the listener trusts, and valid now
}
