package proxy

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// An LMTP server answers for each recipient by itself, when the client can only
// be told one thing of all. If the answers differ, the client is told to send
// again, and then to each recipient in a message of its own, so that each gets
// its own answer. Who has the message by then is not sent it again: the answer
// is the one that the server gave. No recipient is lost and none gets two copies
// for one 250, as long as the proxy remembers.

// receipt is one message for one recipient. Without content it is any message of
// the sender's for that recipient.
type receipt struct {
	content  [sha256.Size]byte
	from, to string
}

type remembered struct {
	reply reply
	until time.Time
}

// Partial remembers who has a message that others have not.
type Partial struct {
	mu    sync.Mutex
	have  map[receipt]remembered
	order []receipt // the oldest first; some may be gone from have
}

const (
	// RFC 5321 section 4.5.4.1: a client gives up after 4 to 5 days.
	partialTime = 5 * 24 * time.Hour
	partialTold = time.Hour
	partialMost = 20000 // of whom and for whom, together
)

func (p *Partial) find(now time.Time, r receipt) (reply, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.have[r]
	return found.reply, ok && now.Before(found.until)
}

func (p *Partial) keep(now time.Time, r receipt, said reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.have == nil {
		p.have = map[receipt]remembered{}
	}
	if _, known := p.have[r]; !known {
		p.order = append(p.order, r)
	}
	p.have[r] = remembered{said, now.Add(partialTime)}
	for len(p.order) > partialMost {
		delete(p.have, p.order[0])
		p.order = p.order[1:]
	}
}

// take is find for an answer that the client is told now. Its memory lasts a
// while longer, should the answer get lost on its way: who sends the same octets
// after that means another message.
func (p *Partial) take(now time.Time, r receipt) (reply, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.have[r]
	if !ok || !now.Before(found.until) {
		return reply{}, false
	}
	if told := now.Add(partialTold); told.Before(found.until) {
		p.have[r] = remembered{found.reply, told}
	}
	return found.reply, true
}

// alone tells whether a recipient must have a message of its own, away from
// those that this one has already.
func (x *session) alone(tx *transaction, rcpt string) bool {
	if !x.server.Upstream.LMTP || len(tx.env.Rcpts) == 0 {
		return false
	}
	return x.split(tx, rcpt) || x.split(tx, tx.env.Rcpts[0])
}

// split tells whether the sender's mail to a recipient was partly delivered.
func (x *session) split(tx *transaction, rcpt string) bool {
	u := x.server.Upstream
	_, ok := u.Partial.find(u.now(), receipt{from: tx.env.MailFrom, to: rcpt})
	return ok
}

// deliverEach sends the message by LMTP, unless its recipient has it.
func (x *session) deliverEach(tx *transaction, m *mail.Message, e *edition) ending {
	u := x.server.Upstream
	rcpts := tx.env.Rcpts
	var content [sha256.Size]byte
	if len(rcpts) == 1 && x.split(tx, rcpts[0]) {
		var err error
		if content, err = contentOf(m); err != nil {
			return failed(err.Error())
		}
		if r, ok := u.Partial.take(u.now(), receipt{content, tx.env.MailFrom, rcpts[0]}); ok {
			return ending{outcome: filter.Delivered, reply: r}
		}
	}
	r, err := x.link.send(e.write)
	if err != nil || r.code != 0 {
		return x.delivered(tx.env.ID, r, err)
	}
	said, err := x.link.finals(len(rcpts))
	if r, agreed := agree(said, len(rcpts)); agreed {
		return x.delivered(tx.env.ID, r, nil)
	}
	if taken(said) == 0 {
		return x.delivered(tx.env.ID, reply{}, err)
	}
	if content, err = contentOf(m); err != nil {
		return failed(err.Error())
	}
	return x.partly(tx, content, said)
}

// partly remembers who has the message, and has the client come again.
func (x *session) partly(tx *transaction, content [sha256.Size]byte, said []reply) ending {
	u := x.server.Upstream
	now := u.now()
	for i, rcpt := range tx.env.Rcpts {
		u.Partial.keep(now, receipt{from: tx.env.MailFrom, to: rcpt}, reply{})
		if i < len(said) && said[i].positive() {
			u.Partial.keep(now, receipt{content, tx.env.MailFrom, rcpt}, said[i].short())
		}
	}
	return ending{
		filter.UpstreamRefused,
		own(451, "4.5.3", "some recipients have the message and some have not, send again to each separately ("+tx.env.ID+")"),
		fmt.Sprintf("%d of %d recipients have the message: %s", taken(said), len(tx.env.Rcpts), words(said)),
	}
}

// finals reads the replies to a whole message, one for each recipient (RFC 2033
// section 4.2), as far as they come.
func (l *link) finals(n int) (all []reply, err error) {
	deadline := time.Now().Add(l.times.Final) // of all: the client does not wait longer for more recipients
	for range n {
		var r reply
		if r, err = l.final(deadline); err != nil {
			break
		}
		all = append(all, r)
	}
	l.pending = false
	return all, err
}

// agree gives the one reply that is true for n recipients, if there is one: all
// have the message, or none. Where some would not have it later either, later is
// when they are told.
func agree(said []reply, n int) (reply, bool) {
	if len(said) < n || n == 0 {
		return reply{}, false
	}
	switch taken(said) {
	case n:
		return said[0], true
	case 0:
		for _, r := range said {
			if r.code/100 == 4 {
				return r, true
			}
		}
		return said[0], true
	}
	return reply{}, false
}

func taken(said []reply) (n int) {
	for _, r := range said {
		if r.positive() {
			n++
		}
	}
	return n
}

// words are the replies for our log.
func words(said []reply) string {
	all := make([]string, len(said))
	for i, r := range said {
		all[i] = r.short().asError().Error()
	}
	text := strings.Join(all, "; ")
	return text[:min(len(text), recordedMax)]
}

// short is a reply that may be kept for long.
func (r reply) short() reply {
	if len(r.lines) == 0 {
		return r
	}
	last := r.lines[len(r.lines)-1]
	return reply{r.code, []string{last[:min(len(last), recordedMax)]}}
}

// contentOf knows a message again when it is sent again, by whatever way.
func contentOf(m *mail.Message) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	for _, f := range m.Header.Fields {
		if !strings.EqualFold(f.Name, "Received") {
			_, _ = h.Write(f.Raw)
		}
	}
	head := int64(len(m.Header.Raw))
	if _, err = io.Copy(h, m.Section(head, m.Size()-head)); err == nil {
		h.Sum(sum[:0])
	}
	return sum, err
}

// eightBit tells whether a message has octets beyond ASCII.
func eightBit(m *mail.Message) bool {
	var b [4 << 10]byte
	for r := m.Raw(); ; {
		n, err := r.Read(b[:])
		for _, c := range b[:n] {
			if c >= 0x80 {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}
