package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// letter is a message that the MTA double has taken on.
type letter struct {
	from string
	to   []string
	data string // as it came, dots unstuffed
	id   string // of the queue, as in the reply
	as   string // what it was told of the client by XCLIENT or XFORWARD
}

// misdeed is what the double does in place of what it should.
type misdeed struct {
	say   string // these octets, line ends and all, instead of its reply
	hang  bool   // nothing more is ever said
	close bool   // the connection ends (after say)
	reset bool   // likewise, by RST
	more  string // behind its reply
	drip  bool   // its reply comes octet by octet
	late  bool   // its reply comes when nobody waits for it any more
	half  bool   // it says no more, but listens to the end
	keep  bool   // at "end": the message is taken on nevertheless
	once  bool   // the next time it behaves
}

// lateBy is longer than a hurried proxy waits.
const lateBy = 80 * time.Millisecond

// mta is a double of the MTA behind the proxy. It can be told to misbehave at
// any step: "connect", the verbs, "body" (after the first octets of the
// message) and "end" (after the end of data).
type mta struct {
	t       *testing.T
	l       net.Listener
	offers  []string
	queue   bool // gives each message a queue id of its own
	binding bool // after XCLIENT it is not offered again
	lax     bool // takes a bare CR or LF for a line end and drops NULs

	mu       sync.Mutex
	lines    []string       // all but EHLO and QUIT, those of messages too
	answers  map[int]string // to lines, instead of the usual
	misdeeds map[string]misdeed
	commands []string
	letters  []letter
	conns    map[net.Conn]bool
	opened   int
	given    int // queue ids
	wg       sync.WaitGroup
}

func newMTA(t *testing.T) *mta {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newMTAOn(t, l)
}

func newMTAOn(t *testing.T, l net.Listener) *mta {
	m := &mta{
		t: t, l: l, misdeeds: map[string]misdeed{}, conns: map[net.Conn]bool{},
		offers: []string{"PIPELINING", "SIZE 10000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8"},
	}
	m.wg.Add(1)
	go m.accept()
	t.Cleanup(m.stop)
	return m
}

func (m *mta) accept() {
	defer m.wg.Done()
	for {
		c, err := m.l.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.conns[c] = true
		m.opened++
		m.mu.Unlock()
		m.wg.Add(1)
		go func() {
			defer m.wg.Done()
			m.serve(c)
		}()
	}
}

// stop ends the double and all its connections.
func (m *mta) stop() {
	m.l.Close()
	m.mu.Lock()
	for c := range m.conns {
		c.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

func (m *mta) do(step string, d misdeed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.misdeeds[step] = d
}

func (m *mta) behave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.misdeeds)
}

func (m *mta) got() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.letters)
}

// forget leaves nothing of what was said and taken on so far.
func (m *mta) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commands, m.lines, m.letters = nil, nil, nil
}

func (m *mta) heard() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.commands)
}

func (m *mta) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.opened
}

func (m *mta) misdeed(step string) misdeed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.misdeeds[step]
}

// answer says the reply to a step or what is to be said instead. False: the
// conversation is over.
func (m *mta) answer(c net.Conn, step, reply string) bool {
	return m.act(c, m.decide(step), reply)
}

// decide takes the misdeed of a step, which may be another the next moment.
func (m *mta) decide(step string) misdeed {
	d := m.misdeed(step)
	if d.once {
		m.do(step, misdeed{})
	}
	return d
}

func (m *mta) act(c net.Conn, d misdeed, reply string) bool {
	if d.hang {
		io.Copy(io.Discard, c)
		return false
	}
	if d.reset {
		c.(*net.TCPConn).SetLinger(0)
		return false
	}
	if d.half {
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
		return false
	}
	if d.say != "" {
		reply = d.say
	}
	if d.late {
		time.Sleep(lateBy)
	}
	reply += d.more
	for d.drip && len(reply) > 1 {
		io.WriteString(c, reply[:1])
		reply = reply[1:]
		time.Sleep(200 * time.Microsecond)
	}
	if !d.close || d.say != "" {
		io.WriteString(c, reply)
	}
	return !d.close
}

