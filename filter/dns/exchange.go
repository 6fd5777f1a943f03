package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	mdns "github.com/miekg/dns"
)

const (
	// udpSize is what we say that we can take: it passes every path in one piece
	// (RFC 9715 section 3.2 names 1400 as the most, DNS flag day 2020 this).
	udpSize = 1232
	// maxStrays is how many packets that do not fit are passed over before UDP
	// is given up: somebody guesses ids (RFC 5452 section 9.2).
	maxStrays = 32
)

var (
	errUnreadable = errors.New("the answer cannot be read")
	errTruncated  = errors.New("truncated")
	errSilence    = errors.New("no answer in time")
	errStrays     = errors.New("too many packets that do not belong to the question")
)

// inquiry is a question on the wire, and the measure of what belongs to it.
type inquiry struct {
	id     uint16
	name   string
	qtype  uint16
	packed []byte
}

func newInquiry(id uint16, c *chain, edns, ad bool) (inquiry, error) {
	q := inquiry{id: id, name: c.name, qtype: typeCode(c.wanted)}
	m := mdns.Msg{
		MsgHdr: mdns.MsgHdr{Id: id, RecursionDesired: true, AuthenticatedData: ad},
		// RFC 1034 section 3.1: the trailing dot makes it absolute; no search list (DN-10).
		Question: []mdns.Question{{Name: present(c.name), Qtype: q.qtype, Qclass: mdns.ClassINET}},
	}
	if edns {
		m.SetEdns0(udpSize, false)
	}
	var err error
	q.packed, err = m.Pack()
	return q, err
}

// read takes a packet apart. Not mine: it answers something else, or nothing.
func (q *inquiry) read(p []byte) (m *mdns.Msg, mine bool, err error) {
	const header, response, truncated = 12, 0x80, 0x02
	if len(p) < header || binary.BigEndian.Uint16(p) != q.id || p[2]&response == 0 {
		return nil, false, nil
	}
	if p[2]&truncated != 0 {
		return nil, true, errTruncated // what is there is not looked at: half a record set is a wrong one
	}
	m = new(mdns.Msg)
	if err := m.Unpack(p); err != nil {
		return nil, true, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if !q.echoed(m) {
		return nil, false, nil
	}
	if int(binary.BigEndian.Uint16(p[6:])) != len(m.Answer) {
		return nil, true, fmt.Errorf("%w: it holds fewer records than it says", errUnreadable)
	}
	return m, true, nil
}

// echoed: the reply repeats our question (RFC 5452 section 9.1). Servers that
// refuse may leave it out.
func (q *inquiry) echoed(m *mdns.Msg) bool {
	if len(m.Question) == 0 {
		return m.Rcode != mdns.RcodeSuccess && m.Rcode != mdns.RcodeNameError
	}
	if len(m.Question) != 1 || m.Opcode != mdns.OpcodeQuery {
		return false
	}
	name, ok := parseName(m.Question[0].Name)
	return ok && name == q.name && m.Question[0].Qtype == q.qtype && m.Question[0].Qclass == mdns.ClassINET
}

// exchange asks one server: by UDP, and by TCP when the answer does not fit
// (RFC 7766 section 5) or UDP cannot be trusted.
func (c *Client) exchange(ctx context.Context, server netip.AddrPort, step *chain, edns bool) (*mdns.Msg, error) {
	q, err := newInquiry(c.newID(), step, edns, c.TrustAD)
	if err != nil {
		return nil, err
	}
	m, err := overUDP(ctx, c.timeout(), server, q)
	if !errors.Is(err, errTruncated) && !errors.Is(err, errStrays) {
		return m, err
	}
	m, errTCP := overTCP(ctx, c.timeout(), server, q)
	if errTCP != nil {
		return nil, fmt.Errorf("%w, then TCP: %w", err, errTCP)
	}
	return m, nil
}

func overUDP(ctx context.Context, timeout time.Duration, server netip.AddrPort, q inquiry) (*mdns.Msg, error) {
	// Each question has a socket of its own: a new random port (RFC 5452 section 9.2).
	conn, hangUp, err := dial(ctx, "udp", server, timeout)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	if _, err := conn.Write(q.packed); err != nil {
		return nil, plain(err)
	}
	packet := make([]byte, 4096)
	for range maxStrays {
		n, err := conn.Read(packet)
		if err != nil {
			return nil, plain(err)
		}
		if m, mine, err := q.read(packet[:n]); mine {
			return m, err
		}
	}
	return nil, errStrays
}

func overTCP(ctx context.Context, timeout time.Duration, server netip.AddrPort, q inquiry) (*mdns.Msg, error) {
	conn, hangUp, err := dial(ctx, "tcp", server, timeout)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	// RFC 7766 section 8: the length goes into the same segment.
	if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(q.packed))), q.packed...)); err != nil {
		return nil, plain(err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, plain(err)
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, plain(err)
	}
	m, mine, err := q.read(packet)
	if err == nil && !mine {
		err = fmt.Errorf("%w: it belongs to another question", errUnreadable)
	}
	if errors.Is(err, errTruncated) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return m, err
}

// dial opens a connection that lives no longer than timeout and ctx.
func dial(ctx context.Context, network string, server netip.AddrPort, timeout time.Duration) (net.Conn, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		cancel()
		return nil, nil, plain(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() {
		stop()
		cancel()
		_ = conn.Close()
	}, nil
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
