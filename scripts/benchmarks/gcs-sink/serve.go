package main

import (
	"net/http"
	"net/url"
	"os"
	"strconv"
)

// serveObject answers with what is known of an object, or with alt=media with its bytes or a range.
func (s *sink) serveObject(
	w http.ResponseWriter, r *http.Request, b *bucket, name string, query url.Values,
) {
	found := b.find(name)
	if found == nil || !matches(found, query.Get("generation")) {
		refuse(w, http.StatusNotFound, "No such object: "+b.name+"/"+name)
		return
	}
	if !matches(found, query.Get("ifGenerationMatch")) {
		refuse(w, http.StatusPreconditionFailed,
			"At least one of the pre-conditions you specified did not hold.")
		return
	}
	if query.Get("alt") != "media" {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		w.Write(found.describe(parseFields(query.Get("fields"))))
		return
	}
	if found.file == "" {
		refuse(w, http.StatusNotImplemented, "the bytes were dropped: start it with -keep")
		return
	}
	file, err := os.Open(found.file)
	if err != nil {
		refuse(w, http.StatusNotFound, "No such object: "+b.name+"/"+name)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("X-Goog-Generation", strconv.FormatInt(found.generation, 10))
	w.Header().Set("X-Goog-Hash", "crc32c="+encodeCRC(found.crc32c))
	w.Header().Set("X-Goog-Stored-Content-Length", strconv.FormatInt(found.size, 10))
	http.ServeContent(w, r, "", found.created, file)
}
