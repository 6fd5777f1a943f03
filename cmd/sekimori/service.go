package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sekimori/config"
)

// service is the running program: the sockets, the admin page and the counters,
// which last, and the house of the present configuration behind them.
type service struct {
	file    string           // the configuration
	control string           // path of the control socket; "": none
	hangups <-chan os.Signal // each asks for a reload; may be nil
	log     *slog.Logger
	book    *logbook // what log writes into

	common   *common
	sockets  []*socket
	watched  atomic.Pointer[[]*socket] // the same, for who does not wait for a reload
	desk     desk
	pprof    atomic.Bool
	inForce  atomic.Pointer[inForce]
	readings readings
	trouble  chan error // what ends the service

	mu       sync.Mutex // one reload at a time
	cfg      config.Config
	present  *shift
	relieved []*shift // those before it
	ending   bool
}

// serve reads the configuration, opens the sockets and runs until ctx ends.
func (s *service) serve(ctx context.Context) error {
	cfg, err := loadConfig(s.file)
	if err != nil {
		return err
	}
	sheet, err := s.book.turn(cfg)
	if err != nil {
		return err
	}
	s.book.put(sheet, cfg)
	defer s.book.close()
	s.common = newCommon(cfg)
	s.common.book = s.book
	if s.common.acme, err = newAuthority(cfg.ACME); err != nil {
		return err
	}
	h, err := s.common.build(cfg, s.log)
	if err != nil {
		return err
	}
	feeds, err := openFeeds(ctx, cfg, s.common.live, s.log, s.common.feeds)
	if err != nil {
		return err
	}
	if err := s.open(cfg); err != nil {
		return err
	}
	s.common.feeds.relieve(feeds)
	defer s.common.feeds.stop()
	s.common.keepHistory(cfg, s.log)
	for _, l := range s.sockets {
		s.log.Info("listening", "version", version, "listener", l.name, "address", l.listener.Addr().String(),
			"upstream", addresses(cfg.Upstream), "mode", cfg.Policy.Mode)
	}
	return s.run(ctx, cfg, h)
}

// open makes all sockets, or none.
func (s *service) open(cfg config.Config) (err error) {
	given, err := inherit()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.sockets, err = s.openDoors(cfg, given); err != nil {
		return err
	}
	if s.desk, err = openDesk(cfg.Admin, given, s.log, s.common.metrics.Panic); err != nil {
		return err
	}
	s.pprof.Store(cfg.Admin.Pprof)
	if err = s.common.acme.listen(cfg.ACME); err != nil {
		return err
	}
	return given.rest()
}

func (s *service) close() {
	closeUnused(s.sockets, nil)
	s.common.acme.close()
	s.desk.close()
}

// run puts a house on duty until ctx ends, and then shuts down within the time
// that the configuration gives. The admin page outlives the door, so that the
// end can be watched.
func (s *service) run(ctx context.Context, cfg config.Config, h *house) error {
	last, end := context.WithCancel(context.WithoutCancel(ctx))
	var page sync.WaitGroup
	defer page.Wait()
	defer end()
	s.trouble = make(chan error, 1)
	s.cfg = cfg
	s.show(cfg, h)
	s.readings.add(nil, changes{})
	s.common.health.accepting = s.accepting
	doors := s.sockets
	s.watched.Store(&doors)
	if s.desk.people != nil {
		page.Go(func() { s.fail(s.desk.people.serve(last, s.peopleRoutes())) })
	}
	if s.desk.machines != nil {
		page.Go(func() { s.fail(s.desk.machines.serve(last, s.machineRoutes())) })
	}
	page.Go(func() { s.common.acme.run(last, s.log, s.common.metrics.CertificateError) })
	s.common.watch(cfg, h)
	s.present = begin(h, doors, s.fail, s.log)
	s.common.health.listening.Store(true)
	s.common.metrics.Loaded(time.Now())
	told := manager{s.log}
	told.ready()
	s.log.Info("ready")
	go told.feed(last, s.lives)
	defer s.listenControl(last)()
	err := s.wait(ctx)
	told.stopping()
	s.end(err)
	s.common.endHistory()
	return err
}

// fail ends the service for an error; the first one is enough.
func (s *service) fail(err error) {
	if err == nil {
		return
	}
	select {
	case s.trouble <- err:
	default:
	}
}

// wait obeys signals until ctx ends or something fails.
func (s *service) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.trouble:
			return err
		case <-s.hangups:
			_, _ = s.reload() // which has logged it all
		}
	}
}

// end lets what is in flight finish, of all houses.
func (s *service) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	timeout := time.Duration(s.cfg.ShutdownTimeout)
	if err == nil {
		s.log.Info("shutting down: finishing what is in flight", "timeout", timeout.String())
	}
	s.common.health.listening.Store(false)
	all := append(s.relieved, s.present)
	limit := time.AfterFunc(timeout, func() {
		for _, one := range all {
			one.cut()
		}
	})
	defer limit.Stop()
	s.present.accepted()
	go s.present.leave(partingTime, flightTime, s.log)
	closeUnused(s.sockets, nil)
	for _, one := range s.relieved {
		one.hasten()
	}
	for _, one := range all {
		<-one.gone
	}
	s.log.Info("ended")
}

// acceptPause is never taken for death: where there are no file descriptors left,
// the server waits for up to a second before it tries again.
const acceptPause = 4 * time.Second

// accepting tells whether connections are being accepted, or were within so long.
func (s *service) accepting(within time.Duration) error {
	for _, l := range *s.watched.Load() {
		if quiet := l.quiet(); quiet > max(within, acceptPause) {
			return fmt.Errorf("listener %s has not accepted for %v", l.name, quiet.Round(time.Second))
		}
	}
	return nil
}

// lives is what the watchdog wants to know. A shutdown has a time limit of its own.
func (s *service) lives(within time.Duration) error {
	if !s.common.health.listening.Load() {
		return nil
	}
	return s.accepting(within)
}
