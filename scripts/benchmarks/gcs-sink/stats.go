package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stats is what clients made it do since the last look that cleared it.
type stats struct {
	mutex    sync.Mutex
	requests map[string]int64
	bytes    map[string]int64 // of objects received, by the first part of their names
	cpu      time.Duration    // of this process when it was cleared
}

func (s *stats) count(method string, to route, query url.Values) {
	kind := method + " object"
	switch {
	case to.upload && query.Get("upload_id") != "":
		kind = "upload part"
	case to.upload:
		kind = "upload " + query.Get("uploadType")
	case to.verb != "":
		kind = to.verb
	case query.Get("alt") == "media":
		kind = "download"
	case to.object == "":
		kind = method + " list"
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.requests == nil {
		s.requests = map[string]int64{}
	}
	s.requests[kind]++
}

func (s *stats) received(o *object) {
	first, _, _ := strings.Cut(o.name, "/")
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.bytes == nil {
		s.bytes = map[string]int64{}
	}
	s.bytes[first] += o.size
}

// manage answers GET /_stats, and POST /_clear: forget all objects and figures.
func (s *sink) manage(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /_stats":
		reply(w, s.stats.report())
	case "POST /_restart":
		s.stats.restart()
	case "POST /_clear":
		s.buckets.Range(func(name, found any) bool {
			for _, o := range found.(*bucket).objects {
				if o.file != "" {
					os.Remove(o.file)
				}
			}
			s.buckets.Store(name, newBucket(name.(string)))
			return true
		})
		s.stats.restart()
	default:
		refuse(w, http.StatusNotFound, "no such path: "+r.URL.Path)
	}
}

func (s *stats) report() map[string]any {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return map[string]any{
		"requests": s.requests, "bytes": s.bytes, "cpu_seconds": (ownCPU() - s.cpu).Seconds(),
	}
}

func (s *stats) restart() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.requests, s.bytes, s.cpu = nil, nil, ownCPU()
}

func ownCPU() time.Duration {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
