package filter

import (
	"time"

	"sekimori/filter/mail"
)

// Outcome is how a transaction ended: what the client was told and who holds
// the message now.
type Outcome string

// The closed set of outcomes.
const (
	Delivered       Outcome = "delivered"        // the MTA said 250, so did we
	Rejected        Outcome = "rejected"         // our 5xx
	Deferred        Outcome = "deferred"         // our 4xx by verdict
	UpstreamRefused Outcome = "upstream_refused" // the MTA's own 4xx or 5xx after DATA
	UpstreamFailed  Outcome = "upstream_failed"  // the MTA was lost: 451
	ClientLost      Outcome = "client_lost"      // the client left before the final dot
	Refused         Outcome = "refused"          // refused without a verdict: too large, spool full, shutting down
	Failed          Outcome = "failed"           // a bug of ours: 451
)

// Record is all there is to say about one message: log line, metrics and later
// history and report rows are made from it and from nothing else.
type Record struct {
	Start    time.Time
	Envelope mail.Envelope
	Listener string // name of the listener
	Upstream string // address of the MTA's host that had the transaction
	Size     int64  // bytes received
	Verdict  Verdict
	Judged   bool // Verdict was made: false where the transaction ended before
	Outcome  Outcome
	Reply    Reply         // the final reply to the client; Text as sent, first 512 bytes
	Check    time.Duration // from the final dot to the verdict
	Delivery time.Duration // from the verdict to the MTA's final reply; 0 if the message was not sent on
	Total    time.Duration // from MAIL to the final reply
	Err      string        // our own trouble in words, "" if none
}
