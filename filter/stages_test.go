package filter

import (
	"testing"
	"time"

	"sekimori/filter/dns"
)

func TestStages(t *testing.T) {
	start := time.Now()
	s := Stages{IPRev: time.Second}
	s.waited([]dns.Exchange{
		{Start: start, Took: 2 * time.Second},
		{Start: start.Add(time.Second), Took: 2 * time.Second},
	}, false)
	if want := (Stages{DNS: 3 * time.Second}); s != want {
		t.Errorf("%+v, want %+v: overlapping questions count once, a check that is off not at all", s, want)
	}
	var took time.Duration
	timed(&took, func() { time.Sleep(2 * time.Millisecond) })()
	if took < 2*time.Millisecond {
		t.Errorf("%v for something that took 2 ms", took)
	}
}
