package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"
)

// talk is the connection that the library is given, above TLS. It hands over one
// command at a time, whole, so that the library never holds an octet of what
// follows it. Hence messages need not go through the library, which looks at
// each of their octets by itself and misses some ends (RFC 5321 section 4.1.1.4):
// the session reads them here, and all that the library gets to see of one is
// the end. TLS begins here too (RFC 3207): what comes in it is another talk.
//
// It is for one goroutine at a time: that of the connection, or of a Data in
// chunks while it holds the other one up.
type talk struct {
	net.Conn
	server *Server
	guard  *conn
	lib    *smtp.Server
	tls    *tls.ConnectionState // nil in clear

	ahead []byte // read, not yet handed over
	chunk int64  // octets of a chunk that come next (RFC 3030)
	text  content
	mode  mode

	hello string // HELO or EHLO while the library answers it
	esmtp bool   // the last one was EHLO
	mute  bool   // until the next Read: SMTP has no second greeting
}

// mode is what the library reads next.
type mode int

const (
	commands mode = iota
	message       // the end of one, after the rest of it
	turned        // nothing: TLS is to begin
	over          // nothing: TLS has begun, or the connection is closed
)

// endLine is what the library gets of a message.
const endLine = ".\r\n"

// newTalk makes the talk on top, which is the guard or TLS above it.
func (s *Server) newTalk(g *conn, top net.Conn) *talk {
	t := &talk{Conn: top, server: s, guard: g}
	t.lib = s.smtpServer(g)
	if c, ok := top.(*tls.Conn); ok {
		state := c.ConnectionState()
		t.tls = &state
	}
	return t
}

// serve has the library serve a connection, in a goroutine of its own. It then
// wants the next connection, which there is none of: each has a server of its
// own, as what is offered depends on the MTA of the moment.
func (t *talk) serve() { _ = t.lib.Serve(&single{conn: t}) }

// Read gives the library what it may have next.
func (t *talk) Read(p []byte) (int, error) {
	t.mute = false
	switch {
	case t.mode == message:
		if err := t.skip(); err != nil {
			return 0, err
		}
		t.mode = commands
		return copy(p, endLine), nil
	case t.mode != commands || t.guard.hungUp():
		return 0, errHungUp // also where something is left that was read
	case t.chunk > 0:
		return t.readChunk(p)
	}
	for {
		n, err := t.readLine(p)
		if err != nil {
			return 0, err
		}
		if n, err = t.command(p, n); n > 0 || err != nil {
			return n, err
		}
	}
}

// readLine puts one line into p, or a full p where it is too long. A line that
// the end of the connection cuts short is no command.
func (t *talk) readLine(p []byte) (int, error) {
	n := t.again(p[:min(len(p), firstLine(t.ahead))])
	for n == 0 || p[n-1] != '\n' {
		if n == len(p) {
			return n, nil
		}
		more, err := t.Conn.Read(p[n:])
		if more == 0 && err != nil {
			return 0, lost(err)
		}
		line := firstLine(p[n : n+more])
		t.unread(p[n+line : n+more])
		n += line
	}
	return n, nil
}

// firstLine is the length of b up to its first line end, or of all of it.
func firstLine(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// again gives what was read too much before. Its room goes with the last of it.
func (t *talk) again(p []byte) int {
	n := copy(p, t.ahead)
	if t.ahead = t.ahead[n:]; len(t.ahead) == 0 {
		t.ahead = nil
	}
	return n
}

// unread gives back what was read too much.
func (t *talk) unread(b []byte) {
	if len(b) > 0 {
		t.ahead = append(bytes.Clone(b), t.ahead...)
	}
}

// lost is why there is nothing more to read. The end of a connection is not the
// end of a message, in good order or not: a chunk that it cuts would pass for whole.
func lost(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errLost
	}
	return err
}

// raw is the talk as octets.
type raw struct{ *talk }

func (r raw) Read(p []byte) (int, error) {
	if n := r.again(p); n > 0 {
		return n, nil
	}
	n, err := r.Conn.Read(p)
	if n > 0 || err == nil {
		return n, nil // TLS 1.2 tells of its end with the last octets: the error comes again
	}
	return 0, lost(err)
}

func (t *talk) readChunk(p []byte) (int, error) {
	n, err := raw{t}.Read(p[:min(int64(len(p)), t.chunk)])
	t.chunk -= int64(n)
	return n, err
}

// message reads the message that follows DATA.
func (t *talk) message() io.Reader {
	t.mode = message
	t.text = content{from: raw{t}}
	return &t.text
}

