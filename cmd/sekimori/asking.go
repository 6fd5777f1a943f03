package main

import (
	"strconv"
	"sync"
	"time"

	"sekimori/filter"
	"sekimori/filter/console"
	"sekimori/filter/dns"
)

// asking is how the DNS has done lately, as the records of messages tell.
type asking struct {
	mu    sync.Mutex
	begin time.Time
	slots [askingMinutes]askingSlot
}

// askingMinutes is how far back it goes.
const askingMinutes = 10

// askingSlot is one minute.
type askingSlot struct {
	minute          int64 // since begin
	asked, answered int   // of the network
}

// minute gives the slot of a time, emptied if it was of an earlier round. The lock
// is held.
func (a *asking) minute(now time.Time) *askingSlot {
	if a.begin.IsZero() {
		a.begin = now
	}
	n := int64(now.Sub(a.begin) / time.Minute)
	slot := &a.slots[n%askingMinutes]
	if slot.minute != n {
		*slot = askingSlot{minute: n}
	}
	return slot
}

func (a *asking) note(r filter.Record, now time.Time) {
	asked, answered := 0, 0
	for _, e := range r.Verdict.Results.DNS {
		if e.Answer.Cached {
			continue
		}
		asked++
		switch e.Answer.Outcome {
		case dns.Found, dns.NXDomain, dns.NoData:
			answered++
		}
	}
	if asked == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	slot := a.minute(now)
	slot.asked += asked
	slot.answered += answered
}

// health: a tenth without an answer is worth a look, half is trouble; strangers'
// name servers are broken every day.
func (a *asking) health(now time.Time) console.Health {
	a.mu.Lock()
	defer a.mu.Unlock()
	newest := a.minute(now).minute
	asked, answered := 0, 0
	for _, s := range a.slots {
		if newest-s.minute < askingMinutes {
			asked, answered = asked+s.asked, answered+s.answered
		}
	}
	h := console.Health{Part: "dns", State: console.Good, Key: "health.dns", Args: []string{strconv.Itoa(answered), strconv.Itoa(asked)}}
	const enough = 20 // to tell anything by
	switch missed := asked - answered; {
	case asked == 0:
		h.Key = ""
	case asked < enough:
	case 2*missed >= asked:
		h.State = console.Bad
	case 10*missed >= asked:
		h.State = console.Warn
	}
	return h
}
