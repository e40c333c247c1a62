package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type body = map[string]any

// A store keeps the objects that clients write: those of kubedx, and Leases. It is no more than they need: create,
// replace, merge-patch of the object or its status, delete, list, watch, and versions that guard each write.
type store struct {
	server                       *server
	Kind, group, version, plural string
	namespaced                   bool

	mu       sync.Mutex
	objects  map[string]body // by namespace/name
	log      []ownChange
	announce chan struct{}
}

type ownChange struct {
	version uint64
	verb    string
	text    []byte
}

func newStore(s *server, kind, group, version, plural string, namespaced bool) *store {
	return &store{
		server: s, Kind: kind, group: group, version: version, plural: plural, namespaced: namespaced,
		objects: map[string]body{}, announce: make(chan struct{}),
	}
}

func (o *store) register(mux *http.ServeMux) {
	base := "/apis/" + o.group + "/" + o.version
	mux.HandleFunc(base+"/"+o.plural, o.serveAll)
	where := base
	if o.namespaced {
		where += "/namespaces/{namespace}"
		mux.HandleFunc(where+"/"+o.plural, o.serveAll)
	}
	mux.HandleFunc(where+"/"+o.plural+"/{name}", o.serveOne)
	mux.HandleFunc(where+"/"+o.plural+"/{name}/status", o.serveOne)
}

func (o *store) serveAll(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPost:
		o.create(w, r)
	case r.Method != http.MethodGet:
		refuse(w, 405, "MethodNotAllowed", "not served")
	case query.Get("watch") == "1" || query.Get("watch") == "true":
		o.server.stats.count("watch " + o.plural)
		o.watch(w, r)
	default:
		o.server.stats.count("list " + o.plural)
		o.mu.Lock()
		items := make([]body, 0, len(o.objects))
		for _, key := range slices.Sorted(maps.Keys(o.objects)) {
			items = append(items, o.objects[key])
		}
		answer(w, 200, body{
			"kind": o.Kind + "List", "apiVersion": o.group + "/" + o.version, "items": items,
			"metadata": body{"resourceVersion": strconv.FormatUint(o.server.version.Load(), 10)},
		})
		o.mu.Unlock()
	}
}

func (o *store) serveOne(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	key := r.PathValue("namespace") + "/" + r.PathValue("name")
	found, is := o.objects[key]
	if !is {
		refuse(w, 404, "NotFound", fmt.Sprintf("%s.%s %q not found", o.plural, o.group, r.PathValue("name")))
		return
	}
	isStatus := strings.HasSuffix(r.URL.Path, "/status")
	switch r.Method {
	case http.MethodGet:
		o.server.stats.count("get " + o.plural)
		answer(w, 200, found)
	case http.MethodDelete:
		o.server.stats.write("delete " + o.plural)
		delete(o.objects, key)
		o.note("DELETED", found)
		answer(w, 200, found)
	case http.MethodPatch, http.MethodPut:
		var change body
		if json.NewDecoder(r.Body).Decode(&change) != nil {
			refuse(w, 400, "BadRequest", "no JSON object")
			return
		}
		o.server.stats.write(strings.ToLower(r.Method) + " " + o.plural)
		wanted, _ := metadata(change)["resourceVersion"].(string)
		if wanted != "" && wanted != metadata(found)["resourceVersion"] {
			refuse(w, 409, "Conflict", "the object has been modified; please apply your changes to the latest version")
			return
		}
		next := change
		if r.Method == http.MethodPatch {
			next = merged(found, change)
		}
		if isStatus {
			next = with(found, "status", next["status"])
		} else {
			next = with(next, "status", found["status"])
		}
		next = with(next, "metadata", maps.Clone(metadata(found)))
		if !isStatus {
			for _, field := range []string{"labels", "annotations"} {
				if given, is := metadata(merged(found, change))[field]; is {
					metadata(next)[field] = given
				}
			}
		}
		o.objects[key] = next
		o.note("MODIFIED", next)
		answer(w, 200, next)
	default:
		refuse(w, 405, "MethodNotAllowed", "not served")
	}
}

