package iprev

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekimori/filter/dns"
)

// world answers from memory and counts; a name or address that it lacks does not exist.
type world struct {
	names map[string][]string    // by address
	addrs map[string][]string    // by network and name
	fails map[string]dns.Outcome // by address, or network and name
	plain bool                   // failures are not *dns.Error
	asked []string
}

func (w *world) answer(key string, values []string) ([]string, error) {
	w.asked = append(w.asked, key)
	if o, ok := w.fails[key]; ok {
		if w.plain {
			return nil, errors.New("out of order")
		}
		return nil, &dns.Error{Outcome: o}
	}
	if values == nil {
		return nil, &dns.Error{Outcome: dns.NXDomain}
	}
	return values, nil
}

func (w *world) LookupAddr(_ context.Context, addr netip.Addr) ([]string, error) {
	return w.answer(addr.String(), w.names[addr.String()])
}

func (w *world) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	values, err := w.answer(network+" "+host, w.addrs[network+" "+host])
	var addrs []netip.Addr
	for _, v := range values {
		addrs = append(addrs, netip.MustParseAddr(v))
	}
	return addrs, err
}

// AR-13.
func TestCheck(t *testing.T) {
	one := map[string][]string{"192.0.2.1": {"mx.example.com"}}
	two := map[string][]string{"192.0.2.1": {"a.example.com", "b.example.com"}}
	tests := []struct {
		name   string
		world  world
		client string
		want   Result
		asked  int
	}{
		{"forward set holds the address", world{names: one, addrs: map[string][]string{"ip4 mx.example.com": {"192.0.2.9", "192.0.2.1"}}},
			"192.0.2.1", Result{Word: Pass, Name: "mx.example.com"}, 2},
		{"IPv4-mapped client", world{names: one, addrs: map[string][]string{"ip4 mx.example.com": {"192.0.2.1"}}},
			"::ffff:192.0.2.1", Result{Word: Pass, Name: "mx.example.com"}, 2},
		{"IPv6", world{names: map[string][]string{"2001:db8::1": {"mx.example.com"}}, addrs: map[string][]string{"ip6 mx.example.com": {"2001:db8::1"}}},
			"2001:db8::1", Result{Word: Pass, Name: "mx.example.com"}, 2},
		{"capital letters", world{names: map[string][]string{"192.0.2.1": {"MX.Example.com"}}, addrs: map[string][]string{"ip4 mx.example.com": {"192.0.2.1"}}},
			"192.0.2.1", Result{Word: Pass, Name: "mx.example.com"}, 2},
		{"second name fits", world{names: two, addrs: map[string][]string{"ip4 b.example.com": {"192.0.2.1"}}},
			"192.0.2.1", Result{Word: Pass, Name: "b.example.com"}, 3},
		{"second name fits, first one fails", world{names: two, addrs: map[string][]string{"ip4 b.example.com": {"192.0.2.1"}}, fails: map[string]dns.Outcome{"ip4 a.example.com": dns.Timeout}},
			"192.0.2.1", Result{Word: Pass, Name: "b.example.com"}, 3},
		{"other address", world{names: one, addrs: map[string][]string{"ip4 mx.example.com": {"192.0.2.2"}}},
			"192.0.2.1", Result{Word: Fail, Reason: "the name of 192.0.2.1, mx.example.com, does not point back"}, 2},
		{"forward NXDOMAIN", world{names: one},
			"192.0.2.1", Result{Word: Fail, Reason: "the name of 192.0.2.1, mx.example.com, does not point back"}, 2},
		{"forward NODATA", world{names: one, fails: map[string]dns.Outcome{"ip4 mx.example.com": dns.NoData}},
			"192.0.2.1", Result{Word: Fail, Reason: "the name of 192.0.2.1, mx.example.com, does not point back"}, 2},
		{"two names, neither", world{names: two},
			"192.0.2.1", Result{Word: Fail, Reason: "none of the 2 names of 192.0.2.1 points back"}, 3},
		{"no PTR", world{},
			"192.0.2.1", Result{Word: PermError, Reason: "192.0.2.1 has no name in the DNS"}, 1},
		{"PTR NODATA", world{fails: map[string]dns.Outcome{"192.0.2.1": dns.NoData}},
			"192.0.2.1", Result{Word: PermError, Reason: "192.0.2.1 has no name in the DNS"}, 1},
		{"PTR without a usable name", world{names: map[string][]string{"192.0.2.1": {""}}},
			"192.0.2.1", Result{Word: PermError, Reason: "192.0.2.1 has no name in the DNS"}, 1},
		{"PTR SERVFAIL", world{fails: map[string]dns.Outcome{"192.0.2.1": dns.ServFail}},
			"192.0.2.1", Result{Word: TempError, Reason: "the DNS did not answer for the name of 192.0.2.1"}, 1},
		{"PTR unreadable", world{fails: map[string]dns.Outcome{"192.0.2.1": dns.Malformed}},
			"192.0.2.1", Result{Word: TempError, Reason: "the DNS did not answer for the name of 192.0.2.1"}, 1},
		{"PTR error of another kind", world{fails: map[string]dns.Outcome{"192.0.2.1": ""}, plain: true},
			"192.0.2.1", Result{Word: TempError, Reason: "the DNS did not answer for the name of 192.0.2.1"}, 1},
		{"forward timeout", world{names: one, fails: map[string]dns.Outcome{"ip4 mx.example.com": dns.Timeout}},
			"192.0.2.1", Result{Word: TempError, Reason: "the DNS did not answer for the address of mx.example.com"}, 2},
		{"one forward timeout, one other address", world{names: two, addrs: map[string][]string{"ip4 b.example.com": {"192.0.2.2"}}, fails: map[string]dns.Outcome{"ip4 a.example.com": dns.Timeout}},
			"192.0.2.1", Result{Word: TempError, Reason: "the DNS did not answer for the address of a.example.com"}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Check(t.Context(), &test.world, netip.MustParseAddr(test.client))
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if len(test.world.asked) != test.asked {
				t.Errorf("asked %q, want %d questions", test.world.asked, test.asked)
			}
		})
	}
}

