package proxy

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// readError is what a guarded connection gives in place of what the socket
// said. It is never io.EOF, as the end of a connection is not the end of a
// message: a chunk cut by the end of the connection would pass for whole.
type readError struct {
	text      string
	timeout   bool
	temporary bool
}

func (e *readError) Error() string   { return e.text }
func (e *readError) Timeout() bool   { return e.timeout }
func (e *readError) Temporary() bool { return e.temporary }

// Is lets the SMTP server close a connection that is gone without further words.
func (e *readError) Is(target error) bool { return target == net.ErrClosed && !e.timeout }

var (
	errLost   = &readError{text: "the client closed the connection"}
	errHungUp = &readError{text: "the connection is being closed"}
	errIdle   = &readError{text: "the client was silent for too long", timeout: true}
	errSlow   = &readError{text: "the client sent too slowly", timeout: true}

	// errQuiet is no failure: the time of expect is over.
	errQuiet = &readError{text: "the client has not spoken", timeout: true, temporary: true}
)

// past is a deadline that is over.
func past() time.Time { return time.Unix(1, 0) }

const (
	writeBuffer = 4 << 10
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 1 << 20
)

// conn guards a client's connection below TLS and below the SMTP server: an
// error of reading stays, silence and slowness end the connection, replies
// leave in one piece.
type conn struct {
	net.Conn
	gate      *gate
	limits    Limits
	client    netip.AddrPort // invalid if it has no address, as on a unix socket
	local     netip.AddrPort // where the client has connected to; likewise
	ownCheck  bool           // the balancer's own connection, or one without a client that it knows
	exempt    bool           // from rates, greet delay and tarpit
	counted   netip.Prefix   // as which client in the gate; under Server.mu
	onClose   func()
	onRefused func(Refusal)
	once      sync.Once

	writing  sync.Mutex // held while the socket takes replies
	out      []byte     // replies not yet sent
	writeErr error
	secured  bool // what follows is TLS

	mu       sync.Mutex
	ahead    []byte    // read by gone, not yet by Read
	readErr  error     // the first one stays for ever
	since    time.Time // the last reply left then
	until    time.Time // where it is set, reading only sees whether the client speaks before that
	heard    bool      // the client has said something
	stranger bool      // which was a PROXY header that is not its to send
	turns    int       // replies since a message got on
	inData   bool
	ending   bool  // the message is over, its reply has not left
	rest     int64 // octets that may still come then
	pace     pace
	busy     bool                // a transaction is open
	draining bool                // the server shuts down
	hung     bool                // nothing more is read
	farewell func(draining bool) // says 421 above TLS; nil before the first EHLO
}

func newConn(raw net.Conn, at *gate) *conn {
	return &conn{
		Conn: raw, gate: at, limits: at.Limits, since: time.Now(),
		client: clientOf(raw.RemoteAddr()), local: clientOf(raw.LocalAddr()),
		secured: at.Implicit,
		onClose: func() {}, onRefused: func(Refusal) {},
	}
}

// clientOf is the address as the world knows it: no IPv4-mapped form, no zone.
func clientOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := tcp.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port())
}

// Read sends what waits to be sent and reads. Once it has failed it fails for
// ever: after a timeout the rest of a message must never be taken for commands.
func (c *conn) Read(b []byte) (int, error) {
	start := time.Now()
	for {
		if bye := c.leaving(); bye != nil {
			bye()
		}
		sent := c.flush()
		n, err := c.prepare(b, start, sent)
		if err != nil || n > 0 {
			return n, err
		}
		began := time.Now()
		n, err = c.Conn.Read(b)
		if c.impersonates(b[:n]) {
			continue
		}
		if err = c.took(n, err, began, start); err != nil || n > 0 {
			return n, err
		}
	}
}

// leaving gives the last words to say if the connection ends here: the server
// shuts down, or the client talks without getting anywhere.
func (c *conn) leaving() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hung || c.readErr != nil || c.busy || !c.draining && c.turns <= c.limits.Turns {
		return nil
	}
	c.hung = true
	if c.farewell == nil {
		return nil
	}
	words, draining := c.farewell, c.draining
	return func() { words(draining) }
}

// prepare sets the deadline of one read of the socket, or gives what is left
// over from gone.
func (c *conn) prepare(b []byte, start time.Time, sent error) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.hung: // also after a timeout, which has been spoken of then
		c.readErr = errHungUp
	case c.readErr != nil:
	case sent != nil:
		c.readErr = errLost
	}
	if c.readErr != nil {
		return 0, c.readErr
	}
	if len(c.ahead) > 0 {
		n := copy(b, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return 0, c.Conn.SetReadDeadline(c.deadline(start))
}

// deadline of a read that began at start. A command has its time as a whole:
// one octet a minute does not prolong it.
func (c *conn) deadline(start time.Time) time.Time {
	if c.draining && !c.busy {
		return past() // since leaving was asked: it is to be asked again
	}
	if !c.until.IsZero() {
		return c.until
	}
	if !c.inData {
		return c.since.Add(c.limits.CommandTime)
	}
	idle, window := start.Add(c.limits.DataIdle), time.Now().Add(c.pace.left())
	if window.Before(idle) {
		return window
	}
	return idle
}

// took accounts for one read of the socket. No error with n = 0 means: again.
func (c *conn) took(n int, err error, began, start time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	var ne net.Error
	if c.ending {
		c.rest -= int64(n)
		c.hung = c.hung || c.rest < 0
	}
	switch {
	case c.inData && !c.pace.note(n, now.Sub(began)):
		c.readErr = errSlow
	case err == nil, c.hung, c.draining && !c.busy:
		return nil
	case !errors.As(err, &ne) || !ne.Timeout():
		c.readErr = errLost
	case n == 0 && !c.until.IsZero():
		return errQuiet
	case n == 0 && (!c.inData || now.Sub(start) >= c.limits.DataIdle):
		c.readErr = errIdle
	}
	if n > 0 {
		return nil // the error is for the next read
	}
	return c.readErr
}

// Write keeps b until the next Read or Close, or until there is enough of it.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.writeErr == nil && c.secured && len(b) > 0 && b[0] >= ' ' { // TLS records begin with 20 to 24
		// Whatever the handshake's end, clear text is over (RFC 3207 section 4).
		c.writeErr = errHungUp
		c.hangUp()
	}
	if c.writeErr != nil {
		return 0, c.writeErr
	}
	c.out = append(c.out, b...)
	if len(c.out) >= writeBuffer {
		return len(b), c.send()
	}
	return len(b), nil
}

func (c *conn) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.send()
}

func (c *conn) send() error {
	if c.writeErr != nil || len(c.out) == 0 {
		return c.writeErr
	}
	if c.writeErr = c.Conn.SetWriteDeadline(time.Now().Add(c.limits.WriteTime)); c.writeErr != nil {
		return c.writeErr
	}
	_, c.writeErr = c.Conn.Write(c.out)
	c.out = c.out[:0]
	c.replied()
	return c.writeErr
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: the guard alone
// sets deadlines.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// Close sends what waits to be sent and closes.
func (c *conn) Close() error {
	err := c.flush()
	if err == nil && c.hungUp() {
		c.linger()
	}
	if cerr := c.Conn.Close(); err == nil {
		err = cerr
	}
	c.once.Do(c.onClose)
	return err
}

// linger lets a client that still sends read our last words: closing a socket
// with unread octets in it resets the connection.
func (c *conn) linger() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	var waste [4 << 10]byte
	for total := 0; total < lingerBytes; {
		n, err := c.Conn.Read(waste[:])
		if err != nil {
			return
		}
		total += n
	}
}
