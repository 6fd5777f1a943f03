package filter

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestNewListRefuses(t *testing.T) {
	net := netip.MustParsePrefix
	for name, e := range map[string]Entry{
		"nobody":              {},
		"two":                 {Domain: "a.example", Signer: "b.example"},
		"a public suffix":     {Domain: "co.jp"},
		"a signer likewise":   {Signer: "com"},
		"no domain":           {Domain: "a b"},
		"no address":          {Address: "a.example"},
		"an address literal":  {Address: "a@[192.0.2.1]"},
		"an unsafe block":     {Unsafe: "a@b.example", Block: true},
		"an unsafe sender":    {Unsafe: "a@b.example", Sender: true},
		"a blocked sender":    {Domain: "a.example", Sender: true, Block: true},
		"everybody":           {Network: net("0.0.0.0/0")},
		"bits below the mask": {Network: net("192.0.2.1/24")},
		"mapped":              {Network: net("::ffff:192.0.2.1/128")},
		"a long note":         {Domain: "a.example", Note: strings.Repeat("x", 501)},
	} {
		if _, err := NewList([]Entry{e}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	l, err := NewList([]Entry{{Domain: "A.Example."}, {Domain: "top", Block: true}, {Network: net("2001:db8::/32")}, {Address: `"a"@B.example`}})
	if err != nil || l.Len() != 4 {
		t.Errorf("%v %v", l, err)
	}
}

func TestNetworks(t *testing.T) {
	var n networks
	for i, p := range []string{"192.0.2.0/24", "192.0.0.0/16", "192.0.2.1/32", "2001:db8::/32", "2001:db8::1/128"} {
		if before := n.put(netip.MustParsePrefix(p), uint32(i+1)); before != 0 {
			t.Errorf("%s was there", p)
		}
	}
	if n.put(netip.MustParsePrefix("192.0.2.0/24"), 9) != 1 {
		t.Error("the one before is forgotten")
	}
	for a, want := range map[string][]uint32{
		"192.0.2.1":        {3, 9, 2},
		"::ffff:192.0.2.1": {3, 9, 2},
		"192.0.2.2":        {9, 2},
		"192.1.2.2":        nil,
		"2001:db8::1":      {5, 4},
		"2001:db8::2%eth0": {4},
		"2001:db9::":       nil,
		"c000:201::":       nil,
	} {
		if got := slices.Collect(n.of(netip.MustParseAddr(a))); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
	if slices.Collect(n.of(netip.Addr{})) != nil {
		t.Error("no address is in a network")
	}
}
