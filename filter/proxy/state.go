package proxy

import "time"

// What the session and the server tell the guard of a connection.

// begin marks that a transaction is open. False means that the server shuts
// down and none may begin.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.hung {
		return false
	}
	c.busy = true
	return true
}

// end marks that the transaction is over.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
}

// progress marks that the client got on with a message.
func (c *conn) progress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turns = 0
}

// data switches between the time limits of commands and those of a message. The
// latter stay in force until the reply has left: an unread rest of a message
// comes in at the same speed, and no more of it than another message's size.
func (c *conn) data(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !on {
		c.ending, c.rest = true, c.limits.MessageSize
		return
	}
	c.inData, c.ending = true, false
	c.pace = pace{window: c.limits.DataWindow, rate: c.limits.DataRate}
}

// hangUp ends the connection: what was and will be written before the next
// read is sent, but nothing more is read.
func (c *conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hung = true
}

func (c *conn) hungUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hung
}

// replied marks that the client has got replies: its time for the next command
// begins.
func (c *conn) replied() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = time.Now()
	c.turns++
	if c.ending {
		c.inData, c.ending = false, false
	}
}

// onLeave sets what says the last words.
func (c *conn) onLeave(f func(draining bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.farewell = f
}

// drain lets the connection end as soon as no transaction is open.
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	if !c.busy {
		c.wake()
	}
}

// expel ends the connection now, transaction or not.
func (c *conn) expel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining, c.hung = true, true
	c.wake()
}

// wake interrupts what waits for the client, which then finds out why. A closed
// socket needs no waking.
func (c *conn) wake() { _ = c.Conn.SetReadDeadline(past()) }

// shuttingDown tells whether the server ends this connection.
func (c *conn) shuttingDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.draining
}

// expect sets until when reading waits for octets that need not come: then
// errQuiet is given, and nothing else follows from it. The zero time ends this.
func (c *conn) expect(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = until
}

// unread gives octets back, for the next Read.
func (c *conn) unread(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = append(b, c.ahead...)
}

// known marks that the peer may send a PROXY header.
func (c *conn) known() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = true
}

// impersonates sees the first octets that the client sends, and ends a
// connection that begins with a PROXY header which is not its to send.
func (c *conn) impersonates(b []byte) bool {
	c.mu.Lock()
	c.stranger = !c.heard && !c.gate.Implicit && foreignHeader(b)
	found := c.stranger
	c.hung = c.hung || found
	c.heard = c.heard || len(b) > 0
	early := !c.until.IsZero()
	c.mu.Unlock()
	if found && !early {
		_, _ = c.Write([]byte(RefusedForeign.reply()))
		c.onRefused(RefusedForeign)
	}
	return found
}

// foreign tells whether the connection began with a PROXY header which was not
// its to send.
func (c *conn) foreign() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stranger
}
