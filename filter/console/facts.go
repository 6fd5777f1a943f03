package console

import (
	"time"

	"sekimori/filter"
)

// Health is the state of one part of the system.
type Health struct {
	Part  string // "dns", "upstream", "history", "sources", "certificate", "process": a key of the texts
	State State
	Words string // what there is to say beyond the state, in words that are not translated: an error; may be ""
	Key   string // of the texts, in place of Words, with Args; may be ""
	Args  []string
}

// State is how a part does.
type State string

// The states, worst first.
const (
	Bad  State = "bad"
	Warn State = "warn"
	Good State = "good"
	Off  State = "off"
)

// Count is how many messages ended alike within a span that begins at Start.
type Count struct {
	Start   time.Time
	Outcome filter.Outcome
	Action  string // that was done; "" without a verdict
	Shadow  string // that would have been done; "" where it was
	Reason  string
	N       int64
}

// DomainCount is the mail in the name of a protected domain.
type DomainCount struct {
	Domain  string
	Total   int64
	Passed  int64 // with the domain's own papers
	Failed  int64
	Refused int64
	Shadow  int64
}

// Rate is what part of the judged mail has the domain's papers, in percent; -1
// where none was judged.
func (d DomainCount) Rate() int {
	if d.Passed+d.Failed == 0 {
		return -1
	}
	return int(100 * d.Passed / (d.Passed + d.Failed))
}

// SourceQuery asks who sends in the name of a domain.
type SourceQuery struct {
	Domain   string
	Envelope bool // by the domain of MAIL FROM, else by the client's network
	Failing  bool // only what the domain does not vouch for
	From, To time.Time
	Limit    int
}

// Source is one who does.
type Source struct {
	Name    string
	Total   int64
	Passed  int64
	Refused int64
	Last    time.Time
}

// Query chooses messages; what is empty chooses all.
type Query struct {
	Sender, Recipient string // domains
	Client            string // address or network
	Action            string // that was done
	Shadow            bool   // only what would have been treated otherwise
	Outcome           string
	Reason            string
	Protected         string
	MessageID         string
	From, To          time.Time
	After             string // Message.Cursor of the last one seen
	Limit             int
}

// Message is one row.
type Message struct {
	ID         int64
	Cursor     string
	At         time.Time
	MessageID  string
	Node       string
	Listener   string
	Client     string
	Helo       string
	MailFrom   string
	Author     string // domain
	Recipients []string
	Rcpts      int // all of them
	Size       int64
	Outcome    filter.Outcome
	Action     string
	Shadow     string
	Reason     string
	Tenants    []string
	Protected  string
	Technique  string
	SPF        string
	DKIM       string
	DMARC      string
	ReplyCode  int
	Check      time.Duration
	Total      time.Duration

	Detail *Detail // only of History.Message
}

// Result is one word for what became of it.
func (m Message) Result() string { return outcomeOf(m.Outcome, m.Action) }

// Detail is what explains a verdict.
type Detail struct {
	View      *filter.View // nil without a verdict
	Reply     filter.ReplyView
	Upstream  string
	TLS       string
	Exchanges []Exchange
	Error     string
	Shortened bool
}

// Exchange is one question to the DNS.
type Exchange struct {
	Purpose  string
	Question string
	Outcome  string
	Answer   []string
	Server   string
	Cached   bool
	Seconds  float64
	Error    string
}

// Policy is what is in force.
type Policy struct {
	Shadow   bool
	Rules    []Rule    // of everybody without rules of his own, in the order in which they are asked
	Tenants  []Tenant  // the first of them
	More     int       // tenants that are left out
	Settings []string  // what is not as by default, as "key: default -> value"
	Reloads  []Reload  // the newest first
	Sources  []Health  // of protected domains and lists
	Domains  int       // protected
	Loaded   time.Time // when the rules in force were read
}

// Rule is what is done for one reason.
type Rule struct {
	Reason  string
	Action  string // a word of filter.Action
	Setting string // the key; "" where there is none
	Value   string // of the key
}

// Tenant is one who has rules of his own.
type Tenant struct {
	Name       string
	Recipients []string
	Changes    []string // from everybody's
}

// Reload is one reading of the configuration.
type Reload struct {
	At    time.Time
	Error string // "" if it is in force
	Now   []string
	Later []string // wants a restart
}

// Finding is one of a domain's audit.
type Finding struct {
	Rank    string // broken, weak, advice, fine
	Area    string
	Name    string
	Text    string // English
	Publish []Record
}

// Record is one to publish.
type Record struct{ Name, Type, Data string }
