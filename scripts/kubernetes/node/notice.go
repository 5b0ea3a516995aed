package main

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const (
	busName     = "org.freedesktop.login1"
	busManager  = busName + ".Manager"
	busPath     = dbus.ObjectPath("/org/freedesktop/login1")
	longestHold = 2 * time.Minute  // more than any kubelet here asks for, or it would want to change logind
	power       = 32 * time.Second // from the notice until the machine goes off
)

// locks are those who want to be heard before the machine goes off: in a real cluster, and here, the
// kubelet. Each holds the other end of a pipe, and closes it when it is ready.
type locks struct {
	mutex sync.Mutex
	held  int
	free  chan struct{} // told whenever one is let go
}

// Inhibit is called over D-Bus.
func (l *locks) Inhibit(what, who, _, _ string) (dbus.UnixFD, *dbus.Error) {
	ends := make([]int, 2)
	if err := syscall.Pipe2(ends, syscall.O_CLOEXEC); err != nil {
		return -1, dbus.MakeFailedError(err)
	}
	l.change(1)
	go func() {
		mine := os.NewFile(uintptr(ends[0]), "lock")
		mine.Read(make([]byte, 1)) // returns when nobody has the other end any more
		mine.Close()
		fmt.Println(who, "lets go of", what)
		l.change(-1)
	}()
	// The answer carries a copy of the other end; ours may go as soon as it is on its way.
	time.AfterFunc(2*time.Second, func() { syscall.Close(ends[1]) })
	fmt.Println(who, "holds", what)
	return dbus.UnixFD(ends[1]), nil
}

func (l *locks) change(by int) {
	l.mutex.Lock()
	l.held += by
	l.mutex.Unlock()
	select {
	case l.free <- struct{}{}:
	default:
	}
}

func (l *locks) none() bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.held == 0
}

// giveNotice waits for SIGTERM, announces that the machine goes off, and ends when nobody holds it
// any more, or when its time is over.
func giveNotice() error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return err
	}
	l := &locks{free: make(chan struct{}, 1)}
	if err := bus.Export(l, busPath, busManager); err != nil {
		return err
	}
	_, err = prop.Export(bus, busPath, prop.Map{busManager: {
		"InhibitDelayMaxUSec": {Value: uint64(longestHold.Microseconds())},
	}})
	if err != nil {
		return err
	}
	if _, err := bus.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil {
		return err
	}
	fmt.Println("ready")
	<-told
	fmt.Println("the machine goes off in", power)
	if err := bus.Emit(busPath, busManager+".PrepareForShutdown", true); err != nil {
		return err
	}
	off := time.After(power)
	for !l.none() {
		select {
		case <-l.free:
		case <-off:
			fmt.Println("goes off although it is held")
			return nil
		}
	}
	return nil
}
