package proxy

import "time"

// pace holds a sender to a minimum rate. Only the time spent waiting for the
// sender counts: what our own disk or DNS takes is not its fault.
type pace struct {
	window time.Duration
	rate   int64 // octets a second
	waited time.Duration
	got    int64
}

// left is how long the present window goes on.
func (p *pace) left() time.Duration { return p.window - p.waited }

// note takes in that n octets came after a wait of d. False means that the
// window is over and the sender was too slow in it.
func (p *pace) note(n int, d time.Duration) bool {
	p.got += int64(n)
	p.waited += d
	if p.waited < p.window {
		return true
	}
	enough := p.got >= int64(p.window.Seconds()*float64(p.rate))
	p.got, p.waited = 0, 0
	return enough
}
