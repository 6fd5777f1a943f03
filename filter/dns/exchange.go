package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	mdns "github.com/miekg/dns"
)

// exchange asks one server: by UDP, and by TCP when the answer does not fit
// (RFC 7766 section 5) or UDP cannot be trusted.
func (c *Client) exchange(ctx context.Context, s *server, step *chain, edns bool) (*mdns.Msg, error) {
	f := form{edns: edns, ad: c.TrustAD, letter: c.MixCase && !s.folds.Load(), random: c.random}
	q := newInquiry(step, f)
	m, err := c.overUDP(ctx, s, &q)
	if !errors.Is(err, errTruncated) && !errors.Is(err, errStrays) && !errors.Is(err, errCase) {
		return m, err
	}
	m, how, errTCP := c.overTCP(ctx, s, &q)
	switch {
	case errTCP == nil:
		// Nobody else can speak by TCP: the server itself changes the letters.
		if how == otherCase {
			s.folds.Store(true)
		}
		return m, nil
	case errors.Is(err, errCase) && ctx.Err() == nil:
		// It has no TCP by which to find out, so this question is put as ever.
		f.letter = false
		q = newInquiry(step, f)
		return c.overUDP(ctx, s, &q)
	}
	return nil, fmt.Errorf("%w, then TCP: %w", err, errTCP)
}

func (c *Client) overUDP(ctx context.Context, s *server, q *inquiry) (*mdns.Msg, error) {
	start := time.Now()
	l, call, err := s.ask(ctx, q, c.random)
	if err != nil {
		s.unanswered(time.Now())
		return nil, plain(err)
	}
	late := time.NewTimer(c.timeout())
	defer late.Stop()
	select {
	case p := <-call.got:
		switch {
		case p.err != nil:
			s.unanswered(time.Now())
			return nil, p.err
		case p.fit == otherCase:
			return nil, errCase
		}
		s.answered(time.Since(start))
		return q.read(p.data)
	case <-late.C:
		s.unanswered(time.Now())
	case <-ctx.Done():
	}
	l.leave(call)
	return nil, errSilence
}

// overTCP asks on the connection that was left over, or on a new one.
func (c *Client) overTCP(ctx context.Context, s *server, q *inquiry) (*mdns.Msg, fit, error) {
	q.name(freshID(c.random))
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	if conn := s.idle.take(); conn != nil {
		if m, how, err := s.converse(ctx, conn, q); err == nil {
			return m, how, nil
		}
		// RFC 7766 section 6.2.4: servers may close at any time.
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, stranger, plain(err)
	}
	return s.converse(ctx, conn, q)
}

// converse asks one question on a connection. In good order, it is kept.
func (s *server) converse(ctx context.Context, conn net.Conn, q *inquiry) (*mdns.Msg, fit, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	p, err := overStream(conn, q)
	how := q.fits(p)
	if err == nil && how == stranger {
		err = fmt.Errorf("%w: it belongs to another question", errUnreadable)
	}
	if !stop() || err != nil {
		_ = conn.Close()
	} else {
		s.idle.put(conn)
	}
	if err != nil {
		return nil, stranger, plain(err)
	}
	m, err := q.read(p)
	if errors.Is(err, errTruncated) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return m, how, err
}

func overStream(conn net.Conn, q *inquiry) ([]byte, error) {
	// RFC 7766 section 8: the length goes into the same segment.
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.packed))), q.packed...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	p := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(conn, p)
	return p, err
}

// idle is a TCP connection to one server that waits for its next question
// (RFC 7766 section 6.2.1), for a short while.
type idle struct {
	mu   sync.Mutex
	conn net.Conn
	life *time.Timer
}

const idleTime = 5 * time.Second

func (i *idle) take() net.Conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	conn := i.conn
	if conn != nil {
		i.life.Stop()
	}
	i.conn = nil
	return conn
}

func (i *idle) put(conn net.Conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conn != nil {
		_ = conn.Close()
		return
	}
	i.conn = conn
	i.life = time.AfterFunc(idleTime, func() { i.drop(conn) })
}

// drop closes the connection if it is still the one that waits.
func (i *idle) drop(conn net.Conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conn == conn {
		i.conn = nil
		_ = conn.Close()
	}
}

func (i *idle) close() {
	if conn := i.take(); conn != nil {
		_ = conn.Close()
	}
}

// plain says in a word what a socket's error is; the address stands beside it anyway.
func plain(err error) error {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return errSilence
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	case errors.As(err, &op):
		return op.Err
	}
	return err
}
