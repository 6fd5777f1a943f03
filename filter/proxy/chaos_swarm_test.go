package proxy

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sekimori/filter"
	"sekimori/filter/mail"
)

// Many clients at once do whatever clients do, while the MTA fails in every way,
// the core rejects, defers and panics, the certificate breaks and is renewed, and
// the clock jumps. In the end the books agree.
func TestLedgerSwarm(t *testing.T) {
	for _, seed := range []uint64{1, 2} {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { swarm(t, seed, 1500*time.Millisecond) })
	}
}

func swarm(t *testing.T, seed uint64, lasts time.Duration) {
	dir := t.TempDir()
	certificate, key, _ := writeCertificate(t, dir, "mx.example", 1)
	clock := &jumpingClock{}
	d := newDoor(t, hurried, quick, func(s *Server) {
		s.TLS = (&Certificate{CertFile: certificate, KeyFile: key, Every: time.Millisecond, Now: clock.now}).Config()
		s.Now = clock.now
		s.Spool.Memory = 4 << 10 // so that the larger ones go to disk
	})
	d.mta.queue = true
	if seed%2 == 0 {
		d.mta.offers = append(d.mta.offers, "XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT")
	}
	d.judge(byName)
	l := &ledger{}
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() { d.wander(ctx, l, i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Go(func() { d.mta.rage(ctx, rand.New(rand.NewPCG(seed, 100))) })
	all.Go(func() {
		for n := int64(2); ctx.Err() == nil; n++ {
			os.WriteFile(certificate, []byte("broken"), 0o600)
			time.Sleep(20 * time.Millisecond)
			renewed := t.TempDir()
			c, k, _ := writeCertificate(t, renewed, "mx.example", n)
			os.Rename(k, filepath.Join(dir, filepath.Base(key)))
			os.Rename(c, filepath.Join(dir, filepath.Base(certificate)))
			time.Sleep(30 * time.Millisecond)
		}
	})
	all.Wait()
	d.mta.behave()
	clock.stop()
	d.judge(func(*mail.Message) filter.Verdict { return filter.Verdict{Action: filter.Accept} })
	pages := l.all()
	for _, fault := range append(l.finish(d, pages[:min(200, len(pages))]), l.faults(d.mta.got())...) {
		t.Error(fault)
	}
	if len(pages) < 20 {
		t.Errorf("only %d messages came of it", len(pages))
	}
	eventually(t, func() bool { return len(d.server.open()) == 0 })
}

// jumpingClock is wrong by up to ten years either way, each time anew.
type jumpingClock struct {
	mu      sync.Mutex
	calls   int
	stopped bool
}

func (c *jumpingClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return time.Now()
	}
	c.calls++
	return time.Now().AddDate(c.calls*7%21-10, 0, 0)
}

func (c *jumpingClock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

// rage lets the MTA fail at random.
func (m *mta) rage(ctx context.Context, rnd *rand.Rand) {
	all := faults()
	names := slices.Sorted(maps.Keys(all))
	steps := []string{"connect", "EHLO", "XCLIENT", "MAIL", "RCPT", "DATA", "body", "end", "RSET", "QUIT"}
	for ctx.Err() == nil {
		deed, step := all[names[rnd.IntN(len(names))]], steps[rnd.IntN(len(steps))]
		deed.once = rnd.IntN(2) == 0
		if !deed.keep || step == "end" {
			m.do(step, deed)
		}
		time.Sleep(time.Duration(rnd.IntN(20)) * time.Millisecond)
		m.behave()
		time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
	}
}

// wander is one client after another.
func (d *door) wander(ctx context.Context, l *ledger, i int, rnd *rand.Rand) {
	names := slices.Sorted(maps.Keys(acts()))
	kinds := []string{"honest", "honest", "honest", "reject", "defer", "panic"}
	for ctx.Err() == nil {
		kind := kinds[rnd.IntN(len(kinds))]
		c := &courier{d: d, l: l, helo: kind + strconv.Itoa(i) + ".example", tls: rnd.IntN(3) == 0}
		for range 1 + rnd.IntN(4) {
			if !c.connect() {
				break
			}
			p, q := l.write(c.helo, 1+rnd.IntN(1000)), l.write(c.helo, 1+rnd.IntN(5))
			if rnd.IntN(2) == 0 {
				acts()["both"](c, p, q)
			} else {
				acts()[names[rnd.IntN(len(names))]](c, p, q)
			}
		}
		c.leave()
	}
}

// The disk is full, or not there: the client keeps its mail, and smaller mail
// that needs no disk goes through all the while.
func TestLedgerDisk(t *testing.T) {
	for name, spool := range map[string]func(t *testing.T) mail.Options{
		"no directory": func(*testing.T) mail.Options { return mail.Options{Directory: "/nonexistent"} },
		"a file":       func(*testing.T) mail.Options { return mail.Options{Directory: os.Args[0]} },
		"no room": func(t *testing.T) mail.Options {
			return mail.Options{Directory: t.TempDir(), Disk: mail.NewBudget(10 << 10)}
		},
		"one at a time": func(t *testing.T) mail.Options {
			return mail.Options{Directory: t.TempDir(), Disk: mail.NewBudget(50 << 10)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDoor(t, func(s *Server) { s.Spool = spool(t); s.Spool.Memory = 16 << 10 })
			d.mta.queue = true
			d.judge(func(*mail.Message) filter.Verdict {
				time.Sleep(5 * time.Millisecond) // for the others to come in
				return filter.Verdict{Action: filter.Accept}
			})
			l := &ledger{}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					c := &courier{d: d, l: l, helo: "disk.example"}
					defer c.leave()
					for range 3 {
						large, small := l.write(c.helo, 3000), l.write(c.helo, 3)
						if got := c.deliver(large); !strings.HasPrefix(got, "452 4.3.1 ") && (name != "one at a time" || !strings.HasPrefix(got, "250")) {
							t.Errorf("large: %q", got)
						}
						if got := c.deliver(small); !strings.HasPrefix(got, "250") {
							t.Errorf("small: %q", got)
						}
					}
				})
			}
			all.Wait()
			l.settle(t, d.mta.got())
		})
	}
}
