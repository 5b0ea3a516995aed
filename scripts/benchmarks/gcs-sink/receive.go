package main

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// intake takes the bytes of one object: counts, sums, keeps.
type intake struct {
	size int64
	crc  uint32
	md5  hash.Hash
	file *os.File
}

// upload is one that comes in several requests.
type upload struct {
	object *object
	intake *intake
	query  url.Values
}

// wish is what an upload says of its object.
type wish struct {
	Name        string
	ContentType string
	Crc32c      string
	Metadata    map[string]string
}

// newIntake makes an MD5 only for those who will see it in their answer, as clients that name no
// fields do: nobody pays for what only somebody else looks at.
func (s *sink) newIntake(query url.Values) (*intake, error) {
	taken := &intake{}
	fields := parseFields(query.Get("fields"))
	if fields == nil || fields["md5Hash"] {
		taken.md5 = md5.New()
	}
	if s.keep == "" {
		return taken, nil
	}
	file, err := os.CreateTemp(s.keep, "object-*")
	taken.file = file
	return taken, err
}

func (t *intake) Write(part []byte) (int, error) {
	t.crc = crc32.Update(t.crc, castagnoli, part)
	if t.md5 != nil {
		t.md5.Write(part)
	}
	t.size += int64(len(part))
	if t.file != nil {
		return t.file.Write(part)
	}
	return len(part), nil
}

func (t *intake) drop() {
	if t.file != nil {
		t.file.Close()
		os.Remove(t.file.Name())
	}
}

// read takes all of a body, with a buffer that does not grow with it.
func (t *intake) read(body io.Reader) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		count, err := body.Read(*buffer)
		if count > 0 {
			if _, failed := t.Write((*buffer)[:count]); failed != nil {
				return failed
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *sink) receive(w http.ResponseWriter, r *http.Request, b *bucket, to route, query url.Values) {
	if id := query.Get("upload_id"); id != "" {
		s.resume(w, r, b, id)
		return
	}
	taken, err := s.newIntake(query)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	about := wish{Name: query.Get("name"), ContentType: r.Header.Get("Content-Type")}
	switch query.Get("uploadType") {
	case "resumable":
		s.begin(w, r, about, taken, query)
		return
	case "multipart":
		err = readMultipart(r, &about, taken)
	default:
		err = taken.read(r.Body)
	}
	if err != nil {
		taken.drop()
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.commit(w, b, about, taken, query)
}

func readMultipart(r *http.Request, about *wish, taken *intake) error {
	_, boundary, ok := strings.Cut(r.Header.Get("Content-Type"), "boundary=")
	if !ok {
		return errors.New("no boundary")
	}
	// gcloud puts it into single quotes, which the standard library's parser does not take.
	boundary = strings.Trim(boundary, `'"`)
	parts := multipart.NewReader(bufio.NewReaderSize(r.Body, 64<<10), boundary)
	head, err := parts.NextPart()
	if err != nil {
		return err
	}
	about.ContentType = ""
	if err := json.NewDecoder(head).Decode(about); err != nil {
		return err
	}
	body, err := parts.NextPart()
	if err != nil {
		return err
	}
	if about.ContentType == "" {
		about.ContentType = body.Header.Get("Content-Type")
	}
	return taken.read(body)
}

func (s *sink) begin(
	w http.ResponseWriter, r *http.Request, about wish, taken *intake, query url.Values,
) {
	if err := json.NewDecoder(r.Body).Decode(&about); err != nil && !errors.Is(err, io.EOF) {
		taken.drop()
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if kind := r.Header.Get("X-Upload-Content-Type"); kind != "" {
		about.ContentType = kind
	}
	id := strconv.FormatInt(generations.Add(1), 36)
	s.uploads.Store(id, &upload{describeWish(about), taken, query})
	query.Set("upload_id", id)
	w.Header().Set("Location", fmt.Sprintf("http://%s%s?%s", r.Host, r.URL.EscapedPath(), query.Encode()))
	w.Header().Set("X-GUploader-UploadID", id)
}

// resume takes the next bytes; the last ones make the object.
func (s *sink) resume(w http.ResponseWriter, r *http.Request, b *bucket, id string) {
	found, ok := s.uploads.Load(id)
	if !ok {
		refuse(w, http.StatusNotFound, "no such upload")
		return
	}
	under := found.(*upload)
	if err := under.intake.read(r.Body); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	span := r.Header.Get("Content-Range")
	_, total, _ := strings.Cut(span, "/")
	if span != "" && total != strconv.FormatInt(under.intake.size, 10) {
		if under.intake.size > 0 {
			w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", under.intake.size-1))
		}
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	s.uploads.Delete(id)
	s.finish(w, b, under.object, under.intake, under.query)
}

func describeWish(about wish) *object {
	return &object{name: about.Name, contentType: about.ContentType, metadata: about.Metadata}
}

func (s *sink) commit(w http.ResponseWriter, b *bucket, about wish, taken *intake, query url.Values) {
	if about.Crc32c != "" && about.Crc32c != encodeCRC(taken.crc) {
		taken.drop()
		refuse(w, http.StatusBadRequest, "Provided CRC32C \""+about.Crc32c+
			"\" doesn't match calculated CRC32C \""+encodeCRC(taken.crc)+"\".")
		return
	}
	s.finish(w, b, describeWish(about), taken, query)
}

func (s *sink) finish(w http.ResponseWriter, b *bucket, made *object, taken *intake, query url.Values) {
	made.size, made.crc32c = taken.size, taken.crc
	if taken.md5 != nil {
		made.md5 = taken.md5.Sum(nil)
	}
	if taken.file != nil {
		made.file = taken.file.Name()
		taken.file.Close()
	}
	s.stats.received(made)
	s.settle(w, b, made, query)
}

func (s *sink) settle(w http.ResponseWriter, b *bucket, made *object, query url.Values) {
	if !b.put(made, query) {
		refuse(w, http.StatusPreconditionFailed,
			"At least one of the pre-conditions you specified did not hold.")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Write(made.describe(parseFields(query.Get("fields"))))
}

func encodeCRC(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

func (s *sink) drop(w http.ResponseWriter, b *bucket, name string, query url.Values) {
	status := b.remove(name, query)
	if status != http.StatusNoContent {
		refuse(w, status, http.StatusText(status))
		return
	}
	w.WriteHeader(status)
}

func (s *sink) copy(w http.ResponseWriter, b *bucket, to route, query url.Values) {
	source := b.find(to.object)
	if source == nil || len(to.target) != 2 {
		refuse(w, http.StatusNotFound, "No such object: "+to.object)
		return
	}
	found, ok := s.buckets.Load(to.target[0])
	if !ok {
		refuse(w, http.StatusNotFound, "The specified bucket does not exist.")
		return
	}
	made := *source
	made.name = to.target[1]
	if source.file != "" {
		made.file = filepath.Join(s.keep, fmt.Sprintf("copy-%d", generations.Add(1)))
		if err := os.Link(source.file, made.file); err != nil {
			refuse(w, http.StatusNotFound, err.Error())
			return
		}
	}
	target := found.(*bucket)
	if to.verb == "copyTo" {
		s.settle(w, target, &made, query)
		return
	}
	if !target.put(&made, query) {
		refuse(w, http.StatusPreconditionFailed,
			"At least one of the pre-conditions you specified did not hold.")
		return
	}
	size := strconv.FormatInt(made.size, 10)
	reply(w, map[string]any{
		"kind": "storage#rewriteResponse", "done": true, "objectSize": size,
		"totalBytesRewritten": size, "resource": made.describe(nil),
	})
}
