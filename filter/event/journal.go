package event

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"
)

// ToJournal carries to systemd's journal by its native protocol: a datagram for
// each line on the socket at path, with a journal field for each field of the
// line: event.action is EVENT_ACTION, "message" is MESSAGE. Lists are one field
// for each value.
func (o *Output) ToJournal(path string) *Output {
	return o.to(&journal{path: path})
}

type journal struct {
	path string
	conn net.Conn
}

// journalTimeout is for one datagram.
const journalTimeout = 10 * time.Second

func (j *journal) send(lines []byte) (int, error) {
	if j.conn == nil {
		ctx, cancel := context.WithTimeout(context.Background(), journalTimeout)
		defer cancel()
		c, err := new(net.Dialer).DialContext(ctx, "unixgram", j.path)
		if err != nil {
			return 0, err
		}
		j.conn = c
	}
	sent := 0
	for sent < len(lines) {
		end := sent + bytes.IndexByte(lines[sent:], '\n')
		if err := j.entry(lines[sent:end]); err != nil {
			j.close()
			return sent, err
		}
		sent = end + 1
	}
	return sent, nil
}

// entry sends one line. One that no datagram can hold goes without its longest
// fields.
func (j *journal) entry(line []byte) error {
	for _, limit := range []int{maxFault, maxEntries * maxName, 200} {
		_ = j.conn.SetWriteDeadline(time.Now().Add(journalTimeout))
		_, err := j.conn.Write(journalEntry(line, limit))
		if !errors.Is(err, syscall.EMSGSIZE) {
			return err
		}
	}
	return nil
}

// journalEntry leaves out fields beyond limit.
func journalEntry(line []byte, limit int) []byte {
	h, _ := headOf(line)
	b := append([]byte("SYSLOG_IDENTIFIER=sekimori\nPRIORITY="), byte('0'+h.severity()), '\n')
	fields := map[string]json.RawMessage{}
	if json.Unmarshal(line, &fields) != nil {
		return journalField(b, "MESSAGE", string(line))
	}
	for name, raw := range fields {
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) != nil {
			all = []json.RawMessage{raw}
		}
		if len(raw) > limit && name != "message" {
			continue
		}
		for _, one := range all {
			b = journalField(b, journalName(name), journalText(one))
		}
	}
	return b
}

// journalText is the text of a string, and JSON of anything else.
func journalText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// journalName: upper case letters, digits and underscores, not at the start, 64
// at most.
func journalName(s string) string {
	name := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, strings.ToUpper(s))
	name = strings.TrimLeft(name, "_0123456789")
	return name[:min(len(name), 64)]
}

// journalField writes NAME=value, or, where the value has line ends, its length in
// 64 bits, little endian.
func journalField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if !strings.Contains(value, "\n") {
		return append(append(append(b, '='), value...), '\n')
	}
	b = binary.LittleEndian.AppendUint64(append(b, '\n'), uint64(len(value)))
	return append(append(b, value...), '\n')
}

func (j *journal) renew() {}

func (j *journal) close() {
	if j.conn != nil {
		_ = j.conn.Close()
		j.conn = nil
	}
}
