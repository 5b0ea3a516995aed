package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const mostListed = 1000 // as many as the real one lists at a time

// object is what is known of one; it never changes once it is in a bucket.
type object struct {
	bucket, name string
	size         int64
	crc32c       uint32
	md5          []byte // nil of what was composed, and where nobody asked for it
	contentType  string
	metadata     map[string]string
	generation   int64
	created      time.Time
	components   int
	file         string // with its bytes, where they are kept
}

type bucket struct {
	name    string
	mutex   sync.RWMutex
	objects map[string]*object
	sorted  []string // names in order; nil after a change
}

var generations atomic.Int64

func init() { generations.Store(time.Now().UnixMicro()) }

func newBucket(name string) *bucket {
	return &bucket{name: name, objects: map[string]*object{}}
}

func (b *bucket) find(name string) *object {
	b.mutex.RLock()
	defer b.mutex.RUnlock()
	return b.objects[name]
}

// put gives an object its name and generation, unless ifGenerationMatch speaks against it.
func (b *bucket) put(o *object, query url.Values) bool {
	o.bucket, o.generation, o.created = b.name, generations.Add(1), time.Now().UTC()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	old := b.objects[o.name]
	if !matches(old, query.Get("ifGenerationMatch")) {
		if o.file != "" {
			os.Remove(o.file)
		}
		return false
	}
	if old == nil {
		b.sorted = nil
	} else if old.file != "" {
		os.Remove(old.file)
	}
	b.objects[o.name] = o
	return true
}

func (b *bucket) remove(name string, query url.Values) int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	old := b.objects[name]
	if old == nil {
		return http.StatusNotFound
	}
	if !matches(old, query.Get("ifGenerationMatch")) {
		return http.StatusPreconditionFailed
	}
	if old.file != "" {
		os.Remove(old.file)
	}
	delete(b.objects, name)
	b.sorted = nil
	return http.StatusNoContent
}

func matches(found *object, wanted string) bool {
	if wanted == "" {
		return true
	}
	generation, err := strconv.ParseInt(wanted, 10, 64)
	if err != nil {
		return false
	}
	if found == nil {
		return generation == 0
	}
	return generation == found.generation
}

func (b *bucket) names() []string {
	b.mutex.RLock()
	names := b.sorted
	b.mutex.RUnlock()
	if names != nil {
		return names
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.sorted == nil {
		b.sorted = make([]string, 0, len(b.objects))
		for name := range b.objects {
			b.sorted = append(b.sorted, name)
		}
		sort.Strings(b.sorted)
	}
	return b.sorted
}

func (b *bucket) list(w http.ResponseWriter, query url.Values) {
	most, err := strconv.Atoi(query.Get("maxResults"))
	if err != nil || most < 1 || most > mostListed {
		most = mostListed
	}
	after, _ := base64.URLEncoding.DecodeString(query.Get("pageToken"))
	page := b.page(query.Get("prefix"), query.Get("delimiter"), query.Get("startOffset"), string(after), most)
	fields := parseFields(query.Get("fields"))
	items := make([]json.RawMessage, 0, len(page.names))
	for _, name := range page.names {
		if o := b.find(name); o != nil {
			items = append(items, o.describe(fields))
		}
	}
	answer := map[string]any{"kind": "storage#objects"}
	if len(items) > 0 {
		answer["items"] = items
	}
	if len(page.prefixes) > 0 {
		answer["prefixes"] = page.prefixes
	}
	if page.next != "" {
		answer["nextPageToken"] = base64.URLEncoding.EncodeToString([]byte(page.next))
	}
	reply(w, answer)
}

type page struct {
	names, prefixes []string
	next            string
}

// page takes names in order, from the first that is due; what has the delimiter is its prefix.
func (b *bucket) page(prefix, delimiter, from, after string, most int) page {
	var found page
	all := b.names()
	start, _ := slices.BinarySearch(all, max(prefix, from, after))
	last := ""
	for _, name := range all[start:] {
		if !strings.HasPrefix(name, prefix) {
			break
		}
		shown := name
		if delimiter != "" {
			if end := strings.Index(name[len(prefix):], delimiter); end >= 0 {
				shown = name[:len(prefix)+end+len(delimiter)]
			}
		}
		if shown == last || (after != "" && shown <= after) {
			continue
		}
		if len(found.names)+len(found.prefixes) == most {
			found.next = last
			break
		}
		last = shown
		if shown == name {
			found.names = append(found.names, name)
		} else {
			found.prefixes = append(found.prefixes, shown)
		}
	}
	return found
}

// parseFields reads `items(name,size),nextPageToken` or `name,size`; nil is all there is.
func parseFields(text string) map[string]bool {
	if text == "" {
		return nil
	}
	fields := map[string]bool{}
	for _, word := range strings.FieldsFunc(text, func(c rune) bool {
		return c == ',' || c == '(' || c == ')' || c == '/'
	}) {
		fields[word] = true
	}
	if fields["*"] {
		return nil
	}
	return fields
}

// describe makes the JSON of an object, with the wanted fields only.
func (o *object) describe(fields map[string]bool) json.RawMessage {
	text := []byte{'{'}
	add := func(key, value string) {
		if fields != nil && !fields[key] {
			return
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		quoted, _ := json.Marshal(value)
		text = append(append(append(append(text, '"'), key...), '"', ':'), quoted...)
	}
	generation := strconv.FormatInt(o.generation, 10)
	created := o.created.Format("2006-01-02T15:04:05.000Z")
	add("kind", "storage#object")
	add("id", o.bucket+"/"+o.name+"/"+generation)
	add("name", o.name)
	add("bucket", o.bucket)
	add("generation", generation)
	add("metageneration", "1")
	add("contentType", o.contentType)
	add("storageClass", "STANDARD")
	add("size", strconv.FormatInt(o.size, 10))
	add("crc32c", base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, o.crc32c)))
	add("etag", generation)
	add("timeCreated", created)
	add("updated", created)
	if o.md5 != nil {
		add("md5Hash", base64.StdEncoding.EncodeToString(o.md5))
	}
	if o.metadata != nil && (fields == nil || fields["metadata"]) {
		content, _ := json.Marshal(o.metadata)
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(text, `"metadata":`...), content...)
	}
	return append(text, '}')
}