func (o *store) create(w http.ResponseWriter, r *http.Request) {
	var made body
	if json.NewDecoder(r.Body).Decode(&made) != nil {
		refuse(w, 400, "BadRequest", "no JSON object")
		return
	}
	o.server.stats.write("post " + o.plural)
	o.mu.Lock()
	defer o.mu.Unlock()
	name, _ := metadata(made)["name"].(string)
	key := r.PathValue("namespace") + "/" + name
	if _, is := o.objects[key]; is {
		refuse(w, 409, "AlreadyExists", fmt.Sprintf("%s.%s %q already exists", o.plural, o.group, name))
		return
	}
	if o.group == "kubedx.dev" {
		delete(made, "status")
	}
	meta := maps.Clone(metadata(made))
	maps.Copy(meta, body{
		"uid": string(appendUID(nil, mix(o.server.version.Load()))), "generation": 1,
		"creationTimestamp": time.Now().UTC().Format(time.RFC3339),
	})
	made = with(made, "metadata", meta)
	o.objects[key] = made
	o.note("ADDED", made)
	answer(w, 201, made)
}

// note gives an object that was changed its version, and tells the watchers.
func (o *store) note(verb string, changed body) {
	version := o.server.version.Add(1)
	metadata(changed)["resourceVersion"] = strconv.FormatUint(version, 10)
	text, _ := json.Marshal(changed)
	o.log = append(o.log, ownChange{version, verb, text})
	close(o.announce)
	o.announce = make(chan struct{})
}

func (o *store) watch(w http.ResponseWriter, r *http.Request) {
	out, err := openStream(w, o.server.stats)
	if err != nil {
		return
	}
	defer out.close()
	query := r.URL.Query()
	version, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
	o.mu.Lock()
	at := 0
	if version > 0 {
		at, _ = slices.BinarySearchFunc(o.log, version+1, func(c ownChange, v uint64) int { return int(c.version) - int(v) })
	} else {
		at = len(o.log)
		for _, key := range slices.Sorted(maps.Keys(o.objects)) {
			text, _ := json.Marshal(o.objects[key])
			out.event("ADDED", func(b []byte) []byte { return append(b, text...) })
		}
	}
	newest := o.server.version.Load()
	o.mu.Unlock()
	if query.Get("sendInitialEvents") == "true" {
		out.event("BOOKMARK", func(b []byte) []byte {
			return fmt.Appendf(b, `{"kind":"%s","apiVersion":"%s/%s","metadata":{"resourceVersion":"%d",`+
				`"annotations":{"k8s.io/initial-events-end":"true"}}}`, o.Kind, o.group, o.version, newest)
		})
	}
	var ends <-chan time.Time
	if seconds, _ := strconv.Atoi(query.Get("timeoutSeconds")); seconds > 0 {
		ends = time.After(time.Duration(seconds) * time.Second)
	}
	for {
		o.mu.Lock()
		fresh, announce := o.log[at:], o.announce
		o.mu.Unlock()
		for _, c := range fresh {
			out.event(c.verb, func(b []byte) []byte { return append(b, c.text...) })
		}
		at += len(fresh)
		if !out.flush() {
			return
		}
		select {
		case <-announce:
		case <-ends:
			out.end()
			return
		case <-out.gone:
			return
		}
	}
}

func metadata(of body) body {
	meta, _ := of["metadata"].(body)
	if meta == nil {
		return body{}
	}
	return meta
}

func with(of body, field string, value any) body {
	copied := maps.Clone(of)
	if value == nil {
		delete(copied, field)
	} else {
		copied[field] = value
	}
	return copied
}

// merged applies a JSON merge patch (RFC 7396) without touching what it is applied to.
func merged(target, patch body) body {
	result := maps.Clone(target)
	if result == nil {
		result = body{}
	}
	for field, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(result, field)
		case body:
			old, _ := result[field].(body)
			result[field] = merged(old, value)
		default:
			result[field] = value
		}
	}
	return result
}

func answer(w http.ResponseWriter, code int, what any) {
	text, _ := json.Marshal(what)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(text, '\n'))
}