func TestNoClient(t *testing.T) {
	w := &world{}
	if got := Check(t.Context(), w, netip.Addr{}); got.Word != None || len(w.asked) != 0 {
		t.Errorf("got %+v, asked %q", got, w.asked)
	}
}

// RFC 8601 section 3: a client must not make us ask for names without end.
func TestTenNames(t *testing.T) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("n%02d.example.com", i), fmt.Sprintf("N%02d.example.com", i))
	}
	addrs := map[string][]string{"ip4 n09.example.com": {"192.0.2.1"}, "ip4 n10.example.com": {"192.0.2.2"}}
	w := &world{names: map[string][]string{"192.0.2.1": names, "192.0.2.2": names}, addrs: addrs}
	if got := Check(t.Context(), w, netip.MustParseAddr("192.0.2.1")); got.Name != "n09.example.com" || len(w.asked) != 11 {
		t.Errorf("tenth name: got %+v after %d questions", got, len(w.asked))
	}
	w.asked = nil
	if got := Check(t.Context(), w, netip.MustParseAddr("192.0.2.2")); got.Word != Fail || len(w.asked) != 11 {
		t.Errorf("eleventh name: got %+v after %d questions", got, len(w.asked))
	}
}

// Names come from the client's own DNS.
func TestHostileNames(t *testing.T) {
	hostile := []string{"a\r\nX-Evil: 1.example.com", "a b.example.com", "x..example.com", strings.Repeat("a", 64) + ".com", "[192.0.2.1]"}
	w := &world{names: map[string][]string{"192.0.2.1": hostile}}
	got := Check(t.Context(), w, netip.MustParseAddr("192.0.2.1"))
	if got.Word != PermError || len(w.asked) != 1 {
		t.Errorf("got %+v, asked %q", got, w.asked)
	}
}
