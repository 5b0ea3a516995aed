package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// request is what the socket takes: one line of JSON a connection, which gets one answer.
type request struct {
	Do      string   `json:"do"`      // start, end or list
	Name    string   `json:"name"`    // of the daemon
	Command []string `json:"command"` // start: what to run; without one, what ran under that name before
	Log     string   `json:"log"`     // start: a file that its output is added to
	Signal  int      `json:"signal"`  // end: what is sent to it
	Seconds float64  `json:"seconds"` // end: how long it may take
}

type answer struct {
	Error   string   `json:"error,omitempty"`
	Running []string `json:"running,omitempty"`
}

// daemon is a process that init was asked to start.
type daemon struct {
	command []string
	log     string
	pid     int
	ended   chan struct{} // closed when the process is gone
}

func (d *daemon) runs() bool {
	select {
	case <-d.ended:
		return false
	default:
		return true
	}
}

// machine is all daemons of this machine by their names, also those that have ended.
type machine struct {
	mutex   sync.Mutex
	daemons map[string]*daemon
}

// runInit is PID 1: when it is killed, the kernel kills all that runs on the machine with it.
func runInit(socket string) error {
	m := &machine{daemons: map[string]*daemon{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			m.mutex.Lock() // so that no child is reaped before it is known
			reap(m.ended)
			m.mutex.Unlock()
		}
	}()
	os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go m.serve(connection)
	}
}

func (m *machine) ended(pid int, status syscall.WaitStatus) {
	for name, d := range m.daemons {
		if d.pid == pid && d.runs() {
			log.Printf("%s (%d) ended: status %d, signal %d", name, pid, status.ExitStatus(), status.Signal())
			close(d.ended)
		}
	}
}

func (m *machine) serve(connection net.Conn) {
	defer connection.Close()
	var asked request
	var said answer
	if err := json.NewDecoder(connection).Decode(&asked); err != nil {
		return // somebody who only looked whether this machine is there
	}
	var err error
	switch asked.Do {
	case "start":
		err = m.start(asked)
	case "end":
		err = m.end(asked)
	case "list":
		said.Running = m.running()
	default:
		err = fmt.Errorf("init can't %q", asked.Do)
	}
	if err != nil {
		said.Error = err.Error()
	}
	json.NewEncoder(connection).Encode(said)
}

func (m *machine) start(asked request) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	d := &daemon{command: asked.Command, log: asked.Log, ended: make(chan struct{})}
	if before, ok := m.daemons[asked.Name]; ok {
		if before.runs() {
			return nil
		}
		if len(d.command) == 0 {
			d.command, d.log = before.command, before.log
		}
	}
	if len(d.command) == 0 {
		return fmt.Errorf("nobody has said yet what %s is", asked.Name)
	}
	out, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer nothing.Close()
	process, err := os.StartProcess(d.command[0], d.command, &os.ProcAttr{
		Files: []*os.File{nothing, out, out},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	d.pid = process.Pid
	m.daemons[asked.Name] = d
	return process.Release() // it is reaped with all others
}

// end sends a signal to a daemon alone, not to what it has started, and waits until it is gone.
func (m *machine) end(asked request) error {
	m.mutex.Lock()
	d, ok := m.daemons[asked.Name]
	if !ok || !d.runs() {
		m.mutex.Unlock()
		return nil
	}
	err := syscall.Kill(d.pid, syscall.Signal(asked.Signal))
	m.mutex.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(time.Duration(asked.Seconds * float64(time.Second))):
		return fmt.Errorf("%s still runs after %v s", asked.Name, asked.Seconds)
	}
}

func (m *machine) running() []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	names := []string{}
	for name, d := range m.daemons {
		if d.runs() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
