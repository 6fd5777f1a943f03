package filter

import (
	"iter"
	"net/netip"
)

// networks finds the networks that an address is in: one look-up for each length
// that there is a network of, however many networks there are.
type networks struct {
	first   map[netip.Prefix]uint32
	lengths [2][129]bool // of IPv4 and IPv6
}

// put notes a value for a network and gives the one from before, 0 if there was none.
func (n *networks) put(p netip.Prefix, value uint32) (before uint32) {
	if n.first == nil {
		n.first = map[netip.Prefix]uint32{}
	}
	before = n.first[p]
	n.first[p] = value
	n.lengths[family(p.Addr())][p.Bits()] = true
	return before
}

// of gives the values of the networks that an address is in, the smallest first.
func (n *networks) of(a netip.Addr) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		if len(n.first) == 0 || !a.IsValid() {
			return
		}
		a = a.Unmap().WithZone("")
		lengths := &n.lengths[family(a)]
		for bits := a.BitLen(); bits > 0; bits-- {
			if !lengths[bits] {
				continue
			}
			p, _ := a.Prefix(bits)
			if value, ok := n.first[p]; ok && !yield(value) {
				return
			}
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}
