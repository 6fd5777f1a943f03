package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger is the one book of all that goes wrong: what clients were told of each
// message against what the MTA holds of it. Whatever happened, settle finds: a
// 250 without the MTA's 250, more copies than reasons for them, a message cut
// short or altered, and anything of one client's in another's.
type ledger struct {
	mu    sync.Mutex
	pages map[string]*page
}

// page is about one message, which is known by its nonce wherever it comes up.
type page struct {
	nonce string
	helo  string // of the client
	text  string
	ends  int      // how often its end has been sent
	told  []string // the replies to that; "" for none
}

var received = regexp.MustCompile(`(?m)^Received: from [^ ]+`)

var nonces = regexp.MustCompile(`N[0-9]{6}Z`)

// write makes a message of so many lines, dots and all, for one client.
func (l *ledger) write(helo string, lines int) *page {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pages == nil {
		l.pages = map[string]*page{}
	}
	p := &page{nonce: fmt.Sprintf("N%06dZ", len(l.pages)+1), helo: helo}
	var b strings.Builder
	fmt.Fprintf(&b, "From: %[1]s@sender.example\r\nSubject: %[1]s\r\n\r\n", p.nonce)
	for i := range lines {
		fmt.Fprintf(&b, "%s%s %d\r\n", strings.Repeat(".", i%3), p.nonce, i)
	}
	p.text = b.String()
	l.pages[p.nonce] = p
	return p
}

// stuffed is the message as it stands between the 354 and the end of data.
func (p *page) stuffed() string {
	return strings.ReplaceAll(p.text, "\r\n.", "\r\n..") // it does not begin with a dot
}

func (l *ledger) ended(p *page) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.ends++
}

func (l *ledger) told(p *page, reply string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.told = append(p.told, reply)
}

// settled tells whether the client needs to do no more about it.
func (l *ledger) settled(p *page) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range p.told {
		if strings.HasPrefix(r, "250") || strings.HasPrefix(r, "5") {
			return true
		}
	}
	return false
}

// all are the pages, in the order in which they were written.
func (l *ledger) all() []*page {
	l.mu.Lock()
	defer l.mu.Unlock()
	pages := make([]*page, len(l.pages))
	for i := range pages {
		pages[i] = l.pages[fmt.Sprintf("N%06dZ", i+1)]
	}
	return pages
}

// settle compares the books.
func (l *ledger) settle(t *testing.T, held []letter) {
	t.Helper()
	for _, fault := range l.faults(held) {
		t.Error(fault)
	}
}

func (l *ledger) faults(held []letter) (found []string) {
	ids := map[string][]string{}
	for _, h := range held {
		nonce, fault := l.whose(h)
		if fault != "" {
			found = append(found, fault)
		}
		ids[nonce] = append(ids[nonce], h.id)
	}
	for _, p := range l.all() {
		for _, fault := range l.balance(p, ids[p.nonce]) {
			found = append(found, fmt.Sprintf("%s: %s; ended %d times, told %q, the MTA has it as %q", p.nonce, fault, p.ends, p.told, ids[p.nonce]))
		}
	}
	return found
}

// whose finds the page of what the MTA holds, and whether it holds that and no more.
func (l *ledger) whose(h letter) (nonce, fault string) {
	trace, text, _ := strings.Cut(h.data, "\r\nFrom: ")
	if nonce = nonces.FindString(text); nonce == "" {
		return "", fmt.Sprintf("nobody's: %.300q", h.data)
	}
	l.mu.Lock()
	p := l.pages[nonce]
	l.mu.Unlock()
	from, _, _ := strings.Cut(h.from, " ")
	hops := received.FindAllString(trace, -1)
	switch {
	case p == nil:
		return nonce, "nobody wrote " + nonce
	case "From: "+text != p.text:
		return nonce, fmt.Sprintf("%s was cut or altered: %d octets of %d, the end is %q", nonce, len(text)+6, len(p.text), text[max(0, len(text)-80):])
	case from != "FROM:<"+nonce+"@sender.example>", len(h.to) != 1, !strings.HasPrefix(h.to[0], "TO:<"+nonce+"@rcpt.example>"):
		return nonce, fmt.Sprintf("%s has the envelope of another: %s %q", nonce, h.from, h.to)
	case len(hops) != 1, hops[0] != "Received: from "+p.helo, nonces.MatchString(trace):
		return nonce, fmt.Sprintf("%s has the trace of another: %q", nonce, trace)
	case h.as != "" && !slices.Contains(strings.Fields(h.as), "HELO="+p.helo):
		return nonce, fmt.Sprintf("%s was introduced as another: %q", nonce, h.as)
	}
	return nonce, ""
}

