package main

import (
	"os"
	"os/signal"
	"syscall"
)

// pause holds a pod's namespaces until it is told to end.
func pause() {
	orphans, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(orphans, syscall.SIGCHLD)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	for {
		select {
		case <-orphans:
			reap(func(int, syscall.WaitStatus) {})
		case <-end:
			return
		}
	}
}

// reap takes note of all children that have ended, and of the orphans that became children.
func reap(ended func(pid int, status syscall.WaitStatus)) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 {
			return
		}
		ended(pid, status)
	}
}
