package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
)

// secureMTA is the double behind STARTTLS.
func secureMTA(t *testing.T, d *door, config *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d.server.Upstream.every()[0].Address = l.Addr().String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go startTLSDouble(d.mta, c, config)
		}
	}()
}

// startTLSDouble speaks until STARTTLS and leaves the rest to the double.
func startTLSDouble(m *mta, c net.Conn, config *tls.Config) {
	defer c.Close()
	r := bufio.NewReader(c)
	io.WriteString(c, "220 mta.example\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(line, "EHLO"):
			io.WriteString(c, "250-mta.example\r\n250 starttls\r\n")
		case line == "STARTTLS\r\n":
			io.WriteString(c, "220 go\r\n")
			s := tls.Server(c, config)
			if s.Handshake() == nil {
				m.do("connect", misdeed{say: " "}) // no second greeting
				m.serve(skipFirst{s})
			}
			return
		default:
			io.WriteString(c, "250 ok\r\n")
		}
	}
}

// skipFirst keeps the double from greeting a second time.
type skipFirst struct{ *tls.Conn }

func (s skipFirst) Write(b []byte) (int, error) {
	if string(b) == " " {
		return len(b), nil
	}
	return s.Conn.Write(b)
}

func TestUpstreamTLS(t *testing.T) {
	cert, key, pool := writeCertificate(t, t.TempDir(), "mta.example", 1)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	good := &tls.Config{Certificates: []tls.Certificate{pair}}
	none := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }}
	strict := &tls.Config{Certificates: good.Certificates, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: tls.VersionTLS12} // 1.3 tells later
	known := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
	verify := &tls.Config{RootCAs: pool, ServerName: "mta.example"}
	for name, c := range map[string]struct {
		mode   TLSMode
		client *tls.Config
		server *tls.Config // nil: no STARTTLS
		ok     bool
	}{
		"none":                       {TLSNone, nil, good, true},
		"opportunistic":              {TLSOpportunistic, nil, good, true},
		"opportunistic, not offered": {TLSOpportunistic, nil, nil, true},
		"opportunistic, broken":      {TLSOpportunistic, nil, none, true},
		"required":                   {TLSRequired, nil, good, true},
		"required, not offered":      {TLSRequired, nil, nil, false},
		"required, who are you":      {TLSRequired, nil, strict, false},
		"required, known":            {TLSRequired, known, strict, true},
		"required, broken":           {TLSRequired, nil, none, false},
		"verified":                   {TLSVerified, verify, good, true},
		"verified, unknown CA":       {TLSVerified, nil, good, false},
		"verified, other name":       {TLSVerified, &tls.Config{RootCAs: pool, ServerName: "other.example"}, good, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t)
			if c.server != nil {
				secureMTA(t, d, c.server)
			}
			d.server.Upstream.TLS, d.server.Upstream.TLSConfig = c.mode, c.client
			k := d.dial().ready()
			want := "451 4.4.1"
			if c.ok {
				want = "250"
			}
			k.say("MAIL FROM:<a@b.example>", want)
			if !c.ok && !d.happened("upstream tls") {
				t.Error("no event")
			}
			k.say("QUIT", "221")
		})
	}
}
