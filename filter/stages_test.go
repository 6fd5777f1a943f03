package filter

import (
	"testing"
	"time"

	"sekimori/filter/dns"
	"sekimori/filter/iprev"
)

func TestStages(t *testing.T) {
	start := time.Now()
	var s Stages
	s.waited([]dns.Exchange{
		{Start: start, Took: 2 * time.Second},
		{Start: start.Add(time.Second), Took: 2 * time.Second},
	})
	if want := (Stages{DNS: 3 * time.Second}); s != want {
		t.Errorf("%+v, want %+v: overlapping questions count once", s, want)
	}
	var took time.Duration
	timed(&took, func() { time.Sleep(2 * time.Millisecond) })()
	if took < 2*time.Millisecond {
		t.Errorf("%v for something that took 2 ms", took)
	}
}

// The reverse name takes no time where nobody asks for it.
func TestStagesOfChecksThatAreOff(t *testing.T) {
	f := testFilter(zone(t, testZone))
	if r := f.Check(t.Context(), read(t, "a@example.com", plain)).Results; r.Stages.IPRev != 0 || r.IPRev.Word != iprev.None || r.Sender != SenderUnasked {
		t.Errorf("%+v, iprev %q, sender %q", r.Stages, r.IPRev.Word, r.Sender)
	}
	f.IPRev = true
	if r := f.Check(t.Context(), read(t, "a@example.com", plain)).Results; r.Stages.IPRev == 0 {
		t.Error("iprev is on and took no time")
	}
}
