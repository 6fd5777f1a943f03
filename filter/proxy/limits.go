package proxy

import "time"

// Limits bound what clients may take. The zero value means the defaults named
// here.
type Limits struct {
	MessageSize          int64         // octets of one message; 50 MiB
	Recipients           int           // accepted in one transaction; 1000
	Connections          int           // open in all; 1000
	ConnectionsPerClient int           // open from one IPv4 address or one IPv6 /64; 50
	Faults               int           // refused commands and recipients in one connection, then 421; 20
	TarpitAfter          int           // refused commands and recipients, then the refusals are delayed; 0: never
	TarpitTime           time.Duration // of that delay; 5 s
	Tarpitted            int           // connections delayed at once; 100
	Turns                int           // replies in a row that no message came of, then 421; 200
	Hops                 int           // Received fields, then 554 5.4.6; 100
	CommandTime          time.Duration // from our reply to the end of the next command; 5 min
	DataIdle             time.Duration // without an octet within a message; 3 min
	DataWindow           time.Duration // over which DataRate is averaged; 1 min
	DataRate             int64         // octets a second within a message, at least; 100; negative: none
	HeaderTime           time.Duration // for a balancer's PROXY header; 5 s
	WriteTime            time.Duration // for the client to take a reply; 1 min
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MessageSize:          or(l.MessageSize, 50<<20),
		Recipients:           or(l.Recipients, 1000),
		Connections:          or(l.Connections, 1000),
		ConnectionsPerClient: or(l.ConnectionsPerClient, 50),
		Faults:               or(l.Faults, 20),
		TarpitAfter:          l.TarpitAfter,
		TarpitTime:           or(l.TarpitTime, 5*time.Second),
		Tarpitted:            or(l.Tarpitted, 100),
		Turns:                or(l.Turns, 200),
		// RFC 5321 section 6.3: loops are found by counting Received fields,
		// with a large limit, normally at least 100.
		Hops: or(l.Hops, 100),
		// RFC 5321 section 4.5.3.2.7: a server waits at least five minutes.
		CommandTime: or(l.CommandTime, 5*time.Minute),
		DataIdle:    or(l.DataIdle, 3*time.Minute),
		DataWindow:  or(l.DataWindow, time.Minute),
		DataRate:    rateOr(l.DataRate, 100),
		HeaderTime:  or(l.HeaderTime, 5*time.Second),
		WriteTime:   or(l.WriteTime, time.Minute),
	}
}

// or gives v, or the default where v is not set.
func or[T int | int64 | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// rateOr is or for what can be switched off.
func rateOr(v, otherwise int64) int64 {
	if v < 0 {
		return 0
	}
	return or(v, otherwise)
}

// Refusal is why a connection was not served: a closed set.
type Refusal string

// The refusals.
const (
	RefusedTotal    Refusal = "total"        // Limits.Connections
	RefusedClient   Refusal = "per_client"   // Limits.ConnectionsPerClient
	RefusedRate     Refusal = "rate"         // Rates.Connections
	RefusedHeader   Refusal = "proxy_header" // a balancer without a good PROXY header in time
	RefusedForeign  Refusal = "proxy_forged" // a PROXY header from who is no balancer
	RefusedTLS      Refusal = "tls"          // no TLS where it comes first
	RefusedEarly    Refusal = "early_talker" // it spoke before the greeting
	RefusedLeft     Refusal = "left"         // it left before the greeting
	RefusedShutdown Refusal = "shutdown"
)

// Limit is what a client was held to within a connection: a closed set.
type Limit string

// The limits.
const (
	LimitMessages   Limit = "message_rate"
	LimitRecipients Limit = "recipient_rate"
	LimitTarpit     Limit = "tarpit"
)

// reply is said in place of the greeting; "" where nobody is there to hear it.
func (r Refusal) reply() string {
	switch r {
	case RefusedTotal:
		return "421 4.3.2 too many connections, try again later\r\n"
	case RefusedClient:
		return "421 4.7.0 too many connections from your address, try again later\r\n"
	case RefusedRate:
		return "421 4.7.0 too many connections from your network in a short time, try again later\r\n"
	case RefusedHeader:
		return "421 4.3.5 a PROXY header is required from your address\r\n"
	case RefusedForeign:
		return "554 5.7.1 no PROXY header is taken from your address\r\n"
	case RefusedEarly:
		return "554 5.5.1 you spoke before the greeting\r\n"
	case RefusedTLS, RefusedLeft:
		return ""
	}
	return "421 4.3.2 the service is shutting down, try again later\r\n"
}

// Events tell what happens outside of messages. Every function may be nil, is
// called from many goroutines and must return at once.
type Events struct {
	Opened   func(listener string) // a connection is there
	Closed   func(listener string) // and gone
	Accepted func(listener string) // it is greeted
	Refused  func(listener string, why Refusal)
	Limited  func(listener string, what Limit)
	Shed     func(listener string) // MAIL was refused: all memory for messages is taken
	TLS      func(version string)  // a client's handshake is done: "TLS1.2", "TLS1.3"
	Upstream func(kind Trouble)    // the MTA failed us
	Panic    func()                // a bug was contained
}

func (e Events) opened(listener string) {
	if e.Opened != nil {
		e.Opened(listener)
	}
}

func (e Events) closed(listener string) {
	if e.Closed != nil {
		e.Closed(listener)
	}
}

func (e Events) accepted(listener string) {
	if e.Accepted != nil {
		e.Accepted(listener)
	}
}

func (e Events) limited(listener string, what Limit) {
	if e.Limited != nil {
		e.Limited(listener, what)
	}
}

func (e Events) shed(listener string) {
	if e.Shed != nil {
		e.Shed(listener)
	}
}

func (e Events) refused(listener string, why Refusal) {
	if e.Refused != nil {
		e.Refused(listener, why)
	}
}

func (e Events) tls(version string) {
	if e.TLS != nil {
		e.TLS(version)
	}
}

func (e Events) upstream(kind Trouble) {
	if e.Upstream != nil {
		e.Upstream(kind)
	}
}

func (e Events) panicked() {
	if e.Panic != nil {
		e.Panic()
	}
}
