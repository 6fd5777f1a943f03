// Package proxy is the front door: an SMTP server (RFC 5321) that stands before
// an MTA. Bytes of untrusted clients come in. MAIL and RCPT go to the MTA in
// step and its replies reach the client; the message is held, judged by Check,
// and then sent on or refused. What goes out is the received message with the
// Verdict's Edit applied, a reply to the client, and one filter.Record.
//
// The client is told 250 only with the MTA's own 250 in hand, so that at every
// moment somebody owns the message.
package proxy
