package main

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	batch         = 256 << 10 // bytes that are handed to the kernel at once
	gzipFrom      = 128 << 10 // the API server leaves smaller answers as they are
	gzipLevel     = 4
	keptSnapshots = 8
)

type server struct {
	*world
	stats         *stats
	own           []*store
	expired       int // Events that are over: the oldest ones
	removed       int // the pod after the last one that was deleted
	noWatchList   bool
	bookmarkEvery time.Duration

	mu        sync.Mutex
	snapshots []*snapshot // for the next pages of lists
}

// A snapshot is one kind at one version. Further pages come from the snapshot of the first.
type snapshot struct {
	kind    *kind
	version uint64
	objects []object
	next    int // where the log goes on
}

func (s *server) snapshot(k *kind) *snapshot {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return &snapshot{k, max(k.newest, k.oldest), slices.Clone(k.objects), k.forgot + len(k.log)}
}

func (s *server) keep(one *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots = append(s.snapshots, one)
	if len(s.snapshots) > keptSnapshots {
		s.snapshots = slices.Delete(s.snapshots, 0, 1)
	}
}

func (s *server) kept(k *kind, version uint64) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.snapshots {
		if one.kind == k && one.version == version {
			return one
		}
	}
	return nil
}

func (s *server) serveKind(k *kind) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.Method != http.MethodGet:
			refuse(w, 405, "MethodNotAllowed", "the objects of this server are made by it")
		case query.Get("watch") == "1" || query.Get("watch") == "true":
			s.watch(w, r, k)
		default:
			s.list(w, r, k)
		}
	}
}

