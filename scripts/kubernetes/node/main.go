// node is what a machine of the test cluster is made of, beside what Kubernetes brings:
//
//	node init SOCKET   PID 1 of the machine; starts and ends its daemons as the socket is told
//	node notice        the shutdown of systemd-logind, which tells a kubelet of a preemption
//	pause              PID 1 of a pod, under the name that its image gives it
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	switch {
	case filepath.Base(os.Args[0]) == "pause":
		pause()
	case len(os.Args) == 3 && os.Args[1] == "init":
		fail(runInit(os.Args[2]))
	case len(os.Args) == 2 && os.Args[1] == "notice":
		fail(giveNotice())
	default:
		fmt.Fprintln(os.Stderr, "usage: node init SOCKET | node notice")
		os.Exit(2)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
