package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// sink is the server.
type sink struct {
	latency time.Duration
	keep    string
	buckets sync.Map // name → *bucket
	uploads sync.Map // id → *upload
	stats   stats
}

// route is what a path names.
type route struct {
	bucket string
	object string
	verb   string   // what follows an object: compose, copyTo, rewriteTo
	target []string // bucket and object of a copy
	upload bool
}

func newSink(latency time.Duration, keep string, buckets []string) *sink {
	made := &sink{latency: latency, keep: keep}
	for _, name := range buckets {
		made.buckets.Store(name, newBucket(name))
	}
	return made
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_") {
		s.manage(w, r)
		return
	}
	if s.latency > 0 {
		time.Sleep(s.latency)
	}
	to, ok := parse(r.URL.EscapedPath())
	if !ok {
		refuse(w, http.StatusNotFound, "no such path: "+r.URL.Path)
		return
	}
	query := r.URL.Query()
	s.stats.count(r.Method, to, query)
	if to.bucket == "" {
		s.serveBuckets(w, r)
		return
	}
	found, ok := s.buckets.Load(to.bucket)
	if !ok {
		refuse(w, http.StatusNotFound, "The specified bucket does not exist.")
		return
	}
	s.serveBucket(w, r, found.(*bucket), to, query)
}

// parse reads [/upload|/download][/storage/v1]/b[/BUCKET[/o[/OBJECT[/VERB/...]]]], with names that
// have their slashes escaped.
func parse(path string) (route, bool) {
	var to route
	to.upload = strings.HasPrefix(path, "/upload/") || strings.HasPrefix(path, "/resumable/upload/")
	start := strings.Index(path+"/", "/b/")
	if start < 0 {
		return to, false
	}
	parts := strings.Split(strings.Trim(path[start+2:], "/"), "/")
	for i, part := range parts {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return to, false
		}
		parts[i] = plain
	}
	to.bucket = parts[0]
	if len(parts) > 1 && parts[1] != "o" {
		return to, false
	}
	if len(parts) > 2 {
		to.object = parts[2]
	}
	if len(parts) > 3 {
		to.verb = parts[3]
	}
	if len(parts) == 8 {
		to.target = []string{parts[5], parts[7]}
	}
	return to, true
}

func (s *sink) serveBuckets(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		reply(w, map[string]any{"kind": "storage#buckets"})
		return
	}
	var wish struct{ Name string }
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.buckets.LoadOrStore(wish.Name, newBucket(wish.Name))
	reply(w, describeBucket(wish.Name))
}

func (s *sink) serveBucket(
	w http.ResponseWriter, r *http.Request, b *bucket, to route, query url.Values,
) {
	switch {
	case to.upload:
		s.receive(w, r, b, to, query)
	case to.verb == "compose":
		s.compose(w, r, b, to, query)
	case to.verb == "copyTo" || to.verb == "rewriteTo":
		s.copy(w, b, to, query)
	case to.object != "" && r.Method == http.MethodGet:
		s.serveObject(w, r, b, to.object, query)
	case to.object != "" && r.Method == http.MethodDelete:
		s.drop(w, b, to.object, query)
	case to.object == "" && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/o"):
		b.list(w, query)
	case to.object == "" && r.Method == http.MethodGet:
		reply(w, describeBucket(b.name))
	default:
		refuse(w, http.StatusNotImplemented, r.Method+" of this is not done here")
	}
}

func describeBucket(name string) map[string]any {
	return map[string]any{
		"kind": "storage#bucket", "name": name, "id": name, "location": "US",
		"storageClass": "STANDARD",
	}
}

func reply(w http.ResponseWriter, content any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	json.NewEncoder(w).Encode(content)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{
		"error": map[string]any{"code": status, "message": message},
	})
}
