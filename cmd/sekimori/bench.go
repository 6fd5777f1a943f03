package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekimori/filter/dns"
)

type benchFlags struct {
	target, corpus, from string
	rcpts                []string
	messages             int
	concurrency          int
	perConnection        int
	size                 int
	duration             time.Duration
	tls, json, stranger  bool
}

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench",
		Short: "Send a load of mail and measure, to plan capacity",
		Long: `Sends mail as fast as the other side takes it, over as many connections at once
as --concurrency says, and tells: messages and bytes a second, percentiles of
the time that each phase took, replies by code.

Without --target it starts the real proxy in this process, before an MTA that
takes everything and keeps nothing, with a DNS zone of its own: 20 domains with
SPF, DKIM and DMARC, whose signed mail passes all checks. A short warm-up that is
not measured comes first. It then also tells what memory, goroutines and file
descriptors this process had before, at most, and after, and fails if they did
not come back once the connections were closed: with --duration that is a soak
test. CPU and memory are those of proxy, sender and MTA together.

With --target it sends to an SMTP server that runs elsewhere. Anything but a
loopback address wants --yes-load-this-host: a load sent to a stranger by a
mistyped name is an attack.

The phases: connect (TCP, greeting, EHLO and with --tls STARTTLS and EHLO again),
MAIL, RCPT, DATA (from DATA to the reply after the final dot), whole (a message
from first to last, with connect if it needed a new connection).

Ctrl-C ends it with the numbers so far; so does a second one at once, without.

Exit status: 0 when mail was accepted and nothing leaked; 1 if no message was
accepted, if the MTA does not hold what was accepted, or if memory, goroutines or
file descriptors did not come back; 2 for a wrong command line.`,
		Example: `  sekimori bench
  sekimori bench --duration 10m --concurrency 20
  sekimori bench --target 127.0.0.1:2525 --messages 5000 --per-connection 10 --rcpt you@example.org`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.validate(); err != nil {
				return usageError{err}
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop) // a second signal kills
			return f.run(ctx, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f.define(c)
	return c
}

func (f *benchFlags) define(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVar(&f.target, "target", "", "`HOST:PORT` of the SMTP server to load (default: a proxy in this process)")
	fl.BoolVar(&f.stranger, "yes-load-this-host", false, "the target is not a loopback address, and its owner agrees")
	fl.IntVar(&f.messages, "messages", 0, "end after `N` messages (default 1000, without --duration)")
	fl.DurationVar(&f.duration, "duration", 0, "end after this `TIME`, like 10m")
	fl.IntVar(&f.concurrency, "concurrency", 8, "connections at once")
	fl.IntVar(&f.perConnection, "per-connection", 1, "messages of one connection")
	fl.IntVar(&f.size, "size", 0, "`BYTES` of each message (default: 80 % 4 KB, 15 % 40 KB, 5 % 400 KB)")
	fl.StringVar(&f.corpus, "corpus", "", "send the .eml files of this `DIRECTORY`, in turn; LF line ends become CR LF")
	fl.BoolVar(&f.tls, "tls", false, "STARTTLS; any certificate will do")
	fl.StringVar(&f.from, "from", "", "`ADDRESS` of MAIL FROM (default: of the message's own domain, under bench.example)")
	fl.StringArrayVar(&f.rcpts, "rcpt", []string{"user@example.net"}, "`ADDRESS` of a recipient; may be repeated")
	fl.BoolVar(&f.json, "json", false, "print one JSON object")
}

// Bounds of the command line: what is beyond them is a typing error.
const (
	maxBenchConcurrency = 10_000
	maxBenchSize        = 64 << 20
)

// benchGrace is what messages under way get when the time is up.
const benchGrace = 10 * time.Second

func (f *benchFlags) validate() error {
	switch {
	case f.concurrency < 1 || f.concurrency > maxBenchConcurrency:
		return fmt.Errorf("--concurrency %d is out of range: 1 to %d", f.concurrency, maxBenchConcurrency)
	case f.perConnection < 1:
		return fmt.Errorf("--per-connection %d is out of range: 1 or more", f.perConnection)
	case f.size < 0 || f.size > maxBenchSize:
		return fmt.Errorf("--size %d is out of range: 1 to %d", f.size, maxBenchSize)
	case f.messages < 0:
		return fmt.Errorf("--messages %d is out of range: 1 or more", f.messages)
	case f.duration < 0:
		return fmt.Errorf("--duration %s is out of range: more than nothing", f.duration)
	case f.size > 0 && f.corpus != "":
		return errors.New("--size and --corpus exclude each other: the files have their own sizes")
	case f.messages == 0 && f.duration == 0:
		f.messages = 1000
	}
	if err := f.paths(); err != nil {
		return err
	}
	return f.resolve()
}

