package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/testdata"
)

// stage is a house in which cases are played: a real proxy on real ports before
// a receiving MTA, all in this process. Each case brings its own DNS, clock and
// policy.
type stage struct {
	house *house
	mta   *demoMTA
	wing  net.Listener // where the cases come in, each with its client's address

	judge atomic.Pointer[filter.Filter]

	mu   sync.Mutex
	last judged
}

// judged is what is known of the last message that came so far.
type judged struct {
	view *filter.View // nil if none did
	edit filter.Edit
	drop []mail.Field // the fields of edit.Drop
}

// openStage builds it; cfg's upstream is the stage's own MTA.
func openStage(ctx context.Context, cfg config.Config, source dns.Source, log *slog.Logger) (*stage, error) {
	return openStageIn(ctx, newCommon(cfg), cfg, source, log)
}

// openStageIn builds it beside others that share the counters and the history.
func openStageIn(ctx context.Context, c *common, cfg config.Config, source dns.Source, log *slog.Logger) (*stage, error) {
	mta, err := startDemoMTA()
	if err != nil {
		return nil, err
	}
	cfg.Upstream = cfg.Upstream.At(mta.listen.Addr().String())
	h, err := newHouse(c, cfg, source, log)
	if err != nil {
		return nil, err
	}
	s := &stage{house: h, mta: mta}
	s.judge.Store(h.filter)
	h.server.Limits = newLimits(cfg.Listeners[0]) // of the wing
	h.server.Check = s.check
	h.server.Rules = func(rcpt string) string { return s.judge.Load().Effect(rcpt) }
	h.server.Prefetch = func(ctx context.Context, env mail.Envelope, header *mail.Header) {
		s.judge.Load().Prefetch(ctx, env, header)
	}
	if err := h.server.Upstream.Probe(ctx); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// Only the cases' sender knows this port, and it always says whose the mail is.
	s.wing = &proxyproto.Listener{Listener: l, ReadHeaderTimeout: 5 * time.Second}
	go h.server.Serve(ctx, "cases", s.wing)
	return s, nil
}

func (s *stage) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.house.server.Shutdown(ctx)
	s.mta.close()
}

func (s *stage) check(ctx context.Context, m *mail.Message) filter.Verdict {
	v := s.judge.Load().Check(ctx, m)
	view := filter.NewView(m, v)
	j := judged{view: &view, edit: v.Edit}
	for _, i := range v.Edit.Drop {
		j.drop = append(j.drop, m.Header.Fields[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = j
	return v
}

func (s *stage) takeJudged() judged {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.last
	s.last = judged{}
	return j
}

// played is what became of a case.
type played struct {
	judged      // without a view if the message was refused before
	reply       string
	got         *demoMail // what the MTA got, nil if nothing
	differences []string  // from what the case expects
}

// play sends one case through the proxy.
func (s *stage) play(c testdata.Case) (played, error) {
	judge, err := caseFilter(c)
	if err != nil {
		return played{}, err
	}
	client, err := netip.ParseAddr(c.ClientIP)
	if err != nil {
		return played{}, err
	}
	s.watch(judge)
	s.judge.Store(judge)
	defer s.judge.Store(s.house.filter)
	s.takeJudged()
	before := s.mta.received()
	out, err := dialSender(s.wing.Addr().String(), client, c.Helo)
	if err != nil {
		return played{}, err
	}
	p := played{reply: out.send(c.MailFrom, c.Rcpts, c.EML)}
	out.close()
	p.judged = s.takeJudged()
	if s.mta.received() > before {
		got := s.mta.last()
		p.got = &got
	}
	p.differences, err = p.compare(c)
	return p, err
}

// watch has a case's filter see which of the house's protected domains a message
// names, if there are any, and decide nothing by it: the case expects to be judged
// by the papers of its sender alone.
func (s *stage) watch(judge *filter.Filter) {
	if live := s.house.common.live; live.Domains().Len() > 0 {
		judge.Live, judge.Rules.Policy.Spoof = live, filter.Accept
	}
}

// caseFilter is the core as the case wants it: its zone, its clock, its policy.
func caseFilter(c testdata.Case) (*filter.Filter, error) {
	cfg, err := caseConfig(c)
	if err != nil {
		return nil, err
	}
	zone, err := dns.ParseZone(c.Area+"/"+c.Name+".zone", bytes.NewReader(c.Zone))
	if err != nil {
		return nil, err
	}
	judge, err := newFilter(cfg, zone)
	if err != nil {
		return nil, err
	}
	judge.Now = func() time.Time { return c.Time }
	if judge.Live, err = caseLive(c); err != nil {
		return nil, err
	}
	return judge, nil
}

func caseConfig(c testdata.Case) (config.Config, error) {
	return config.Parse(c.Area+"/"+c.Name+".want", []byte("hostname = \"mx.example.net\"\n"+c.Config))
}

// compare holds what happened against the case, and the reply against what the
// MTA has: a positive one is only ever given for a message that it holds.
func (p played) compare(c testdata.Case) ([]string, error) {
	all := c.CheckReply(p.reply)
	if p.view == nil && c.Judged() {
		all = append(all, fmt.Sprintf("refused before it was judged: %q", p.reply))
	}
	if p.view != nil {
		b, err := p.view.JSON()
		if err != nil {
			return nil, err
		}
		all = append(all, c.Check(b)...)
	}
	if taken := positive(p.reply); taken != (p.got != nil) {
		all = append(all, fmt.Sprintf("the reply is %q, the MTA has the message: %v", p.reply, !taken))
	}
	if p.got != nil && p.view != nil {
		all = append(all, p.changed(c)...)
	}
	return all, nil
}

// changed tells what the MTA got beyond the edit: nothing may be.
func (p played) changed(c testdata.Case) []string {
	data, ours := bytes.CutPrefix(p.got.data, []byte(strings.Join(p.edit.Prepend, "")))
	var all []string
	if !ours {
		all = append(all, "our fields are not on top")
	}
	received, same := bytes.CutSuffix(data, p.left(endLine(c.EML)))
	if !same {
		return append(all, "the message was changed on the way")
	}
	unfolded := mail.Unfold(bytes.TrimSuffix(received, []byte("\r\n")))
	if !bytes.HasPrefix(unfolded, []byte("Received: from ")) || bytes.IndexByte(unfolded, '\n') >= 0 {
		all = append(all, fmt.Sprintf("our Received is %q", received))
	}
	return all
}

// left is the message without the fields that are to be dropped.
func (p played) left(eml []byte) []byte {
	var left []byte
	done := 0
	for _, f := range p.drop {
		left = append(left, eml[done:f.Offset]...)
		done = f.Offset + len(f.Raw)
	}
	return append(left, eml[done:]...)
}

// endLine is what DATA makes of a message whose last line has no end.
func endLine(eml []byte) []byte {
	if bytes.HasSuffix(eml, []byte("\r\n")) {
		return eml
	}
	return append(bytes.Clone(eml), "\r\n"...)
}
