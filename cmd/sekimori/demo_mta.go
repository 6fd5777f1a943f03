package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/emersion/go-smtp"
)

// demoMTA is the receiving MTA of the demo: it takes mail for example.net and
// keeps the last messages in memory.
type demoMTA struct {
	server *smtp.Server
	listen net.Listener

	mu    sync.Mutex
	count int
	kept  []demoMail
}

type demoMail struct {
	from  string
	rcpts []string
	data  []byte
}

const demoKeeps = 100

func startDemoMTA() (*demoMTA, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &demoMTA{listen: l}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &demoSession{mta: m}, nil }))
	m.server.Domain = "mta.example.net"
	m.server.EnableSMTPUTF8 = true
	m.server.MaxLineLength = 1 << 20
	go m.server.Serve(l)
	return m, nil
}

func (m *demoMTA) close() { m.server.Close() }

// keep stores a message and gives its queue id.
func (m *demoMTA) keep(mail demoMail) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	m.kept = append(m.kept, mail)
	if len(m.kept) > demoKeeps {
		m.kept = m.kept[1:]
	}
	return fmt.Sprintf("DEMO%04d", m.count)
}

// received counts the messages so far.
func (m *demoMTA) received() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// last is the newest message.
func (m *demoMTA) last() demoMail {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) == 0 {
		return demoMail{}
	}
	return m.kept[len(m.kept)-1]
}

type demoSession struct {
	mta  *demoMTA
	mail demoMail
}

func (s *demoSession) Mail(from string, _ *smtp.MailOptions) error {
	s.mail = demoMail{from: from}
	return nil
}

func (s *demoSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.rcpts = append(s.mail.rcpts, to)
	return nil
}

func (s *demoSession) Data(r io.Reader) error {
	var err error
	if s.mail.data, err = io.ReadAll(r); err != nil {
		return errors.New("lost")
	}
	// An error is the one way to choose the text of a success.
	return &smtp.SMTPError{Code: 250, EnhancedCode: smtp.NoEnhancedCode, Message: "2.0.0 Ok: queued as " + s.mta.keep(s.mail)}
}

func (s *demoSession) Reset()        { s.mail = demoMail{} }
func (s *demoSession) Logout() error { return nil }
