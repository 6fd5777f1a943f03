package filter

import (
	"slices"

	"sekimori/filter/dkim"
	"sekimori/filter/dmarc"
	"sekimori/filter/dns"
	"sekimori/filter/iprev"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// Action is what happens to a message.
type Action int

// The actions, mildest last but for Defer: what nobody decided is tried again later.
const (
	Defer      Action = iota // 4xx, the client keeps the message
	Accept                   // to the MTA
	Tag                      // to the MTA, marked
	Quarantine               // to the MTA, marked for the quarantine
	Reject                   // 5xx
)

var actionWords = [...]string{"defer", "accept", "tag", "quarantine", "reject"}

// String is the word for logs, metrics and headers.
func (a Action) String() string {
	if a < 0 || int(a) >= len(actionWords) {
		return "defer"
	}
	return actionWords[a]
}

// Delivers tells whether the MTA gets the message.
func (a Action) Delivers() bool { return a == Accept || a == Tag || a == Quarantine }

// Reason is why: a closed set, label of the metric, word in the log, key of the
// reply text.
type Reason string

// Verdict is the decision on one message with all that led to it.
type Verdict struct {
	Action      Action
	Reason      Reason
	Explanation string // one sentence for people; printable ASCII
	Reply       Reply  // what the client is told with Reject and Defer
	Edit        Edit   // what the message that goes to the MTA is to be changed by
	Results     Results
	Protected   string   // protected domain in whose name the message claims to come (Author Domain, address in the display name, MAIL FROM), whatever the verdict; "" if none
	Listing     *Listing // the entry of a list that decided; nil: none did
	Tenants     []string // by whose rules, in the order of their recipients; nil: by those of everybody else
	Shadow      bool     // Action is what would have been done: the message is let through
	Fault       string   // our own trouble with its stack: for the log, never for the client
}

// Enforced is the action to carry out: Accept where the verdict is a shadow.
func (v Verdict) Enforced() Action {
	if v.Shadow {
		return Accept
	}
	return v.Action
}

// stricter compares what becomes of a message: accept, tag, quarantine, defer, reject.
func (a Action) stricter(than Action) bool { return a.rank() > than.rank() }

func (a Action) rank() int {
	return slices.Index([]Action{Accept, Tag, Quarantine, Defer, Reject}, a)
}

// Reply is one SMTP reply (RFC 5321 section 4.2, RFC 3463).
type Reply struct {
	Code     int    // 250, 4yz or 5yz
	Enhanced string // "5.7.26"
	Text     string // printable ASCII, one line or lines divided by "\n"; UTF-8 where the client said SMTPUTF8
}

// Edit changes a header on the way to the MTA: data, so that every door can
// apply it.
type Edit struct {
	Drop    []int    // indices into Header.Fields, ascending
	Prepend []string // whole fields with CRLF, topmost first
}

// Results are what the checks found.
type Results struct {
	Starved bool // we were too busy to ask the DNS something: our trouble, not the DNS's
	Checked bool // false where nothing was asked: a trusted client, a bare newline
	Author  mail.Author
	Shown   Shown
	Hop     Hop // before the client, where that is a trusted relay
	IPRev   iprev.Result
	SPF     spf.Results
	DKIM    []dkim.Result
	DMARC   dmarc.Result
	Sender  SenderDomain   // the domain of MAIL FROM in the DNS
	Claims  []Claim        // protected domains in whose name the message comes
	OwnList bool           // the author's sender is listed in a list that the recipient goes by
	Listed  *Listing       // what the recipient's lists say of the sender; nil: nothing
	DNS     []dns.Exchange // what was asked, in the order of the answers
	Stages  Stages         // how long it took; all zero where nothing was asked
}
