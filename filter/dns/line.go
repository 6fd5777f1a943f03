package dns

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// The life of a socket. Its port is the kernel's choice and half of what a forger
// has to guess (RFC 5452 section 9.2), so none is kept for long.
const (
	lineQuestions = 128
	lineTime      = 3 * time.Second
	// maxStrays is how many packets that do not fit are passed over before UDP
	// is given up: somebody guesses.
	maxStrays = 32
)

// line is a UDP socket that is connected to one server, for several questions at
// a time. What comes is told apart by id and question, and by the socket the
// kernel lets through what the server's own address sends.
type line struct {
	conn   net.Conn
	random func([]byte)

	mu      sync.Mutex
	asked   map[uint16]*call // nil: nobody waits any more
	waiting int
	count   int // questions ever
	strays  int
	retired bool // takes no more questions; closed when nobody waits
}

// call is a question on a line.
type call struct {
	inquiry *inquiry
	got     chan packet
}

// packet is what came for a call.
type packet struct {
	data []byte
	fit  fit
	err  error
}

func openLine(ctx context.Context, server string, random func([]byte)) (*line, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	l := &line{conn: conn, random: random, asked: map[uint16]*call{}}
	go l.listen(time.AfterFunc(lineTime, l.retire))
	return l, nil
}

// ask sends a question under an id that is free. Not ok: the line has ended.
func (l *line) ask(q *inquiry) (c *call, err error, ok bool) {
	l.mu.Lock()
	if l.retired || l.count >= lineQuestions {
		l.mu.Unlock()
		return nil, nil, false
	}
	var id [2]byte
	for {
		l.random(id[:])
		if _, taken := l.asked[binary.BigEndian.Uint16(id[:])]; !taken {
			break
		}
	}
	q.name(binary.BigEndian.Uint16(id[:]))
	c = &call{q, make(chan packet, 1)}
	l.asked[q.id()] = c
	l.waiting++
	if l.count++; l.count == lineQuestions {
		defer l.retire()
	}
	l.mu.Unlock()
	_, err = l.conn.Write(q.packed)
	if err != nil {
		l.leave(c)
		l.retire()
	}
	return c, err, true
}

// leave ends a call. Its id stays known, so that a late answer is no stray.
func (l *line) leave(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := c.inquiry.id(); l.asked[id] == c {
		l.asked[id] = nil
		l.waiting--
	}
	l.hangUp()
}

// retire ends the line as soon as nobody waits.
func (l *line) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.hangUp()
}

func (l *line) hangUp() {
	if l.retired && l.waiting == 0 {
		_ = l.conn.Close()
	}
}

// listen hands out what comes, until the socket is closed.
func (l *line) listen(life *time.Timer) {
	defer life.Stop()
	p := make([]byte, 4096)
	for {
		n, err := l.conn.Read(p)
		if err != nil {
			l.fail(err)
			return
		}
		l.take(p[:n])
	}
}

// take gives a packet to the call that it answers.
func (l *line) take(p []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(p) >= headerSize {
		id := binary.BigEndian.Uint16(p)
		c, known := l.asked[id]
		switch {
		case known && c == nil:
			delete(l.asked, id) // too late, once
			return
		case known:
			if m := c.inquiry.fits(p); m != stranger {
				l.give(c, packet{data: append([]byte(nil), p...), fit: m})
				return
			}
		}
	}
	if l.strays++; l.strays == maxStrays {
		l.retired = true
		l.giveAll(errStrays)
	}
}

// fail ends all calls of a socket that has an error: a server that is not there
// (ICMP), or our own end.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retired = true
	l.giveAll(plain(err))
	_ = l.conn.Close()
}

func (l *line) giveAll(err error) {
	for _, c := range l.asked {
		if c != nil {
			l.give(c, packet{err: err})
		}
	}
}

// give ends a call with what came for it.
func (l *line) give(c *call, p packet) {
	delete(l.asked, c.inquiry.id())
	l.waiting--
	c.got <- p
	l.hangUp()
}