func (m *mta) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if !m.answer(c, "connect", "220 mta.example ESMTP\r\n") {
		return
	}
	var now letter
	as := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		m.mu.Lock()
		m.commands = append(m.commands, line)
		m.mu.Unlock()
		verb, arg, _ := strings.Cut(line, " ")
		reply := "250 2.0.0 ok\r\n"
		scripted := ""
		if verb != "EHLO" && verb != "QUIT" {
			scripted = m.note(line)
		}
		switch verb {
		case "EHLO":
			reply = m.ehlo()
			if m.binding && as != "" {
				reply = strings.ReplaceAll(reply, "XCLIENT", "XBOUND")
			}
		case "XCLIENT":
			as, reply = arg, "220 mta.example ESMTP\r\n"
		case "XFORWARD":
			as = arg
		case "MAIL":
			if now.from != "" {
				reply = "503 5.5.1 nested MAIL\r\n"
			}
		case "RCPT":
			now.to = append(now.to, arg)
		case "RSET":
			now = letter{}
		case "QUIT":
			m.answer(c, verb, "221 2.0.0 bye\r\n")
			return
		case "DATA":
			reply = "354 go on\r\n"
		}
		if scripted != "" {
			reply = scripted
		}
		d := m.decide(verb)
		if !m.act(c, d, reply) {
			return
		}
		if verb == "MAIL" && reply[0] == '2' && (d.say == "" || d.say[0] == '2') {
			now = letter{from: arg, as: as}
		}
		if verb == "DATA" && (scripted == "" || scripted[0] == '3') && (d.say == "" || strings.HasPrefix(d.say, "354")) {
			if !m.message(c, r, now) {
				return
			}
			now = letter{}
		}
	}
}

// note keeps a line and gives the scripted answer to it, "" if there is none.
func (m *mta) note(line string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, line)
	return m.answers[len(m.lines)-1]
}

// script has the double answer the lines to come.
func (m *mta) script(answers map[int]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines, m.answers = nil, answers
}

func (m *mta) scripted() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lines)
}

func (m *mta) ehlo() string {
	lines := append([]string{"mta.example"}, m.offers...)
	var b strings.Builder
	for i, l := range lines {
		sep := "-"
		if i == len(lines)-1 {
			sep = " "
		}
		b.WriteString("250" + sep + l + "\r\n")
	}
	return b.String()
}

// message takes one message in, and on if it is whole.
func (m *mta) message(c net.Conn, r *bufio.Reader, now letter) bool {
	spoilt := m.misdeed("body") != (misdeed{})
	if spoilt {
		if _, err := r.ReadByte(); err != nil || !m.answer(c, "body", "") {
			return false
		}
	}
	data, err := m.readData(r)
	if err != nil {
		return false
	}
	now.data, now.id = data, "4XYZ"
	if m.queue {
		now.id = m.nextID()
	}
	reply := "250 2.0.0 Ok: queued as " + now.id + "\r\n"
	for _, line := range strings.Split(strings.TrimSuffix(data, "\r\n"), "\r\n") {
		m.note(line)
	}
	if scripted := m.note("."); scripted != "" {
		return m.answer(c, "end", scripted)
	}
	d := m.decide("end")
	switch {
	case spoilt:
		reply = "451 4.3.0 spoilt\r\n"
	case d == (misdeed{}) || d.keep:
		m.mu.Lock()
		m.letters = append(m.letters, now)
		m.mu.Unlock()
	}
	return m.act(c, d, reply)
}

func (m *mta) nextID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given++
	return fmt.Sprintf("Q%d", m.given)
}

// readData reads up to the end of data: the right one, or what a lax MTA takes
// for it.
func (m *mta) readData(r *bufio.Reader) (string, error) {
	if m.lax {
		return readLax(r)
	}
	var all []byte
	for start := 0; ; {
		part, err := r.ReadSlice('\n')
		all = append(all, part...)
		if err != nil && err != bufio.ErrBufferFull {
			return "", err
		}
		if !bytes.HasSuffix(all[start:], []byte("\r\n")) {
			continue
		}
		line := all[start:]
		if string(line) == ".\r\n" {
			return string(all[:start]), nil
		}
		if line[0] == '.' {
			all = append(all[:start], line[1:]...)
		}
		start = len(all)
	}
}

// readLax goes octet by octet: a bare CR or LF ends a line, NULs are dropped.
func readLax(r *bufio.Reader) (string, error) {
	var all []byte
	for start := 0; ; {
		b, err := r.ReadByte()
		if err != nil {
			return "", err
		}
		if b == 0 {
			continue
		}
		all = append(all, b)
		if b != '\n' && b != '\r' {
			continue
		}
		if b == '\r' {
			if next, err := r.Peek(1); err == nil && next[0] == '\n' {
				continue
			}
		}
		line := all[start:]
		if strings.TrimRight(string(line), "\r\n") == "." {
			return string(all[:start]), nil
		}
		if line[0] == '.' {
			all = append(all[:start], line[1:]...)
		}
		start = len(all)
	}
}
