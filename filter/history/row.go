package history

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Row is one message.
type Row struct {
	ID           int64
	At           time.Time // of MAIL; whole milliseconds, UTC
	Node         string
	MessageID    string // ours, as in the log and in the reply
	Listener     string
	Client       string // address; "" if unknown
	Helo         string
	MailFrom     string
	SenderDomain string // of MAIL FROM
	AuthorDomain string
	Recipients   []string // the first ten
	Rcpts        int      // all of them
	Size         int64    // bytes
	Outcome      filter.Outcome
	Action       string // what was done; "" where no verdict was made
	Shadow       string // what would have been done if the mode were enforce; "" in it
	Reason       filter.Reason
	Tenants      []string
	Protected    string // the protected domain in whose name the message claims to come
	Vouched      bool   // that domain, or else the author's, passes DMARC
	Technique    string // of the spoof; "" or "none" if it is none
	SPF          string // results of MAIL FROM, of the best signature, and of DMARC; "" where nothing was checked
	DKIM         string
	DMARC        string
	ReplyCode    int
	Check, Total time.Duration // whole microseconds

	Detail *Detail // of Row only
}

// Limits of what one row holds, in bytes.
const (
	maxName      = 255
	maxPath      = 400
	maxShown     = 10 // recipients in a row
	maxNames     = 50 // senders', recipients' domains and tenants by which a row is found, each
	overhead     = 600
	microseconds = int64(time.Microsecond)
)

// entry is a row that waits to be written.
type entry struct {
	row    Row
	key    string // of the client
	net    string
	names  [3][]string // by which it is found: senders, recipients, tenants
	detail string      // JSON
	bytes  int64
}

// kinds of the names by which a row is found, in the order of entry.names.
var kinds = [...]string{"s", "r", "t"}

func newEntry(r filter.Record, node string) entry {
	v, results := r.Verdict, r.Verdict.Results
	e := entry{row: Row{
		At: r.Start, Node: clip(node, maxName), MessageID: clip(r.Envelope.ID, maxName), Listener: clip(r.Listener, maxName),
		Helo: clip(r.Envelope.Helo, maxName), MailFrom: clip(r.Envelope.MailFrom, maxPath),
		SenderDomain: domainOf(r.Envelope.MailFrom), AuthorDomain: clip(results.Author.Domain, maxName),
		Rcpts: len(r.Envelope.Rcpts), Size: r.Size, Outcome: r.Outcome, ReplyCode: r.Reply.Code,
		Check: r.Check, Total: r.Total,
	}}
	if r.Envelope.Client.IsValid() {
		e.row.Client = r.Envelope.Client.WithZone("").String()
		e.key, e.net = clientKey(r.Envelope.Client), network(r.Envelope.Client)
	}
	for _, rcpt := range r.Envelope.Rcpts[:min(len(r.Envelope.Rcpts), maxShown)] {
		e.row.Recipients = append(e.row.Recipients, strings.ReplaceAll(clip(rcpt, maxPath), " ", "_"))
	}
	if r.Judged {
		e.judged(v)
	}
	e.names = [3][]string{senders(r), recipients(r), e.row.Tenants}
	e.detail = newDetail(r).json()
	e.bytes = int64(overhead + len(e.detail) + len(e.row.Helo) + len(e.row.MailFrom) + 64*len(e.names[1]))
	return e
}

func (e *entry) judged(v filter.Verdict) {
	e.row.Action = v.Enforced().String()
	if v.Shadow {
		e.row.Shadow = v.Action.String()
	}
	e.row.Reason = v.Reason
	e.row.Protected, e.row.Technique = clip(v.Protected, maxName), string(v.Technique())
	for _, t := range v.Tenants[:min(len(v.Tenants), maxNames)] {
		e.row.Tenants = append(e.row.Tenants, clip(t, maxName))
	}
	if !v.Results.Checked {
		return
	}
	e.row.SPF = string(v.Results.SPF.MailFrom.Word)
	e.row.DKIM = bestSignature(v.Results)
	e.row.DMARC = string(v.Results.DMARC.Word)
	e.row.Vouched = v.Results.DMARC.Word == "pass" && within(e.row.AuthorDomain, e.row.Protected)
}

// within tells whether a domain is another or below it; all are within "".
func within(name, domain string) bool {
	return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
}

// bestSignature is pass if one passes, else the result of the topmost.
func bestSignature(r filter.Results) string {
	best := "none"
	for i, d := range r.DKIM {
		if i == 0 || d.Word == "pass" {
			best = string(d.Word)
		}
	}
	return best
}

// senders are the domains that the message names as its own: of MAIL FROM, of
// the author, and the author's organizational domain.
func senders(r filter.Record) []string {
	results := r.Verdict.Results
	names := append([]string{domainOf(r.Envelope.MailFrom), results.DMARC.OrganizationalDomain}, results.Author.Domains...)
	return distinct(names)
}

func recipients(r filter.Record) []string {
	var names []string
	for _, rcpt := range r.Envelope.Rcpts {
		if names = append(names, domainOf(rcpt)); len(names) == 10*maxNames {
			break
		}
	}
	return distinct(names)
}

// distinct gives each name once, without the empty one.
func distinct(names []string) []string {
	var all []string
	seen := map[string]bool{"": true}
	for _, n := range names {
		if n = clip(n, maxName); !seen[n] && len(all) < maxNames {
			seen[n] = true
			all = append(all, n)
		}
	}
	return all
}

// domainOf is the domain of a path in the form in which it is looked for; "" if
// there is none.
func domainOf(path string) string {
	_, domain, ok := strings.Cut(path[max(0, strings.LastIndexByte(path, '@')):], "@")
	if !ok {
		return ""
	}
	return domainKey(domain)
}

func domainKey(domain string) string {
	if ascii, err := mail.ASCIIDomain(domain); err == nil {
		return ascii
	}
	return clip(strings.ToLower(domain), maxName)
}

// clientKey orders addresses so that a network is a range.
func clientKey(a netip.Addr) string {
	b := a.As16()
	return hex.EncodeToString(b[:])
}

// lastKey is the key of the last address of a network.
func lastKey(p netip.Prefix) string {
	b := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	low, high := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if bits < 64 {
		low, high = low|^uint64(0)>>bits, ^uint64(0)
	} else {
		high |= ^uint64(0) >> (bits - 64)
	}
	binary.BigEndian.PutUint64(b[:8], low)
	binary.BigEndian.PutUint64(b[8:], high)
	return hex.EncodeToString(b[:])
}

// network is the /24 or /48 that an address is in, what one sender usually has.
func network(a netip.Addr) string {
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// clip cuts text for a database: valid UTF-8 without NUL, at most n bytes.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s[:min(len(s), 4*n)], "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Times are stored as milliseconds of UTC.
func stamp(t time.Time) int64      { return t.UnixMilli() }
func unstamp(ms int64) time.Time   { return time.UnixMilli(ms).UTC() }
func micros(d time.Duration) int64 { return int64(d) / microseconds }
func span(us int64) time.Duration  { return time.Duration(us * microseconds) }
func number(b bool) int64          { return map[bool]int64{true: 1}[b] }
func words(s, sep string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return string(r) == sep })
}