// paths reads the addresses as the SMTP server would.
func (f *benchFlags) paths() (err error) {
	if f.from, err = argPath("--from", f.from); err != nil {
		return err
	}
	for i, r := range f.rcpts {
		if f.rcpts[i], err = argPath("--rcpt", r); err != nil {
			return err
		}
	}
	return nil
}

// resolve asks for the target's address once: what was found harmless is also
// what gets the load.
func (f *benchFlags) resolve() error {
	if f.target == "" {
		return nil
	}
	addr, err := net.ResolveTCPAddr("tcp", f.target)
	switch {
	case err != nil:
		return fmt.Errorf("--target %q: %w", f.target, err)
	case addr.IP == nil || addr.IP.IsUnspecified() || addr.Port == 0:
		return fmt.Errorf("--target %q is not HOST:PORT", f.target)
	case !addr.IP.IsLoopback() && !f.stranger:
		return fmt.Errorf("--target %s is %s, another host: give --yes-load-this-host if its owner agrees to the load", f.target, addr.IP)
	}
	f.target = addr.String()
	return nil
}

func (f *benchFlags) run(ctx context.Context, out, errs io.Writer) error {
	mail, err := f.mail()
	if err != nil {
		return err
	}
	var r *benchReport
	if f.target == "" {
		r, err = f.inProcess(ctx, mail, errs)
	} else {
		r = f.remote(ctx, mail, errs)
	}
	if err != nil {
		return err
	}
	if err := r.print(out, f.json); err != nil {
		return err
	}
	return r.verdict()
}

// mail is what is sent.
func (f *benchFlags) mail() (*benchMail, error) {
	if f.corpus != "" {
		return corpusMail(f.corpus, f.from, f.rcpts)
	}
	return signedMail(f.size, f.from, f.rcpts)
}

// load is the load that the flags ask for.
func (f *benchFlags) load(addr string, mail *benchMail) *load {
	return &load{
		addr:          addr,
		letters:       mail.letters,
		messages:      f.messages,
		concurrency:   f.concurrency,
		perConnection: f.perConnection,
		tls:           f.tls,
		grace:         benchGrace,
		tally:         newTally(),
	}
}

// remote loads a server of which nothing is known but its replies.
func (f *benchFlags) remote(ctx context.Context, mail *benchMail, errs io.Writer) *benchReport {
	l := f.load(f.target, mail)
	ctx, cancel := f.limit(ctx)
	defer cancel()
	w := startWatch(l.tally, false, errs)
	took := l.run(ctx)
	w.stop()
	return f.report(l, mail, took)
}

// limit ends a context after the duration: by cancelling it, as a deadline would
// also be one of the connections that are being made, and they would fail first.
func (f *benchFlags) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if f.duration > 0 {
		late := time.AfterFunc(f.duration, cancel)
		context.AfterFunc(ctx, func() { late.Stop() })
	}
	return ctx, cancel
}

// benchWarm is how many bytes the warm-up sends at the most, about.
const benchWarm = 256 << 20

// inProcess loads a proxy and a sink of this process's own.
func (f *benchFlags) inProcess(ctx context.Context, mail *benchMail, errs io.Writer) (r *benchReport, err error) {
	zone, err := mail.zone()
	if err != nil {
		return nil, err
	}
	b, err := openBenchHouse(ctx, f, dns.NewCache(zone, benchCacheMemory))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	warm := f.load(b.addr(), mail)
	warm.messages = min(max(100, 4*f.concurrency), max(1, benchWarm/mail.size()))
	warm.run(ctx)

	begin := b.settled(usage{})
	if ctx.Err() != nil {
		return nil, errors.New("interrupted in the warm-up, before anything was measured")
	}
	b.takeVerdicts()
	held := b.sink.messages.Load()
	l := f.load(b.addr(), mail)
	w := startWatch(l.tally, true, errs)
	limited, cancel := f.limit(ctx)
	defer cancel()
	cpu := cpuTime()
	took := l.run(limited)
	cpu = cpuTime() - cpu
	peak := w.stop()
	r = f.report(l, mail, took)
	r.Verdicts = b.takeVerdicts()
	r.Sink = &sinkReport{Messages: b.sink.messages.Load() - held}
	r.Process = newProcessReport(begin, peak, b.settled(begin), cpu, l.tally.messages)
	return r, nil
}
