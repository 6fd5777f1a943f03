package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Trouble is how the MTA failed us: a closed set.
type Trouble string

// The troubles.
const (
	TroubleConnect  Trouble = "connect"  // no connection
	TroubleGreeting Trouble = "greeting" // it does not want us: no 220, no EHLO
	TroubleTLS      Trouble = "tls"      // no TLS where it has to be, or not with the right name
	TroubleTimeout  Trouble = "timeout"  // no answer in time
	TroubleLost     Trouble = "lost"     // the connection broke
	TroubleProtocol Trouble = "protocol" // what it says is no SMTP
	TroubleForward  Trouble = "forward"  // it does not listen to whose the mail is
	TroubleOpen     Trouble = "open"     // it failed so often that it is left alone for a while
)

// linkError is trouble with the MTA.
type linkError struct {
	kind Trouble
	step string // what was being done
	err  error
}

func (e *linkError) Error() string { return "MTA: " + e.step + ": " + e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

// link is one connection to the MTA. After an error it is of no use any more.
type link struct {
	host    *host
	raw     net.Conn // below TLS
	conn    net.Conn
	r       *bufio.Reader
	times   Times
	lmtp    bool
	offers  offers       // of the last EHLO
	own     offers       // of the last EHLO as ourselves
	as      introduction // whom the MTA takes us for
	bound   bool         // for good
	broken  bool
	pending bool // the MTA has a transaction open
	stained bool // the MTA has refused something
	stop    func() bool

	born   time.Time
	used   int           // transactions
	parked chan struct{} // closed when nobody watches any more
	calm   bool          // then: nothing came
}

// offers are the extensions that the MTA names in its EHLO reply, keyword in
// upper case to parameters.
type offers map[string]string

func (o offers) has(keyword string) bool { _, ok := o[keyword]; return ok }

// newLink binds a connection to ctx: when ctx ends, so does every step.
func newLink(ctx context.Context, c net.Conn, t Times) *link {
	l := &link{raw: c, times: t}
	l.use(c)
	l.bind(ctx)
	return l
}

func (l *link) bind(ctx context.Context) {
	l.stop = context.AfterFunc(ctx, func() { _ = l.raw.SetDeadline(past()); _ = l.raw.Close() })
}

func (l *link) use(c net.Conn) { l.conn, l.r = c, bufio.NewReaderSize(c, 4<<10) }

// close ends the connection; the MTA is told if it is in a state to listen.
func (l *link) close() {
	if !l.broken {
		_ = l.conn.SetDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(l.conn, "QUIT\r\n")
	}
	l.drop()
}

// drop ends the connection without a word: what was begun stays undone.
func (l *link) drop() {
	l.broken, l.pending = true, false
	l.stop()
	_ = l.conn.Close()
}

func (l *link) fail(kind Trouble, step string, err error) *linkError {
	l.drop()
	var ne net.Error
	if kind == TroubleLost && errors.As(err, &ne) && ne.Timeout() {
		kind = TroubleTimeout
	}
	return &linkError{kind: kind, step: step, err: err}
}

// ask sends one command and reads its reply, all within d. A 421 ends the
// connection (RFC 5321 section 3.8) and is given as the reply that it is.
func (l *link) ask(d time.Duration, command string) (reply, error) {
	step, _, _ := strings.Cut(command, " ")
	if strings.ContainsAny(command, "\r\n\x00") {
		return reply{}, l.fail(TroubleProtocol, step, errors.New("a line end within a command"))
	}
	if err := l.quiet(step); err != nil {
		return reply{}, err
	}
	if err := l.conn.SetDeadline(time.Now().Add(d)); err != nil {
		return reply{}, l.fail(TroubleLost, step, err)
	}
	if _, err := io.WriteString(l.conn, command+"\r\n"); err != nil {
		return reply{}, l.fail(TroubleLost, step, err)
	}
	return l.answer(step)
}

// quiet makes sure that the MTA has said nothing unasked: a reply too many
// would be taken for the answer to the next step.
func (l *link) quiet(step string) error {
	if l.broken {
		return l.fail(TroubleLost, step, net.ErrClosed)
	}
	if n := l.r.Buffered(); n > 0 {
		return l.fail(TroubleProtocol, step, fmt.Errorf("%d octets that nobody asked for", n))
	}
	return nil
}

func (l *link) answer(step string) (reply, error) {
	r, err := readReply(l.r)
	if errors.Is(err, errNoReply) {
		return reply{}, l.fail(TroubleProtocol, step, err)
	}
	if err != nil {
		return reply{}, l.fail(TroubleLost, step, err)
	}
	l.stained = l.stained || r.negative()
	if r.code == 421 {
		l.drop()
	}
	return r, nil
}

// hello introduces us, or whom we stand for, and takes in what is offered.
func (l *link) hello(name string) (reply, error) {
	verb := "EHLO "
	if l.lmtp {
		verb = "LHLO " // RFC 2033 section 4.1
	}
	r, err := l.expect(l.times.Greeting, verb+name)
	l.offers = offers{}
	if err == nil && r.positive() {
		for _, line := range r.lines[1:] {
			keyword, params, _ := strings.Cut(line, " ")
			l.offers[strings.ToUpper(keyword)] = params
		}
	}
	return r, err
}

// expect is ask for steps that know success and refusal only.
func (l *link) expect(d time.Duration, command string) (reply, error) {
	r, err := l.ask(d, command)
	if err == nil && !r.positive() && !r.negative() {
		step, _, _ := strings.Cut(command, " ")
		return reply{}, l.fail(TroubleProtocol, step, fmt.Errorf("answered with %d", r.code))
	}
	return r, err
}

// mail opens a transaction.
func (l *link) mail(path string, params []string) (reply, error) {
	r, err := l.expect(l.times.Command, strings.Join(append([]string{"MAIL FROM:<" + path + ">"}, params...), " "))
	l.pending = err == nil && r.positive()
	l.used++
	return r, err
}

func (l *link) rcpt(path string, params []string) (reply, error) {
	return l.expect(l.times.Command, strings.Join(append([]string{"RCPT TO:<" + path + ">"}, params...), " "))
}

// reset undoes an open transaction; a connection on which this fails is dropped.
func (l *link) reset() error {
	if !l.pending || l.broken {
		return nil
	}
	r, err := l.expect(l.times.Command, "RSET")
	if err == nil && !r.positive() {
		err = l.fail(TroubleProtocol, "RSET", fmt.Errorf("answered with %d", r.code))
	}
	l.pending = false
	return err
}

var errNoReply = errors.New("no SMTP reply")

// readReply reads one whole reply (RFC 5321 section 4.2): at most 100 lines of
// 2000 octets, all of one code. Only what ends in a line end counts.
func readReply(br *bufio.Reader) (reply, error) {
	var r reply
	for len(r.lines) < replyLines {
		line, err := readLine(br)
		if err != nil {
			return reply{}, err
		}
		code, text, last, ok := splitReply(line)
		if !ok || r.code != 0 && r.code != code {
			return reply{}, errNoReply
		}
		r.code = code
		r.lines = append(r.lines, text)
		if last {
			return r, nil
		}
	}
	return reply{}, errNoReply
}

func readLine(br *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := br.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > replyOctets {
			return "", errNoReply
		}
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

func splitReply(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !digit(line[1]) || !digit(line[2]) {
		return 0, "", false, false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, "", true, true
	}
	return code, clean(line[4:]), line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

// clean keeps a reply of the MTA as it is but for control characters, which
// would end or colour the line elsewhere.
func clean(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = '?'
		}
	}
	return string(b)
}
