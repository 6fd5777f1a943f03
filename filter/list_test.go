package filter

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
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

func listOf(t testing.TB, entries ...Entry) *List {
	t.Helper()
	l, err := NewList(entries)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var testDay = time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)

// What only says to be a listed sender, and what the DNS left open, is not let
// through, however the entry names him.
func TestListNeedsProof(t *testing.T) {
	entries := []Entry{{Domain: "a.example"}, {Signer: "s.example"}, {Address: "x@a.example"}}
	for _, st := range []standing{claimed, unsure, proved} {
		for _, s := range []sender{
			{domains: []identity{{"a.example", st}}},
			{domains: []identity{{"below.a.example", st}}},
			{signers: []identity{{"s.example", st}}},
			{addresses: []identity{{"x@a.example", st}}},
		} {
			s.now = testDay
			if _, found := listOf(t, entries...).recipientEntry(s); found != (st == proved) {
				t.Errorf("allow, %+v: %v", s, found)
			}
			for i := range entries {
				entries[i].Sender = true
			}
			_, found, open := listOf(t, entries...).senderEntry(s)
			if found != (st == proved) || open != (st == unsure) {
				t.Errorf("sender, %+v: %v, open %v", s, found, open)
			}
			if _, found := listOf(t, entries...).recipientEntry(s); found {
				t.Error("a sender's entry lets mail to its owner through")
			}
			for i := range entries {
				entries[i].Sender = false
			}
		}
	}
}

// A block asks for no proof of what a message says, but a signature that the DNS
// keeps from being verified says nothing yet.
func TestBlockNeedsNoProof(t *testing.T) {
	l := listOf(t, Entry{Domain: "a.example", Block: true}, Entry{Signer: "s.example", Block: true})
	for _, tt := range []struct {
		s    sender
		want bool
	}{
		{sender{domains: []identity{{"a.example", claimed}}}, true},
		{sender{domains: []identity{{"a.example", proved}}}, true},
		{sender{domains: []identity{{"a.example", unsure}}}, false},
		{sender{signers: []identity{{"s.example", unsure}}}, false},
		{sender{signers: []identity{{"s.example", proved}}}, true},
	} {
		tt.s.now = testDay
		if _, found := l.recipientEntry(tt.s); found != tt.want {
			t.Errorf("%+v: %v", tt.s, found)
		}
	}
}

func TestListNames(t *testing.T) {
	net := netip.MustParsePrefix
	l := listOf(t,
		Entry{Domain: "a.example"}, Entry{Signer: "s.example"}, Entry{Address: "X@A.example"}, Entry{Unsafe: "u@b.example"},
		Entry{Network: net("192.0.2.0/24")}, Entry{Domain: "both.example", Network: net("198.51.100.0/24")})
	at := func(client string) netip.Addr { return netip.MustParseAddr(client) }
	for name, tt := range map[string]struct {
		s    sender
		want string
	}{
		"domain":             {sender{domains: []identity{{"a.example", proved}}}, "allow domain=a.example"},
		"below":              {sender{domains: []identity{{"c.b.a.example", proved}}}, "allow domain=a.example"},
		"beside":             {sender{domains: []identity{{"notaa.example", proved}, {"example", proved}}}, ""},
		"signer":             {sender{signers: []identity{{"s.example", proved}}}, "allow signer=s.example"},
		"below a signer":     {sender{signers: []identity{{"x.s.example", proved}}}, ""},
		"a signer is no one": {sender{domains: []identity{{"s.example", proved}}}, ""},
		"address":            {sender{addresses: []identity{{"x@a.example", proved}}}, "allow address=x@a.example"},
		"unsafe":             {sender{addresses: []identity{{"u@b.example", claimed}}}, "allow unsafe=u@b.example"},
		"network":            {sender{client: at("192.0.2.77")}, "allow network=192.0.2.0/24"},
		"no client":          {sender{}, ""},
		"both":               {sender{client: at("198.51.100.1"), domains: []identity{{"both.example", proved}}}, "allow domain=both.example network=198.51.100.0/24"},
		"one of both":        {sender{client: at("198.51.100.1")}, ""},
		"the other of both":  {sender{client: at("203.0.113.1"), domains: []identity{{"both.example", proved}}}, ""},
		"behind a relay":     {sender{domains: []identity{{"both.example", proved}}}, ""},
	} {
		tt.s.now = testDay
		got := ""
		if e, ok := l.recipientEntry(tt.s); ok {
			got = e.String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A jump of the clock makes entries do nothing or something at once; none is
// forgotten.
func TestExpiry(t *testing.T) {
	l := listOf(t, Entry{Domain: "a.example", Expires: testDay, Author: "support", Note: "ticket 1"}, Entry{Domain: "a.example", Block: true, Expires: testDay.Add(-time.Hour)})
	for _, tt := range []struct {
		now  time.Time
		want string
	}{
		{testDay.Add(-2 * time.Hour), "block domain=a.example"},
		{testDay.Add(-time.Hour), "allow domain=a.example"},
		{testDay.Add(-time.Second), "allow domain=a.example"},
		{testDay, ""},
		{testDay.AddDate(100, 0, 0), ""},
		{time.Time{}, "block domain=a.example"},
	} {
		got := ""
		e, ok := l.recipientEntry(sender{now: tt.now, domains: []identity{{"a.example", proved}}})
		if ok {
			got = e.String()
		}
		if got != tt.want {
			t.Errorf("%v: %q, want %q", tt.now, got, tt.want)
		}
		if ok && !e.Block && (e.Author != "support" || e.Note != "ticket 1" || !e.Expires.Equal(testDay)) {
			t.Errorf("the entry is now %+v", e)
		}
	}
}

// BenchmarkNewList tells what a million entries take.
func BenchmarkNewList(b *testing.B) {
	entries := manyEntries(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		before := heap()
		l := listOf(b, entries...)
		b.ReportMetric(float64(heap()-before)/float64(l.Len()), "B/entry")
		runtime.KeepAlive(l)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// manyEntries are of all kinds, each with a note of its own.
func manyEntries(n int) []Entry {
	all := make([]Entry, n)
	for i := range all {
		e := Entry{Author: fmt.Sprintf("customer-%d", i%1000), Note: fmt.Sprintf("ticket %d", i), Block: i%10 == 0}
		switch i % 5 {
		case 0, 1:
			e.Domain = fmt.Sprintf("sender-%d.example", i)
		case 2:
			e.Address = fmt.Sprintf("user%d@sender-%d.example", i, i%1000)
		case 3:
			e.Signer = fmt.Sprintf("signer-%d.example", i)
		case 4:
			e.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte{10 + byte(i%5), byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		}
		all[i] = e
	}
	return all
}