// balance compares what was told of one message with the copies of it.
func (l *ledger) balance(p *page, ids []string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := p.ends - len(p.told) // whose reply nobody was there to hear
	promised := map[string]bool{}
	for _, r := range p.told {
		id, ok := strings.CutPrefix(r, "250 2.0.0 Ok: queued as ")
		switch {
		case ok && promised[id]:
			found = append(found, "told twice of "+id)
		case ok && !slices.Contains(ids, id):
			found = append(found, "a 250 that is not the MTA's: "+r)
		case ok:
			promised[id] = true
		case strings.HasPrefix(r, "2"):
			found = append(found, "a 250 of our own: "+r)
		// RFC 5321 section 6.1: where the MTA's reply was lost, a second copy is
		// allowed and a loss is not.
		case r == "", strings.HasPrefix(r, "421"), strings.HasPrefix(r, "451 4.4.2"):
			open++
		}
	}
	if n := len(ids) - len(promised); n > open {
		found = append(found, fmt.Sprintf("%d copies beyond what was told, %d could be", n, open))
	}
	return found
}

// courier is a client that keeps its book. It never ends the test, and may be
// used beside others.
type courier struct {
	d    *door
	l    *ledger
	helo string
	tls  bool
	k    *client // nil: not connected
}

// connect greets, unless that is done. False: it cannot be done.
func (c *courier) connect() bool {
	if c.k != nil {
		return true
	}
	conn, err := net.DialTimeout("tcp", c.d.address, 5*time.Second)
	if err != nil {
		return false
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	k := &client{t: c.d.t, c: conn, r: bufio.NewReader(conn)}
	if !k.agrees("", "220") || !k.agrees("EHLO "+c.helo, "250") || c.tls && !c.secure(k) {
		conn.Close()
		return false
	}
	c.k = k
	return true
}

func (c *courier) secure(k *client) bool {
	return k.agrees("STARTTLS", "220") && k.shake() && k.agrees("EHLO "+c.helo, "250")
}

func (k *client) shake() bool {
	secured := tls.Client(k.c, &tls.Config{InsecureSkipVerify: true})
	if secured.Handshake() != nil {
		return false
	}
	k.c, k.r = secured, bufio.NewReader(secured)
	return true
}

// agrees says a line, if there is one, and tells whether the reply begins so.
func (k *client) agrees(line, want string) bool {
	if line != "" {
		k.raw(line + "\r\n")
	}
	return strings.HasPrefix(k.hear(), want)
}

// leave ends the connection without a word.
func (c *courier) leave() {
	if c.k != nil {
		c.k.c.Close()
		c.k = nil
	}
}

// envelope goes up to RCPT. Without a "" it is the reply that refused it.
func (c *courier) envelope(p *page) string {
	for _, line := range []string{"MAIL FROM:<" + p.nonce + "@sender.example>", "RCPT TO:<" + p.nonce + "@rcpt.example>"} {
		if got := c.ask(line); !strings.HasPrefix(got, "250") {
			return or0(got)
		}
	}
	return ""
}

func or0(reply string) string {
	if reply == "" {
		return "000 the connection has ended"
	}
	return reply
}

// say sends octets, where there is a connection left.
func (c *courier) say(octets string) {
	if c.k != nil {
		c.k.raw(octets)
	}
}

// ask says a line and gives the reply. Without one, or with 421, it leaves.
func (c *courier) ask(line string) string {
	c.say(line + "\r\n")
	return c.heard()
}

func (c *courier) heard() string {
	if c.k == nil {
		return ""
	}
	got := c.k.hear()
	if got == "" || strings.HasPrefix(got, "421") {
		c.leave()
	}
	return got
}

// deliver sends a message and gives the reply to it, or to what went before.
func (c *courier) deliver(p *page) string {
	if !c.connect() {
		return or0("")
	}
	if got := c.envelope(p); got != "" {
		c.reset()
		return got
	}
	if got := c.ask("DATA"); !strings.HasPrefix(got, "354") {
		c.reset()
		return or0(got)
	}
	c.l.ended(p)
	c.say(p.stuffed() + ".\r\n")
	got := c.heard()
	c.l.told(p, got)
	return or0(got)
}

// deliverChunks is deliver by BDAT, in two chunks.
func (c *courier) deliverChunks(p *page) string {
	if !c.connect() {
		return or0("")
	}
	if got := c.envelope(p); got != "" {
		c.reset()
		return got
	}
	half := len(p.text) / 2
	c.say(fmt.Sprintf("BDAT %d\r\n%s", half, p.text[:half]))
	if got := c.heard(); !strings.HasPrefix(got, "250") {
		c.reset()
		return or0(got)
	}
	c.l.ended(p)
	c.say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(p.text)-half, p.text[half:]))
	got := c.heard()
	c.l.told(p, got)
	return or0(got)
}

