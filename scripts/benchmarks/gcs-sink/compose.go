package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
)

const (
	mostComposed = 32
	polynomial   = 0x82f63b78 // Castagnoli's, with its bits reversed as the checksum has them
)

var buffers = sync.Pool{New: func() any { made := make([]byte, 256<<10); return &made }}

type composition struct {
	SourceObjects []struct {
		Name                string
		Generation          json.Number
		ObjectPreconditions struct{ IfGenerationMatch json.Number }
	}
	Destination wish
}

// compose makes one object of several, end to end, as the real one does on its own side.
func (s *sink) compose(w http.ResponseWriter, r *http.Request, b *bucket, to route, query url.Values) {
	var asked composition
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if count := len(asked.SourceObjects); count < 1 || count > mostComposed {
		refuse(w, http.StatusBadRequest, "The number of source components must be 1 to "+
			strconv.Itoa(mostComposed)+".")
		return
	}
	sources := make([]*object, 0, len(asked.SourceObjects))
	for _, source := range asked.SourceObjects {
		found := b.find(source.Name)
		if found == nil || !matches(found, source.Generation.String()) {
			refuse(w, http.StatusNotFound, "Object "+source.Name+" not found.")
			return
		}
		if !matches(found, source.ObjectPreconditions.IfGenerationMatch.String()) {
			refuse(w, http.StatusPreconditionFailed, source.Name+" is another generation.")
			return
		}
		sources = append(sources, found)
	}
	made := describeWish(asked.Destination)
	made.name = to.object
	for _, source := range sources {
		made.crc32c = combine(made.crc32c, source.crc32c, source.size)
		made.size += source.size
		made.components += max(source.components, 1)
	}
	if s.keep != "" {
		if err := made.join(s.keep, sources); err != nil {
			refuse(w, http.StatusServiceUnavailable, err.Error())
			return
		}
	}
	s.settle(w, b, made, query)
}

func (o *object) join(folder string, sources []*object) error {
	file, err := os.CreateTemp(folder, "object-*")
	if err != nil {
		return err
	}
	defer file.Close()
	for _, source := range sources {
		part, err := os.Open(source.file)
		if err == nil {
			_, err = io.Copy(file, part)
			part.Close()
		}
		if err != nil {
			os.Remove(file.Name())
			return err
		}
	}
	o.file = file.Name()
	return nil
}

// combine returns the checksum of two contents, one after the other, from theirs: the first is
// moved up by as many zero bytes as the second has, which is to multiply it by a power of x.
func combine(first, second uint32, secondBytes int64) uint32 {
	power := uint32(0x80000000) // 1
	step := uint32(0x00800000)  // x⁸
	for left := secondBytes; left > 0; left >>= 1 {
		if left&1 == 1 {
			power = multiply(power, step)
		}
		step = multiply(step, step)
	}
	return multiply(power, first) ^ second
}

// multiply multiplies two polynomials over GF(2), modulo Castagnoli's.
func multiply(a, b uint32) uint32 {
	product := uint32(0)
	for bit := uint32(0x80000000); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		if b&1 == 1 {
			b = b>>1 ^ polynomial
		} else {
			b >>= 1
		}
	}
	return product
}
