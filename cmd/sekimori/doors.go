package main

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"

	"sekimori/config"
)

// openDoors gives the sockets of all listeners: those that are open already, for
// the same address, are used again. On an error those that are new are closed.
func (s *service) openDoors(cfg config.Config, given *inherited) (doors []*socket, err error) {
	for i, l := range cfg.Listeners {
		door, err := s.openDoor(l, given)
		if err != nil {
			closeUnused(doors, s.sockets)
			return nil, fmt.Errorf("%s: %w", config.ListenerKey(i, "address"), err)
		}
		doors = append(doors, door)
	}
	return doors, nil
}

func (s *service) openDoor(l config.Listener, given *inherited) (*socket, error) {
	for _, open := range s.sockets {
		if open.place == place(l) {
			again := newSocket(l.Label(), open.listener)
			again.place = open.place
			return again, nil
		}
	}
	listener, err := openAddress(l, given)
	if err != nil {
		return nil, err
	}
	door := newSocket(l.Label(), listener)
	door.place = place(l)
	return door, nil
}

// place is what a socket is known by through reloads.
func place(l config.Listener) string {
	if network, _ := config.Network(l.Address); network == "unix" {
		return l.Address + " " + l.SocketMode
	}
	return l.Address
}

func openAddress(l config.Listener, given *inherited) (net.Listener, error) {
	network, address := config.Network(l.Address)
	if taken := given.take(l.Name, network, address); taken != nil {
		return taken, nil
	}
	if network == "tcp" {
		return net.Listen(network, address)
	}
	mode, err := strconv.ParseUint(l.SocketMode, 8, 32)
	if err != nil {
		return nil, err
	}
	return listenUnix(address, os.FileMode(mode)&os.ModePerm)
}

// closeUnused closes the listening sockets of all that are not among used.
func closeUnused(all, used []*socket) {
	for _, s := range all {
		if !slices.ContainsFunc(used, func(u *socket) bool { return u.listener == s.listener }) {
			_ = s.listener.Close()
		}
	}
}
