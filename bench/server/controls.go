package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// An emission is a number of changes, made at a rate or all at once.
type emission struct {
	mu    sync.Mutex
	mix   string
	began int64   // in nanoseconds since the epoch, as are all its times
	marks []int64 // when each change was made that a measure looks for
	made  int
	done  bool
}

// registerControls serves what the benchmarks use and no client of Kubernetes knows.
func (s *server) registerControls(mux *http.ServeMux) {
	var mu sync.Mutex
	var emissions []*emission
	mux.HandleFunc("/ctl/stats", func(w http.ResponseWriter, r *http.Request) {
		all := s.stats.all()
		all["world"] = s.census()
		answer(w, 200, all)
	})
	mux.HandleFunc("/ctl/emit", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		n, _ := strconv.Atoi(query.Get("n"))
		rate, _ := strconv.ParseFloat(query.Get("rate"), 64)
		age, err := strconv.Atoi(query.Get("age"))
		if err != nil {
			age = 3600
		}
		mixer, is := mixes[query.Get("mix")]
		if !is {
			refuse(w, 400, "BadRequest", "there is no such mix")
			return
		}
		e := &emission{mix: query.Get("mix"), began: time.Now().UnixNano()}
		mu.Lock()
		emissions = append(emissions, e)
		id := len(emissions) - 1
		mu.Unlock()
		run := &emitter{server: s, emission: e, age: uint32(age), dice: mix(uint64(id)<<32 ^ s.version.Load())}
		if rate == 0 {
			run.burst(n, mixer)
		} else {
			go run.pace(n, rate, mixer)
		}
		answer(w, 200, body{"id": id, "began": e.began})
	})
	mux.HandleFunc("/ctl/emission", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.Atoi(r.URL.Query().Get("id"))
		mu.Lock()
		e := emissions[id]
		mu.Unlock()
		e.mu.Lock()
		defer e.mu.Unlock()
		answer(w, 200, body{"began": e.began, "made": e.made, "done": e.done, "marks": e.marks})
	})
}

// census counts the pods by state, and the objects by kind.
func (s *server) census() body {
	pods := map[string]int{}
	s.pods.mu.RLock()
	for _, o := range s.pods.objects {
		if !o.gone {
			pods[stateNames[o.state]]++
		}
	}
	s.pods.mu.RUnlock()
	kinds := map[string]int{}
	for _, k := range s.kinds {
		k.mu.RLock()
		for _, o := range k.objects {
			if !o.gone {
				kinds[k.Kind]++
			}
		}
		k.mu.RUnlock()
	}
	return body{"pods": pods, "kinds": kinds}
}

// dump writes all objects as `kubectl get -o json` does, or one a line.
func (s *server) dump(path string, lines bool) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, 1<<20)
	separator := "\n"
	if !lines {
		fmt.Fprint(out, "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n")
		separator = ",\n"
	}
	var b []byte
	first := true
	for _, k := range s.kinds {
		for number, o := range k.objects {
			if !first {
				out.WriteString(separator)
			}
			first = false
			b = s.appendObject(b[:0], k, number, o, form{named: true})
			out.Write(b)
		}
	}
	if lines {
		fmt.Fprintln(out)
	} else {
		fmt.Fprint(out, "\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n")
	}
	return out.Flush()
}