func (c *courier) reset() {
	if c.k != nil {
		c.ask("RSET")
	}
}

// insist delivers until there is an answer that will not change.
func (c *courier) insist(p *page) (got string) {
	for end := time.Now().Add(10 * time.Second); !c.l.settled(p) && time.Now().Before(end); {
		if got = c.deliver(p); !c.l.settled(p) {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return got
}

// The ledger finds each kind of fault that it is there for.
func TestLedgerFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(p *page, h *letter)
		want  string
	}{
		"good":             {func(*page, *letter) {}, ""},
		"reply lost":       {func(p *page, _ *letter) { p.told[0] = "451 4.4.2 lost" }, ""},
		"client gone":      {func(p *page, _ *letter) { p.told = nil }, ""},
		"false id":         {func(p *page, _ *letter) { p.told[0] += "0" }, "not the MTA's"},
		"own 250":          {func(p *page, _ *letter) { p.told[0] = "250 2.0.0 fine" }, "of our own"},
		"refused but sent": {func(p *page, _ *letter) { p.told[0] = "550 5.7.1 no" }, "1 copies beyond what was told, 0 could be"},
		"not now but sent": {func(p *page, _ *letter) { p.told[0] = "452 4.3.1 no" }, "beyond"},
		"told twice":       {func(p *page, _ *letter) { p.told = append(p.told, p.told[0]); p.ends++ }, "told twice"},
		"never ended":      {func(p *page, _ *letter) { p.ends, p.told = 0, nil }, "beyond"},
		"cut":              {func(_ *page, h *letter) { h.data = h.data[:len(h.data)-2] }, "cut or altered"},
		"altered":          {func(_ *page, h *letter) { h.data = strings.Replace(h.data, "Subject", "subject", 1) }, "cut or altered"},
		"sender":           {func(_ *page, h *letter) { h.from = "FROM:<N000002Z@sender.example>" }, "envelope"},
		"two recipients":   {func(_ *page, h *letter) { h.to = append(h.to, h.to[0]) }, "envelope"},
		"trace":            {func(p *page, _ *letter) { p.helo = "another.example" }, "trace"},
		"introduced":       {func(p *page, h *letter) { h.as = "ADDR=192.0.2.1 HELO=" + p.helo }, ""},
		"introduction":     {func(_ *page, h *letter) { h.as = "ADDR=192.0.2.1 HELO=other.example" }, "introduced"},
		"leftover":         {func(_ *page, h *letter) { h.data = "X: N000002Z\r\n" + h.data }, "trace"},
		"nobody's":         {func(_ *page, h *letter) { h.data = "x" }, "nobody's"},
		"unknown":          {func(_ *page, h *letter) { h.data = strings.ReplaceAll(h.data, "N000001Z", "N000009Z") }, "nobody wrote"},
	} {
		var l ledger
		p := l.write("c.example", 3)
		p.ends, p.told = 1, []string{"250 2.0.0 Ok: queued as Q1"}
		h := letter{from: "FROM:<N000001Z@sender.example>", to: []string{"TO:<N000001Z@rcpt.example>"}, data: "Received: from c.example (x)\r\n" + p.text, id: "Q1"}
		c.spoil(p, &h)
		if got := strings.Join(l.faults([]letter{h}), "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	var l ledger
	p := l.write("c.example", 3)
	p.ends, p.told = 1, []string{"250 2.0.0 Ok: queued as Q1"}
	if got := l.faults(nil); len(got) != 1 {
		t.Errorf("a loss: %q", got)
	}
}
