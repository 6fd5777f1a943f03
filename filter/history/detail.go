package history

import (
	"encoding/json"
	"fmt"
	"time"

	"sekimori/filter"
	"sekimori/filter/dns"
)

// Detail is all that explains a verdict, as `sekimori check` does.
type Detail struct {
	View      *filter.View     `json:"view"` // nil where no verdict was made
	Reply     filter.ReplyView `json:"reply"`
	Upstream  string           `json:"upstream"`
	TLS       string           `json:"tls"`
	Exchanges []Exchange       `json:"exchanges"` // with the DNS, the first hundred
	Error     string           `json:"error"`     // our own trouble
	Shortened bool             `json:"shortened"` // something was left out for its size
}

// Exchange is one question to the DNS with its answer.
type Exchange struct {
	Purpose  string   `json:"purpose"`
	Question string   `json:"question"`
	Outcome  string   `json:"outcome"`
	Answer   []string `json:"answer"`
	Server   string   `json:"server"`
	Cached   bool     `json:"cached"`
	Seconds  float64  `json:"seconds"`
	TTL      float64  `json:"ttl"` // seconds
	Error    string   `json:"error"`
}

// Limits of a detail.
const (
	maxExchanges  = 100
	maxRecords    = 20   // of one answer
	maxRecord     = 1200 // bytes
	maxRecipients = 100
	maxDetail     = 32 << 10 // bytes of JSON; what goes beyond loses its exchanges
)

func newDetail(r filter.Record) *Detail {
	d := &Detail{
		Reply:    filter.ReplyView{Code: r.Reply.Code, Enhanced: r.Reply.Enhanced, Text: clip(r.Reply.Text, 2000)},
		Upstream: r.Upstream, TLS: r.Envelope.TLS.Version, Error: clip(r.Err, 2000), Exchanges: []Exchange{},
	}
	if len(r.Envelope.Rcpts) > maxRecipients {
		r.Envelope.Rcpts = r.Envelope.Rcpts[:maxRecipients]
		d.Shortened = true
	}
	if r.Judged {
		view := r.View()
		d.View = &view
	}
	for i, e := range r.Verdict.Results.DNS {
		if i == maxExchanges {
			d.Shortened = true
			break
		}
		d.Exchanges = append(d.Exchanges, newExchange(e))
	}
	return d
}

func newExchange(e dns.Exchange) Exchange {
	x := Exchange{
		Purpose: e.Purpose, Question: clip(e.Question.String(), 1100), Outcome: string(e.Answer.Outcome), Answer: records(e.Answer),
		Server: e.Answer.Server, Cached: e.Answer.Cached, Seconds: e.Took.Seconds(), TTL: e.Answer.TTL.Truncate(time.Second).Seconds(),
	}
	if e.Answer.Err != nil {
		x.Error = clip(e.Answer.Err.Error(), 300)
	}
	return x
}

func records(a dns.Answer) []string {
	all := []string{}
	add := func(s string) {
		if len(all) < maxRecords {
			all = append(all, clip(s, maxRecord))
		}
	}
	for _, s := range a.TXT {
		add(s)
	}
	for _, s := range a.Addrs {
		add(s.String())
	}
	for _, s := range a.MX {
		add(fmt.Sprintf("%d %s", s.Preference, s.Host))
	}
	for _, s := range a.Names {
		add(s)
	}
	return all
}

// json is bounded: what is too long loses first the conversation with the DNS,
// then the fields of the header, then all but the reply.
func (d *Detail) json() string {
	for _, lose := range [...]func(){
		func() {},
		func() { d.Exchanges = []Exchange{} },
		func() {
			if d.View != nil {
				d.View.Edit = filter.EditView{Drop: []string{}, Prepend: []string{}}
				d.View.Envelope.RcptTo = []string{}
			}
		},
		func() { d.View = nil },
	} {
		lose()
		b, err := json.Marshal(d)
		if err == nil && len(b) <= maxDetail {
			return string(b)
		}
		d.Shortened = true
	}
	return "{}"
}
