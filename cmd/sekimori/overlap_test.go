package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
)

// The path of BenchmarkReplyAfterDot: what a DNS answer takes, and the way
// from the sender to us.
const (
	answerTime = 30 * time.Millisecond
	oneWay     = 15 * time.Millisecond
	bitRate    = 10_000_000 // bits a second
)

// BenchmarkReplyAfterDot tells how long a sender waits for the reply to its final
// dot, beyond the way there and back: with what is asked of the DNS while it is
// still typing, with all of it known already, and with everything asked after
// the dot. ms/dot is the time, questions what was asked of the DNS: one after
// the other they would take answerTime each.
func BenchmarkReplyAfterDot(b *testing.B) {
	m, err := signedMail(40<<10, "", []string{"user@example.net"})
	if err != nil {
		b.Fatal(err)
	}
	source := config.Default()
	source.DNS.Servers = []string{slowServer(b, overlapZone(b, m))}
	b.Run("cold", func(b *testing.B) { replyAfterDot(b, source, m.letters[0], true, false) })
	b.Run("warm", func(b *testing.B) { replyAfterDot(b, source, m.letters[0], true, true) })
	b.Run("cold, all after the dot", func(b *testing.B) { replyAfterDot(b, source, m.letters[0], false, false) })
}

// overlapZone: SPF with two includes, DKIM, a policy at the domain above.
func overlapZone(b *testing.B, m *benchMail) *dns.Zone {
	key, err := m.keyRecord(benchDomain(0))
	if err != nil {
		b.Fatal(err)
	}
	text := key + fmt.Sprintf(`%s. TXT "v=spf1 include:one.example include:two.example -all"
one.example. TXT "v=spf1 ip4:192.0.2.0/24 include:three.example ~all"
two.example. TXT "v=spf1 ip4:127.0.0.0/8 ip6:::1 ~all"
three.example. TXT "v=spf1 ip4:198.51.100.0/24 ~all"
_dmarc.bench.example. TXT "v=DMARC1; p=reject"
`, benchDomain(0))
	zone, err := dns.ParseZone("overlap.zone", strings.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	return zone
}

// slowServer answers each question after answerTime.
func slowServer(b *testing.B, zone *dns.Zone) string {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	go func() { gone <- zone.Serve(ctx, latePackets{udp}, nil) }()
	b.Cleanup(func() { stop(); <-gone })
	return udp.LocalAddr().String()
}

// latePackets sends everything answerTime late.
type latePackets struct{ net.PacketConn }

func (l latePackets) WriteTo(p []byte, to net.Addr) (int, error) {
	late := bytes.Clone(p)
	time.AfterFunc(answerTime, func() { _, _ = l.PacketConn.WriteTo(late, to) })
	return len(p), nil
}

func replyAfterDot(b *testing.B, cfg config.Config, l letter, ahead, warm bool) {
	var total time.Duration
	var questions int
	for b.Loop() {
		h := openOverlap(b, cfg, ahead)
		if warm {
			sendSlowly(b, h.addr(), l)
			h.takeRecord(b)
		}
		total += sendSlowly(b, h.addr(), l)
		r := h.takeRecord(b)
		questions += len(r.Verdict.Results.DNS)
		if r.Verdict.Reason != filter.DMARCPass || r.Outcome != filter.Delivered {
			b.Fatalf("%s %s: %s", r.Verdict.Reason, r.Outcome, r.Verdict.Explanation)
		}
		h.close(b)
	}
	b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms/dot")
	b.ReportMetric(float64(questions)/float64(b.N), "questions")
	b.ReportMetric(0, "ns/op") // the whole conversation, which says nothing
}

// overlapHouse is a proxy whose DNS cache is empty.
type overlapHouse struct {
	*benchHouse
	records chan filter.Record
}

func openOverlap(b *testing.B, cfg config.Config, ahead bool) *overlapHouse {
	s, err := startSink()
	if err != nil {
		b.Fatal(err)
	}
	source, err := newResolver(cfg)
	if err != nil {
		b.Fatal(err)
	}
	door := benchConfig(&benchFlags{concurrency: 1}, s.listen.Addr().String())
	h := &overlapHouse{&benchHouse{sink: s, verdicts: map[string]int{}}, make(chan filter.Record, 1)}
	h.prepare = func(one *house) {
		if !ahead {
			one.server.Prefetch = nil
		}
		done := one.server.Done
		one.server.Done = func(r filter.Record) { done(r); h.records <- r }
	}
	if err := h.open(context.Background(), door, false, source); err != nil {
		b.Fatal(err)
	}
	return h
}

func (h *overlapHouse) takeRecord(b *testing.B) filter.Record {
	select {
	case r := <-h.records:
		return r
	case <-time.After(10 * time.Second):
		b.Fatal("no record of the message")
		return filter.Record{}
	}
}

func (h *overlapHouse) close(b *testing.B) {
	if err := h.benchHouse.close(); err != nil {
		b.Fatal(err)
	}
}

// sendSlowly sends a message over the path, one command after the other, and
// gives the time from the dot's arrival to the departure of its reply.
func sendSlowly(b *testing.B, addr string, l letter) time.Duration {
	p := openPath(b, addr)
	defer p.close()
	talk := textproto.NewConn(p.sender)
	say := func(code int, line string) {
		if line != "" {
			if _, err := io.WriteString(p.sender, line+"\r\n"); err != nil {
				b.Fatal(err)
			}
		}
		if _, _, err := talk.ReadResponse(code); err != nil {
			b.Fatal(err)
		}
	}
	say(220, "")
	say(250, "EHLO "+benchHelo)
	say(250, "MAIL FROM:<"+l.from+">")
	say(250, "RCPT TO:<"+l.rcpts[0]+">")
	say(354, "DATA")
	if _, err := p.sender.Write(l.wire); err != nil {
		b.Fatal(err)
	}
	say(250, "")
	return p.waited()
}

// path relays between a sender and a proxy as a slow line does.
type path struct {
	sender, relay, proxy net.Conn
	gone                 sync.WaitGroup

	mu       sync.Mutex
	arrived  time.Time // the last octets from the sender
	departed time.Time // the last reply
}

// parcel is what is on the way.
type parcel struct {
	data []byte
	due  time.Time
}

func openPath(b *testing.B, addr string) *path {
	sender, relay := net.Pipe()
	proxy, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	p := &path{sender: sender, relay: relay, proxy: proxy}
	p.carry(p.relay, p.proxy, bitRate, func(_, delivered time.Time) { p.arrived = delivered })
	p.carry(p.proxy, p.relay, 0, func(sent, _ time.Time) { p.departed = sent })
	return p
}

// carry takes octets one way, and notes when each parcel was sent and delivered.
func (p *path) carry(from, to net.Conn, rate int, note func(sent, delivered time.Time)) {
	way := make(chan parcel, 1000)
	p.gone.Go(func() {
		defer close(way)
		var free time.Time // of the line
		for {
			buf := make([]byte, 1460)
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			now := time.Now()
			if free.Before(now) {
				free = now
			}
			if rate > 0 {
				free = free.Add(time.Duration(n*8) * time.Second / time.Duration(rate))
			}
			way <- parcel{buf[:n], free.Add(oneWay)}
		}
	})
	p.gone.Go(func() {
		for one := range way {
			time.Sleep(time.Until(one.due))
			p.mu.Lock()
			note(one.due.Add(-oneWay), time.Now())
			p.mu.Unlock()
			if _, err := to.Write(one.data); err != nil {
				return
			}
		}
	})
}

// waited is the time between the last octets of the sender and the reply to them.
func (p *path) waited() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.departed.Sub(p.arrived)
}

func (p *path) close() {
	p.sender.Close()
	p.relay.Close()
	p.proxy.Close()
	p.gone.Wait()
}
