package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"sekimori/config"
)

// changes are what a reload found, as config.Diff writes it.
type changes struct {
	now   []string // in force from the next connection on
	later []string // wants a restart
}

var errEnding = errors.New("the proxy is shutting down")

// reload takes the configuration file over for all connections that come from
// now on. On an error nothing has changed.
func (s *service) reload() (changes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := manager{s.log}
	told.reloading()
	s.book.reopen() // whatever comes of the rest: logrotate has moved the file
	defer told.ready()
	c, err := s.renew()
	s.common.metrics.Reloaded(err == nil)
	s.readings.add(err, c)
	if err != nil {
		s.log.Error("the configuration was not reloaded, the old one stays", "file", s.file, "error", err.Error())
		return changes{}, err
	}
	s.common.metrics.Loaded(time.Now())
	s.logChanges(c)
	return c, nil
}

// begunOnce are the keys and tables that want a restart. Who may enter at the
// desk is not among them.
func begunOnce() []string {
	return []string{"admin.address", "admin.metrics_address", "admin.tls_certificate", "admin.tls_key", "admin.client_ca", "acme"}
}

func (s *service) renew() (changes, error) {
	if s.ending {
		return changes{}, errEnding
	}
	next, err := loadConfig(s.file)
	if err != nil {
		return changes{}, err
	}
	kept := config.Keep(s.cfg, next, begunOnce()...)
	if err := kept.Validate(); err != nil {
		return changes{}, errors.Join(errors.New("what can be changed at once does not go with what wants a restart"), err)
	}
	if err := checkToken(kept.Admin); err != nil {
		return changes{}, err
	}
	h, err := s.common.build(kept, s.log)
	if err != nil {
		return changes{}, err
	}
	feeds, err := openFeeds(context.Background(), kept, s.common.live, s.log, s.common.feeds)
	if err != nil {
		return changes{}, err
	}
	doors, err := s.openDoors(kept, &inherited{})
	if err != nil {
		return changes{}, err
	}
	sheet, err := s.book.turn(kept)
	if err != nil {
		closeUnused(doors, s.sockets)
		return changes{}, err
	}
	c := changes{now: config.Diff(s.cfg, kept), later: config.Diff(kept, next)}
	s.common.resize(kept)
	s.common.feeds.relieve(feeds)
	s.book.put(sheet, kept)
	s.common.watch(kept, h)
	s.common.keepHistory(kept, s.log)
	s.desk.set(kept.Admin)
	s.pprof.Store(kept.Admin.Pprof)
	s.cfg = kept
	s.show(kept, h)
	s.relieve(h, doors)
	return c, nil
}

// relieve puts h on duty in place of the present house.
func (s *service) relieve(h *house, doors []*socket) {
	old, before := s.present, s.sockets
	s.sockets = doors
	s.present = begin(h, doors, s.fail, s.log)
	s.watched.Store(&doors)
	old.accepted()
	closeUnused(before, doors)
	still := []*shift{old}
	for _, one := range s.relieved {
		select {
		case <-one.gone:
		default:
			still = append(still, one)
		}
	}
	s.relieved = still
	go old.leave(graceTime, flightTime, s.log)
}

func (s *service) logChanges(c changes) {
	s.log.Info("the configuration was reloaded", "file", s.file, "changes", append([]string{}, c.now...))
	if len(c.later) > 0 {
		s.log.Warn("needs a restart to take effect", "changes", c.later)
	}
}

// String is for the terminal.
func (c changes) String() string {
	var b strings.Builder
	if len(c.now)+len(c.later) == 0 {
		b.WriteString("reloaded, nothing has changed\n")
	} else {
		b.WriteString("reloaded\n")
	}
	for _, line := range c.now {
		b.WriteString("  " + line + "\n")
	}
	for _, line := range c.later {
		b.WriteString("  needs a restart: " + line + "\n")
	}
	return b.String()
}