// skip passes over what the session has left of a message, of which the guard
// lets through no more than it would take of another.
func (t *talk) skip() error {
	if t.text.place == atEnd {
		return nil
	}
	waste := make([]byte, 4<<10)
	for {
		if _, err := t.text.Read(waste); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// command looks at what the library is about to get, n octets of p, and gives
// what it does get; 0: it was dealt with here.
func (t *talk) command(p []byte, n int) (int, error) {
	t.hello = ""
	if p[n-1] != '\n' { // too long: the library says so
		t.guard.hangUp()
		return n, nil
	}
	line := bytes.TrimRight(p[:n], "\r\n")
	switch {
	case isVerb(line, "HELO"):
		t.hello = "HELO"
	case isVerb(line, "EHLO"):
		t.hello = "EHLO"
	case len(line) >= 4 && strings.EqualFold(string(line[:4]), "BDAT"): // whatever divides it from its size
		return t.bdat(p, n, string(line[4:]))
	case len(line) >= 8 && bytes.EqualFold(line[:8], []byte("STARTTLS")):
		return 0, t.startTLS(string(line[8:]))
	}
	return n, nil
}

// isVerb tells, as the library does, whether a line is a command of that verb of
// four letters.
func isVerb(line []byte, verb string) bool {
	return len(line) >= 4 && (len(line) == 4 || line[4] == ' ') && strings.EqualFold(string(line[:4]), verb)
}

// bdat notes how many octets of a chunk follow (RFC 3030 section 2), and has the
// library read the same number. Where that cannot be told nothing more is read:
// nobody knows what is command and what is content.
func (t *talk) bdat(p []byte, n int, args string) (int, error) {
	words := strings.Fields(args)
	if len(words) == 1 || len(words) == 2 && strings.EqualFold(words[1], "LAST") {
		if size, err := strconv.ParseUint(words[0], 10, 32); err == nil {
			t.chunk = int64(size)
			line := "BDAT " + strconv.FormatUint(size, 10)
			if len(words) == 2 {
				line += " LAST"
			}
			return copy(p, line+"\r\n"), nil
		}
	}
	t.guard.hangUp()
	return n, nil
}

// startTLS answers where TLS cannot begin. Where it can, the library is done with
// this connection, and with all that it knew of the client (RFC 3207 section 4.2).
func (t *talk) startTLS(args string) error {
	answer := "502 5.5.1 TLS is not offered\r\n"
	switch {
	case t.tls != nil:
		answer = "502 5.5.1 TLS has begun already\r\n"
	case !t.guard.gate.offersTLS():
	case strings.TrimSpace(args) != "":
		answer = "501 5.5.4 STARTTLS has no parameters\r\n"
	default:
		t.mode = turned
		return errHungUp
	}
	_, err := io.WriteString(t.Conn, answer)
	return err
}

// Close ends the connection, or its part in clear.
func (t *talk) Close() error {
	switch t.mode {
	case turned:
		t.mode = over
		go t.turn()
		return nil
	case over:
		return nil
	}
	t.mode = over // what came behind QUIT is not looked at
	return t.Conn.Close()
}

// turn goes over to TLS. What was read in clear behind STARTTLS is gone with this
// talk (RFC 3207 section 6).
func (t *talk) turn() {
	defer func() {
		if v := recover(); v != nil {
			t.server.contain(v)
			_ = t.guard.Close()
		}
	}()
	t.guard.onLeave(nil)
	_, _ = io.WriteString(t.guard, "220 2.0.0 ready to start TLS\r\n")
	top, why := t.guard.secure()
	if why != "" {
		_ = t.guard.Close()
		return
	}
	next := t.server.newTalk(t.guard, top)
	next.mute = true
	next.serve()
}

// Write passes the library's replies on. Those to HELO and EHLO begin with our
// name and not the client's (RFC 5321 section 4.1.1.1).
func (t *talk) Write(b []byte) (int, error) {
	if t.mute {
		return len(b), nil
	}
	if t.hello != "" && bytes.HasPrefix(b, []byte("250")) {
		ours := t.greeting(b[3] == ' ')
		t.esmtp, t.hello = t.hello == "EHLO", ""
		if _, err := io.WriteString(t.Conn, ours); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	return t.Conn.Write(b)
}

// greeting is the first line of such a reply, and what the library cannot offer
// as it knows nothing of TLS.
func (t *talk) greeting(all bool) string {
	if all {
		return "250 " + t.server.Hostname + "\r\n"
	}
	offer := "250-" + t.server.Hostname + "\r\n"
	switch {
	case t.tls == nil && t.guard.gate.offersTLS():
		offer += "250-STARTTLS\r\n"
	case t.tls != nil && t.lib.EnableREQUIRETLS:
		offer += "250-REQUIRETLS\r\n" // RFC 8689 section 2
	}
	return offer
}
