package proxy

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/emersion/go-smtp"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// transaction is one MAIL with all that follows up to the final reply. It has
// an object of its own so that what still runs of an old one can never touch
// the next.
type transaction struct {
	ctx    context.Context
	cancel context.CancelFunc
	env    mail.Envelope
	start  time.Time
	asked  *smtp.MailOptions // by the client
	host   string            // of the MTA, for the Record
	moved  bool              // to another host, once its first was lost
	rules  string            // of all its recipients
	lost   reply             // the MTA is gone: the answer to everything else
	data   chan struct{}     // closed when Data is done; nil if it was never begun
}

// ending is how a transaction that reached DATA ended.
type ending struct {
	outcome filter.Outcome
	reply   reply
	err     string // our own trouble
}

func (x *session) open(reverse string, o *smtp.MailOptions) *transaction {
	x.helo = x.smtp.Hostname() // RFC 7208 section 7.3: %{h} is the most recent one
	tx := &transaction{
		start: x.server.now(),
		asked: o,
		env: mail.Envelope{
			ID:       x.server.newID(),
			Client:   x.guard.client.Addr(),
			Port:     x.guard.client.Port(),
			Helo:     x.helo,
			MailFrom: reverse,
			SMTPUTF8: o.UTF8,
			ESMTP:    x.talk.esmtp,
			TLS:      x.tls,
		},
	}
	tx.ctx, tx.cancel = context.WithCancel(x.ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tx = tx
	return tx
}

func (x *session) current() *transaction {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tx
}

// close ends the transaction here and at the MTA. Calling it again does nothing.
func (x *session) close(tx *transaction) {
	tx.cancel()
	x.mu.Lock()
	if x.tx != tx {
		x.mu.Unlock()
		return
	}
	x.tx = nil
	x.mu.Unlock()
	if x.link != nil {
		if err := x.link.reset(); err != nil {
			x.upstreamTrouble(err)
		}
		if x.link.host.keep(x.link) {
			x.link = nil
		}
	}
	x.guard.end()
}

// abandon gives up the open transaction, if there is one. Where Data runs it has
// been cut off from the client by now, and ends the transaction itself: it may
// have closed it already and still talk to the MTA about it.
func (x *session) abandon() {
	x.mu.Lock()
	tx, chunks, running := x.tx, x.chunks, x.running
	x.chunks, x.running = nil, nil
	x.mu.Unlock()
	if running != nil {
		if tx != nil {
			tx.cancel()
		}
		await(running, chunks)
	}
	letGo(chunks)
	if tx != nil {
		x.close(tx)
	}
}

// await waits for Data to end. STARTTLS between two chunks leaves it without
// chunks and without an end.
func await(running chan struct{}, chunks *io.PipeReader) {
	patience := time.NewTimer(100 * time.Millisecond)
	defer patience.Stop()
	select {
	case <-running:
		return
	case <-patience.C:
	}
	if chunks != nil {
		_ = chunks.CloseWithError(smtp.ErrDataReset)
	}
	<-running
}

// letGo waits until the library has taken the result of Data: a late one would
// be taken for that of the next message. It closes the pipe right after.
func letGo(chunks *io.PipeReader) {
	if chunks == nil {
		return
	}
	for range 1000 {
		if _, err := chunks.Read(nil); errors.Is(err, io.ErrClosedPipe) {
			return
		}
		time.Sleep(20 * time.Microsecond)
	}
}

// claim takes the open transaction for Data, which may do so once.
func (x *session) claim(r io.Reader) *transaction {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tx == nil || x.tx.data != nil || x.closing {
		return nil
	}
	x.chunks, _ = r.(*io.PipeReader)
	x.tx.data = make(chan struct{})
	x.running = x.tx.data
	return x.tx
}

// prefetch lets the core warm its cache beside the transaction.
func (s *Server) prefetch(tx *transaction, h *mail.Header) {
	if s.Prefetch == nil {
		return
	}
	env := tx.env
	env.Rcpts = slices.Clone(env.Rcpts)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				s.contain(v)
			}
		}()
		s.Prefetch(tx.ctx, env, h)
	}()
}
