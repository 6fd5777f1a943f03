package main

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load sends letters in turn over many connections at once, each as fast as it
// is answered.
type load struct {
	addr          string
	letters       []letter
	messages      int // to send; 0 is no end
	concurrency   int
	perConnection int
	tls           bool
	grace         time.Duration // of messages under way when the load is to end
	tally         *tally

	next atomic.Int64
}

// loadPause follows a connection that was not had, so that a server that is
// down is not asked a thousand times a second.
const loadPause = 100 * time.Millisecond

// run sends until all is sent or ctx ends, and tells how long that took.
func (l *load) run(ctx context.Context) time.Duration {
	began := time.Now()
	var all sync.WaitGroup
	for range l.concurrency {
		all.Go(func() {
			c := carrier{load: l}
			for n, ok := l.ticket(ctx); ok; n, ok = l.ticket(ctx) {
				c.carry(ctx, l.letters[n%len(l.letters)])
			}
			c.hangUp()
		})
	}
	all.Wait()
	return time.Since(began)
}

// ticket is the number of the next message to send, if there is one.
func (l *load) ticket(ctx context.Context) (int, bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	n := int(l.next.Add(1)) - 1
	return n, l.messages == 0 || n < l.messages
}

// carrier sends one message after the other, over a connection where it has one.
type carrier struct {
	load *load
	s    *sender
	used int // messages of this connection
	stop func() bool
}

// carry sends one letter and counts what became of it.
func (c *carrier) carry(ctx context.Context, l letter) {
	began := time.Now()
	if c.s == nil {
		if reply := c.connect(ctx); reply != "" {
			if ctx.Err() == nil {
				c.load.tally.message(reply, 0)
				wait(ctx, loadPause)
			}
			return
		}
		c.load.tally.phase("connect", time.Since(began))
	}
	c.renew(ctx)
	last := time.Now()
	c.s.lap = func(step string) {
		now := time.Now()
		c.load.tally.phase(step, now.Sub(last))
		last = now
	}
	reply := c.s.post(l)
	c.load.tally.phase("whole", time.Since(began))
	c.load.tally.message(reply, len(l.wire))
	c.after(reply)
}

// after makes the connection ready for the next message, or closes it.
func (c *carrier) after(reply string) {
	c.used++
	over := c.used == c.load.perConnection || replyCode(reply) == codeLost || strings.HasPrefix(reply, "421")
	if over || !positive(reply) && !positive(c.s.command("RSET")) {
		c.hangUp()
	}
}

// connect gives "", or the reply with which it failed.
func (c *carrier) connect(ctx context.Context) string {
	d := net.Dialer{Timeout: sendTimeout}
	conn, err := d.DialContext(ctx, "tcp", c.load.addr)
	if err != nil {
		return "no connection: " + err.Error()
	}
	c.s, c.used = newSender(conn), 0
	c.stop = context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(c.load.grace)) })
	err = c.s.greet(netipNone, benchHelo)
	if err == nil && c.load.tls {
		err = c.s.startTLS(benchHelo)
	}
	if err == nil {
		c.load.tally.connected()
		return ""
	}
	c.hangUp()
	if refused, ok := err.(*refusedError); ok {
		return refused.reply
	}
	return "connection lost: " + err.Error()
}

// renew gives the next transaction its time, which the end of ctx cuts short.
func (c *carrier) renew(ctx context.Context) {
	_ = c.s.conn.SetDeadline(time.Now().Add(sendTimeout))
	if ctx.Err() != nil { // it may have ended just before
		_ = c.s.conn.SetDeadline(time.Now().Add(c.load.grace))
	}
}

func (c *carrier) hangUp() {
	if c.s != nil {
		c.s.close()
		c.stop()
		c.s = nil
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
