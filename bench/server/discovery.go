package main

import (
	"net/http"
	"strings"
)

// A resource is what discovery tells of a kind.
type resource struct {
	Name         string   `json:"name"`
	SingularName string   `json:"singularName"`
	Namespaced   bool     `json:"namespaced"`
	Kind         string   `json:"kind"`
	Verbs        []string `json:"verbs"`
}

// registerDiscovery serves /version, and what is served.
func (s *server) registerDiscovery(mux *http.ServeMux) {
	serve := func(path string, what body) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			s.stats.count("discover " + path)
			answer(w, 200, what)
		})
	}
	serve("/version", body{
		"major": "1", "minor": "36", "gitVersion": "v1.36.3", "goVersion": "go1.26.8", "platform": "linux/amd64",
	})
	serve("/api", body{"kind": "APIVersions", "versions": []string{"v1"}})
	served := map[string][]resource{}
	var order []string
	note := func(group, version string, r resource) {
		key := group + "/" + version
		if served[key] == nil {
			order = append(order, key)
		}
		served[key] = append(served[key], r)
	}
	for _, k := range s.kinds {
		note(k.group, k.version, resource{k.plural, "", k.namespaced, k.Kind, []string{"get", "list", "watch"}})
	}
	for _, o := range s.own {
		verbs := []string{"create", "delete", "get", "list", "patch", "update", "watch"}
		note(o.group, o.version, resource{o.plural, "", o.namespaced, o.Kind, verbs})
		note(o.group, o.version, resource{o.plural + "/status", "", o.namespaced, o.Kind, verbs[2:]})
	}
	var groups []body
	for _, key := range order {
		if key == "/v1" {
			serve("/api/v1", body{"kind": "APIResourceList", "groupVersion": "v1", "resources": served[key]})
			continue
		}
		serve("/apis/"+key, body{
			"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": key, "resources": served[key],
		})
		group, version, _ := strings.Cut(key, "/")
		one := body{"groupVersion": key, "version": version}
		entry := body{"name": group, "versions": []body{one}, "preferredVersion": one}
		groups = append(groups, entry)
		serve("/apis/"+group, with(entry, "kind", "APIGroup"))
	}
	serve("/apis", body{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}