func (s *server) form(r *http.Request) form {
	return form{metadataOnly: strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata")}
}

// --- lists ---

type token struct {
	Version uint64 `json:"rv"`
	Start   int    `json:"start"`
}

func (s *server) list(w http.ResponseWriter, r *http.Request, k *kind) {
	query := r.URL.Query()
	limit, _ := strconv.Atoi(query.Get("limit"))
	var one *snapshot
	from := 0
	if text := query.Get("continue"); text != "" {
		var t token
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(raw, &t) != nil {
			refuse(w, 400, "BadRequest", "continue key is not valid")
			return
		}
		if one = s.kept(k, t.Version); one == nil {
			refuse(w, 410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
			return
		}
		from = t.Start
		s.stats.count("page " + k.plural)
	} else {
		one = s.snapshot(k)
		if limit > 0 && limit < len(one.objects) {
			s.keep(one)
		}
		s.stats.count("list " + k.plural)
	}
	s.writeList(w, r, one, from, limit)
}

func (s *server) writeList(w http.ResponseWriter, r *http.Request, one *snapshot, from, limit int) {
	k, form := one.kind, s.form(r)
	end, left := from, 0
	for count := 0; end < len(one.objects) && (limit == 0 || count < limit); end++ {
		if !one.objects[end].gone {
			count++
		}
	}
	for _, o := range one.objects[end:] {
		if !o.gone {
			left++
		}
	}
	meta := fmt.Sprintf(`"metadata":{"resourceVersion":"%d"`, one.version)
	if left > 0 {
		next, _ := json.Marshal(token{one.version, end})
		meta += fmt.Sprintf(`,"continue":"%s","remainingItemCount":%d`, base64.RawURLEncoding.EncodeToString(next), left)
	}
	name, version := k.Kind+"List", k.apiVersion()
	if form.metadataOnly {
		name, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	out := s.answer(w, r, end-from)
	defer out.Close()
	b := make([]byte, 0, batch+64<<10)
	b = fmt.Appendf(b, `{"kind":"%s","apiVersion":"%s",%s},"items":[`, name, version, meta)
	first := true
	for number := from; number < end; number++ {
		if one.objects[number].gone {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = s.appendObject(b, k, number, one.objects[number], form)
		if len(b) > batch {
			if _, err := out.Write(b); err != nil {
				return
			}
			s.stats.sent(len(b))
			b = b[:0]
		}
	}
	b = append(b, "]}\n"...)
	out.Write(b)
	s.stats.sent(len(b))
}

type writeCloser interface {
	Write([]byte) (int, error)
	Close() error
}

type plain struct{ http.ResponseWriter }

func (plain) Close() error { return nil }

// answer compresses as the API server does: what is large, if the client accepts it.
func (s *server) answer(w http.ResponseWriter, r *http.Request, objects int) writeCloser {
	w.Header().Set("Content-Type", "application/json")
	if objects*1000 > gzipFrom && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Vary", "Accept-Encoding")
		compressed, _ := gzip.NewWriterLevel(w, gzipLevel)
		return compressed
	}
	return plain{w}
}

func refuse(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(status(code, reason, message))
}

func status(code int, reason, message string) []byte {
	text, _ := json.Marshal(map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": message, "reason": reason, "code": code,
	})
	return append(text, '\n')
}

// --- watches ---

func (s *server) watch(w http.ResponseWriter, r *http.Request, k *kind) {
	query := r.URL.Query()
	form := s.form(r)
	form.named = true
	version, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	initial := query.Get("sendInitialEvents") == "true"
	if initial && s.noWatchList {
		refuse(w, 422, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
		return
	}
	verb := "watch "
	if initial {
		verb = "watchlist "
	}
	s.stats.count(verb + k.plural)
	out, err := openStream(w, s.stats)
	if err != nil {
		return
	}
	defer out.close()
	at := 0
	if initial || version == 0 {
		one := s.snapshot(k)
		for number, o := range one.objects {
			if !o.gone && !out.event("ADDED", func(b []byte) []byte { return s.appendObject(b, k, number, o, form) }) {
				return
			}
		}
		if initial {
			s.bookmark(out, k, one.version, true)
		}
		at = one.next
	} else {
		k.mu.RLock()
		gone := version < k.oldest
		at = k.forgot + searchLog(k.log, version)
		k.mu.RUnlock()
		if gone {
			out.event("ERROR", func(b []byte) []byte {
				text := status(410, "Expired", fmt.Sprintf("too old resource version: %d (%d)", version, k.oldest))
				return append(b, text[:len(text)-1]...)
			})
			out.end()
			return
		}
	}
	s.follow(r, out, k, at, form)
}

// searchLog finds the first change that is newer than a version.
func searchLog(log []change, version uint64) int {
	at, _ := slices.BinarySearchFunc(log, version+1, func(c change, v uint64) int {
		if c.rv < v {
			return -1
		}
		return 1
	})
	return at
}

func (s *server) bookmark(out *stream, k *kind, version uint64, last bool) bool {
	return out.event("BOOKMARK", func(b []byte) []byte {
		b = fmt.Appendf(b, `{"kind":"%s","apiVersion":"%s","metadata":{"resourceVersion":"%d"`, k.Kind, k.apiVersion(), version)
		if last {
			b = append(b, `,"annotations":{"k8s.io/initial-events-end":"true"}`...)
		}
		if k == s.pods {
			return append(b, `},"spec":{"containers":null},"status":{}}`...)
		}
		return append(b, `},"spec":{},"status":{}}`...)
	}) && out.flush()
}

// follow sends the changes of a kind as they come, until the client goes or its time is over.
func (s *server) follow(r *http.Request, out *stream, k *kind, at int, form form) {
	var ends <-chan time.Time
	if seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds")); seconds > 0 {
		ends = time.After(time.Duration(seconds) * time.Second)
	}
	bookmarks := time.NewTicker(s.bookmarkEvery)
	defer bookmarks.Stop()
	seen := uint64(0)
	for {
		k.mu.RLock()
		if at < k.forgot {
			k.mu.RUnlock()
			return // It was too slow, as a watcher whose buffer is full: the connection ends.
		}
		fresh := slices.Clone(k.log[at-k.forgot : min(len(k.log), at-k.forgot+1024)])
		announce := k.announce
		if len(fresh) == 0 {
			seen = max(k.newest, k.oldest)
		}
		k.mu.RUnlock()
		for _, c := range fresh {
			if !out.event(verbs[c.verb], func(b []byte) []byte { return s.appendObject(b, k, int(c.number), c.object, form) }) {
				return
			}
		}
		at += len(fresh)
		if len(fresh) > 0 {
			continue
		}
		if !out.flush() {
			return
		}
		select {
		case <-announce:
		case <-bookmarks.C:
			if !s.bookmark(out, k, seen, false) {
				return
			}
		case <-ends:
			out.end()
			return
		case <-out.gone:
			return
		}
	}
}

// A stream is an answer whose every event is one chunk, as the API server sends them. It writes to the connection
// itself, many chunks at once: one by one, the kernel would be the bottleneck.
type stream struct {
	conn   net.Conn
	stats  *stats
	buffer []byte
	gone   chan struct{}
}

func openStream(w http.ResponseWriter, stats *stats) (*stream, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	out := &stream{conn: conn, stats: stats, buffer: make([]byte, 0, batch+64<<10), gone: make(chan struct{})}
	go out.listen(buffered)
	out.buffer = fmt.Appendf(out.buffer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %s\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n", time.Now().UTC().Format(http.TimeFormat))
	stats.streams.Add(1)
	out.flush()
	return out, nil
}

// listen waits for the client to hang up; it has nothing else to say.
func (out *stream) listen(from *bufio.ReadWriter) {
	from.ReadByte()
	close(out.gone)
}

const chunkHead = "000000\r\n"

func (out *stream) event(verb string, object func([]byte) []byte) bool {
	start := len(out.buffer)
	b := append(out.buffer, chunkHead...)
	b = append(b, `{"type":"`...)
	b = append(b, verb...)
	b = append(b, `","object":`...)
	b = append(object(b), "}\n"...)
	size := len(b) - start - len(chunkHead)
	for i := range 6 {
		b[start+i] = hexDigits[size>>(4*(5-i))&15]
	}
	out.buffer = append(b, "\r\n"...)
	return len(out.buffer) < batch || out.flush()
}

func (out *stream) flush() bool {
	if len(out.buffer) == 0 {
		return true
	}
	_, err := out.conn.Write(out.buffer)
	out.stats.sent(len(out.buffer))
	out.buffer = out.buffer[:0]
	return err == nil
}

func (out *stream) end() {
	out.buffer = append(out.buffer, "0\r\n\r\n"...)
	out.flush()
}

func (out *stream) close() {
	out.stats.streams.Add(-1)
	out.conn.Close()
}
