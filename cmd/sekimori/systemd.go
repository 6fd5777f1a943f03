package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	sd "github.com/coreos/go-systemd/v22/daemon"
)

// inherited are listening sockets that the service manager opened for us
// (sd_listen_fds(3)). It keeps them open while one process goes and the next one
// comes, so that no connection is refused.
type inherited struct{ free []passed }

type passed struct {
	net.Listener
	name string // FileDescriptorName= in the socket unit
}

func inherit() (*inherited, error) {
	i := &inherited{}
	for _, f := range activation.Files(true) {
		l, err := net.FileListener(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("the socket %s that the service manager gave us: %w", f.Name(), err)
		}
		i.free = append(i.free, passed{l, f.Name()})
	}
	return i, nil
}

// take gives the socket of a name, else the one of an address, else nil.
func (i *inherited) take(name, network, address string) net.Listener {
	for _, fits := range []func(passed) bool{
		func(p passed) bool { return p.name == name },
		func(p passed) bool { return p.Addr().Network() == network && sameAddress(p.Addr(), address) },
		func(p passed) bool { return p.Addr().Network() == network && samePort(p.Addr(), address) },
	} {
		if n := slices.IndexFunc(i.free, fits); n >= 0 {
			l := i.free[n].Listener
			i.free = slices.Delete(i.free, n, n+1)
			return l
		}
	}
	return nil
}

// rest complains about sockets that are left: their clients would wait for ever.
func (i *inherited) rest() error {
	var all error
	for _, l := range i.free {
		all = errors.Join(all, fmt.Errorf("the service manager gave us a socket on %v, which the configuration does not have", l.Addr()), l.Close())
	}
	return all
}

func sameAddress(a net.Addr, address string) bool {
	want, err := net.ResolveTCPAddr("tcp", address)
	have, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String() == address
	}
	return err == nil && have.Port == want.Port && have.IP.Equal(want.IP)
}

// samePort: both are on all addresses, in whichever way that was written.
func samePort(a net.Addr, address string) bool {
	want, err := net.ResolveTCPAddr("tcp", address)
	have, ok := a.(*net.TCPAddr)
	return ok && err == nil && have.Port == want.Port && have.IP.IsUnspecified() &&
		(want.IP == nil || want.IP.IsUnspecified())
}

// manager is the service manager that runs us, if any (sd_notify(3)).
type manager struct{ log *slog.Logger }

func (m manager) ready()    { m.tell(sd.SdNotifyReady) }
func (m manager) stopping() { m.tell(sd.SdNotifyStopping) }
func (m manager) alive()    { m.tell(sd.SdNotifyWatchdog) }

// reloading wants the monotonic time in the same message, so that the manager
// can tell this reload from an earlier one.
func (m manager) reloading() {
	m.tell(sd.SdNotifyReloading + "\n" + sd.SdNotifyMonotonicUsec())
}

func (m manager) tell(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		m.log.Warn("the service manager cannot be told", "error", err.Error())
	}
}

// feed tells the manager's watchdog that we live, as long as we do, until ctx
// ends. Where there is no watchdog it returns at once.
func (m manager) feed(ctx context.Context, lives func(within time.Duration) error) {
	every, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("the service manager's watchdog is not fed", "error", err.Error())
	}
	if err != nil || every <= 0 {
		return
	}
	tick := time.NewTicker(every / 4)
	defer tick.Stop()
	for {
		if err := lives(every / 2); err == nil {
			m.alive()
		} else {
			m.log.Error("the watchdog is not fed", "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
