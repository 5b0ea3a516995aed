// gcs-sink is as much of the Cloud Storage JSON API as clients that upload and download need, and
// as quick as this machine lets it be, so that a benchmark measures the client.
//
// It keeps what there is to know of each object, its CRC32C included; with -keep the bytes too. With
// -latency it waits before it handles a request, which is what a distance does. Its own processor
// time is in GET /_stats: on one machine it is taken from the client.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	address := flag.String("addr", "127.0.0.1:0", "where to listen")
	latency := flag.Duration("latency", 0, "to wait before a request is handled")
	keep := flag.String("keep", "", "folder for the objects' bytes; without it they are dropped")
	buckets := flag.String("buckets", "bench", "the buckets that there are, with commas between")
	flag.Parse()

	listener, err := net.Listen("tcp", *address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	sink := newSink(*latency, *keep, strings.Split(*buckets, ","))
	// Who starts it reads the address here.
	fmt.Printf("http://%s\n", listener.Addr())
	server := &http.Server{Handler: sink, ReadHeaderTimeout: time.Minute}
	fmt.Fprintln(os.Stderr, "error:", server.Serve(listener))
	os.Exit(1)
}
