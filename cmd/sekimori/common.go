package main

import (
	"fmt"
	"log/slog"
	"time"

	"sekimori/config"
	"sekimori/filter"
	"sekimori/filter/dns"
	"sekimori/filter/history"
	"sekimori/filter/mail"
	"sekimori/filter/metrics"
	"sekimori/filter/proxy"
)

// common is what all houses of one process share, one after the other.
type common struct {
	metrics *metrics.Metrics
	health  *health
	memory  *mail.Budget // of all messages together
	disk    *mail.Budget
	partial *proxy.Partial // what LMTP has delivered to some
	book    *logbook       // nil: messages leave no line
	history *history.Store
	asking  asking

	live  *filter.Live // protected domains and lists, which outlast houses
	feeds feeds        // where they come from

	acme   *authority // nil: off
	source dns.Source
	asked  string // what source was made of
}

func newCommon(cfg config.Config) *common {
	c := &common{
		metrics: metrics.New(version),
		health:  &health{},
		memory:  mail.NewBudget(0),
		disk:    mail.NewBudget(0),
		partial: &proxy.Partial{},
		live:    &filter.Live{},
	}
	c.resize(cfg)
	c.history = history.New(time.Now)
	return c
}

func (c *common) resize(cfg config.Config) {
	c.memory.Resize(int64(cfg.Spool.MemoryTotal))
	c.disk.Resize(int64(cfg.Spool.DiskTotal))
}

// build makes a house. As long as the DNS is asked in the same way, what it has
// answered stays known.
func (c *common) build(cfg config.Config, log *slog.Logger) (*house, error) {
	client, err := newClient(cfg.DNS.Servers)
	if err != nil {
		return nil, err
	}
	source, asked := c.source, fmt.Sprint(cfg.DNS, client.Servers)
	if asked != c.asked {
		if source, err = newResolver(cfg); err != nil {
			return nil, err
		}
	}
	h, err := newHouse(c, cfg, source, log)
	if err == nil {
		if asked != c.asked {
			retire(c.source)
		}
		c.source, c.asked = source, asked
	}
	return h, err
}
