package console

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sekimori/filter"
)

// perPage is how many messages a page lists.
const perPage = 50

// maxField bounds what is taken of one field of the form.
const maxField = 255

// messagesPage is the form with what it found.
type messagesPage struct {
	Form    url.Values // as it was filled in, without what is empty
	Faults  []string   // fields that cannot be read
	Found   []Message
	Older   string // cursor; "" if this is all
	Paged   bool   // not the first page
	Reasons []string
	Actions []string
}

// fields of the form, each one key of the address.
var fields = [...]string{"sender", "recipient", "client", "verdict", "reason", "id", "protected", "from", "to", "shadow"}

// Get is the value of a field.
func (p *messagesPage) Get(field string) string { return p.Form.Get(field) }

// Wrong tells whether a field cannot be read.
func (p *messagesPage) Wrong(field string) bool {
	for _, f := range p.Faults {
		if f == field {
			return true
		}
	}
	return false
}

func (c *Console) messages(r *http.Request, v *view) error {
	p := &messagesPage{Form: url.Values{}, Reasons: reasons(), Actions: results[:]}
	for _, f := range fields {
		if s := strings.TrimSpace(r.URL.Query().Get(f)); s != "" {
			p.Form.Set(f, clean(s[:min(len(s), maxField)]))
		}
	}
	v.Data = p
	q := p.query()
	q.After, p.Paged = r.URL.Query().Get("after"), r.URL.Query().Get("after") != ""
	if len(p.Faults) > 0 {
		return nil
	}
	q.Limit = perPage + 1
	found, err := c.History.Search(r.Context(), q)
	if err != nil {
		return v.history(err)
	}
	if len(found) > perPage {
		found = found[:perPage]
		p.Older = found[perPage-1].Cursor
	}
	cleanAll(&found)
	p.Found = found
	return nil
}

// reasons of the core, as words.
func reasons() []string {
	var all []string
	for _, r := range filter.Reasons() {
		all = append(all, string(r))
	}
	return all
}

// query reads the form, and notes what it cannot read.
func (p *messagesPage) query() Query {
	q := Query{
		Sender: domainIn(p.Get("sender")), Recipient: domainIn(p.Get("recipient")), Client: p.Get("client"),
		Reason: p.Get("reason"), MessageID: strings.Trim(p.Get("id"), "[]"), Protected: p.Get("protected"), Shadow: p.Get("shadow") != "",
	}
	if q.Client != "" && !isNetwork(q.Client) {
		p.Faults = append(p.Faults, "client")
	}
	q.Action, q.Outcome = verdictIn(p.Get("verdict"))
	q.From, q.To = p.time("from"), p.time("to")
	if !q.To.IsZero() {
		q.To = q.To.Add(time.Minute) // the whole of it
	}
	return q
}

// verdictIn is what a choice of the form looks for. What became of a message
// otherwise than by a verdict is told by its outcome alone.
func verdictIn(word string) (action, outcome string) {
	switch word {
	case "accept", "tag", "quarantine":
		return word, string(filter.Delivered)
	case "reject", "defer":
		return word, ""
	case "":
		return "", ""
	}
	return "", word
}

// domainIn takes an address too.
func domainIn(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }

func isNetwork(s string) bool {
	_, err1 := netip.ParseAddr(s)
	_, err2 := netip.ParsePrefix(s)
	return err1 == nil || err2 == nil
}

// time reads a field as browsers send it, in UTC.
func (p *messagesPage) time(field string) time.Time {
	s := p.Get(field)
	if s == "" {
		return time.Time{}
	}
	for _, form := range [...]string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(form, s); err == nil {
			return t
		}
	}
	p.Faults = append(p.Faults, field)
	return time.Time{}
}

// messagePage is one message.
type messagePage struct {
	Message
	Tell string // key of what to tell the sender; "" for nothing
}

// find takes the number of a row, or the id of a message as logs, metrics and
// replies have it.
func (c *Console) find(ctx context.Context, id string) (Message, bool, error) {
	if n, err := strconv.ParseInt(id, 10, 64); err == nil {
		if m, ok, err := c.History.Message(ctx, n); ok || err != nil {
			return m, ok, err
		}
	}
	if len(id) > maxField {
		return Message{}, false, nil
	}
	found, err := c.History.Search(ctx, Query{MessageID: id, Limit: 1})
	if err != nil || len(found) == 0 {
		return Message{}, false, err
	}
	return c.History.Message(ctx, found[0].ID)
}

func (c *Console) message(r *http.Request, v *view) error {
	m, ok, err := c.find(r.Context(), r.PathValue("id"))
	if err != nil {
		return v.history(err)
	}
	if !ok {
		return errMissing
	}
	cleanAll(&m)
	p := &messagePage{Message: m}
	if key := "tell." + m.Reason; v.language.has(key) && m.Action != "" {
		p.Tell = key
	} else if key := "tell.outcome." + string(m.Outcome); v.language.has(key) {
		p.Tell = key
	}
	v.Data = p
	return nil
}
