package dns

import (
	"context"
	"errors"
	"net"
	"sync"

	mdns "github.com/miekg/dns"
)

// Serve answers from the zone as a name server does, over UDP and TCP, until
// ctx ends or a listener fails; it closes both. Either may be nil. A ;fail line
// with TIMEOUT is met with silence.
func (z *Zone) Serve(ctx context.Context, udp net.PacketConn, tcp net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var servers []*mdns.Server
	if udp != nil {
		servers = append(servers, &mdns.Server{PacketConn: udp, Handler: mdns.HandlerFunc(z.serveUDP)})
	}
	if tcp != nil {
		servers = append(servers, &mdns.Server{Listener: tcp, Handler: mdns.HandlerFunc(z.serveTCP)})
	}
	failures := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, s := range servers {
		wg.Go(func() {
			defer stop()
			failures[i] = serve(ctx, s)
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}

// serve runs one server; Shutdown has an effect only once it has started.
func serve(ctx context.Context, s *mdns.Server) error {
	started := make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	ended := make(chan error, 1)
	go func() { ended <- s.ActivateAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-started:
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		_ = s.Shutdown()
		return <-ended
	}
}

func (z *Zone) serveUDP(w mdns.ResponseWriter, r *mdns.Msg) {
	size := mdns.MinMsgSize
	if opt := r.IsEdns0(); opt != nil {
		size = max(size, min(int(opt.UDPSize()), udpSize))
	}
	z.respond(w, r, size)
}

func (z *Zone) serveTCP(w mdns.ResponseWriter, r *mdns.Msg) { z.respond(w, r, mdns.MaxMsgSize) }

func (z *Zone) respond(w mdns.ResponseWriter, r *mdns.Msg, size int) {
	var m *mdns.Msg
	asked := r.Question[0] // the library refuses messages with any other number of questions
	if name, ok := parseName(asked.Name); ok && asked.Qclass == mdns.ClassINET {
		m = z.reply(name, asked.Qtype)
	} else {
		m = &mdns.Msg{MsgHdr: mdns.MsgHdr{Response: true, Rcode: mdns.RcodeRefused}}
	}
	if m == nil {
		return
	}
	m.Id, m.RecursionDesired, m.Question = r.Id, r.RecursionDesired, r.Question
	if r.IsEdns0() != nil {
		m.SetEdns0(udpSize, false)
	}
	m.Compress = true
	m.Truncate(size)
	_ = w.WriteMsg(m) // the client asks again
}
