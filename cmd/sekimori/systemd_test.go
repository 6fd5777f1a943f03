package main

import (
	"net"
	"testing"
)

// A socket that the service manager holds is found by its name, else by its
// address, else by its port where both are on all addresses.
func TestInheritedSockets(t *testing.T) {
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	unix := t.TempDir() + "/smtp.sock"
	one, all, local := listen("tcp", "127.0.0.1:0"), listen("tcp", ":0"), listen("unix", unix)
	_, port, _ := net.SplitHostPort(all.Addr().String())
	for _, c := range []struct {
		name, network, address string
		want                   net.Listener
	}{
		{"", "tcp", one.Addr().String(), one},
		{"", "tcp", ":" + port, all},
		{"", "tcp", "0.0.0.0:" + port, all},
		{"", "tcp", "[::]:" + port, all},
		{"", "unix", unix, local},
		{"front", "tcp", "192.0.2.1:25", one},
		{"", "tcp", "127.0.0.1:" + port, nil}, // one address is less than all
		{"", "tcp", "127.0.0.1:1", nil},
		{"", "tcp", ":0", nil},
		{"", "tcp", unix, nil},
		{"", "unix", unix + "x", nil},
		{"back", "unix", one.Addr().String(), nil},
	} {
		given := &inherited{free: []passed{{one, "front"}, {all, "LISTEN_FD_4"}, {local, "LISTEN_FD_5"}}}
		if got := given.take(c.name, c.network, c.address); got != c.want {
			t.Errorf("%q %s %s: %v", c.name, c.network, c.address, got)
		}
		if n := len(given.free); n != 3 && c.want == nil || n != 2 && c.want != nil {
			t.Errorf("%q %s %s: %d are left", c.name, c.network, c.address, n)
		}
	}
}
