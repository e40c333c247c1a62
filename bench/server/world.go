package main

import (
	"embed"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

//go:embed templates
var templateFiles embed.FS

// sizes say how large the cluster is. Everything else follows from the number of an object.
type sizes struct {
	pods, nodes, owners, namespaces, events int
	broken                                  float64 // the share of pods that do not work
	adversarial                             bool    // no two statuses are equal
}

// The states of a pod, in the order of their templates.
const (
	running = iota
	crash
	pull
	oom
	unschedulable
	noisy // running, with numbers, times and messages that no other pod has
	states
)

var stateNames = [states]string{"running", "crash", "pull", "oom", "unschedulable", "noisy"}

// The Events, in the order of their templates.
const (
	backOff = iota
	unhealthy
	started
	failed
	failedScheduling
)

var eventNames = []string{"event-backoff", "event-unhealthy", "event-started", "event-failed", "event-failedscheduling"}

// An object is what of an object cannot be worked out from its number; 24 bytes, so that a million of them are cheap.
type object struct {
	rv      uint64
	changed uint32 // when its state changed last, in seconds since the epoch; 0 for never
	value   uint32 // restarts of a pod, ready pods of a workload, the number of the pod that an Event is about
	count   uint32 // how often an Event was seen
	state   uint8
	gone    bool
}

type change struct {
	object
	number int32
	verb   uint8
}

const (
	added = iota
	modified
	deleted
)

var verbs = [...]string{"ADDED", "MODIFIED", "DELETED"}

// Entries of a log, of which the older half is forgotten when there are more: a watch from before gets 410.
const longestLog = 1 << 20

type kind struct {
	Kind, group, version, plural string
	namespaced                   bool
	salt                         uint64
	templates                    []template
	pick                         func(number int, o object) *template

	mu       sync.RWMutex
	objects  []object
	log      []change
	forgot   int    // entries that were forgotten
	oldest   uint64 // the version from which a watch can go on
	newest   uint64
	announce chan struct{} // closed at the next change
}

func (k *kind) path() string {
	if k.group == "" {
		return "/api/" + k.version + "/" + k.plural
	}
	return "/apis/" + k.group + "/" + k.version + "/" + k.plural
}

func (k *kind) apiVersion() string {
	if k.group == "" {
		return k.version
	}
	return k.group + "/" + k.version
}

type world struct {
	sizes
	began   int64 // when the server was started, in seconds since the epoch
	version atomic.Uint64
	kinds   []*kind

	pods, nodes, events, services, slices, deployments, replicaSets, claims, volumes *kind

	endpoint template
}

func newWorld(s sizes) (*world, error) {
	w := &world{sizes: s, began: time.Now().Unix()}
	w.version.Store(1_000_000)
	load := func(names ...string) (found []template, err error) {
		for _, name := range names {
			one, err := loadTemplate(name)
			if err != nil {
				return nil, err
			}
			found = append(found, one)
		}
		return found, nil
	}
	var failure error
	add := func(name, group, version, plural string, namespaced bool, count int, names ...string) *kind {
		templates, err := load(names...)
		if err != nil && failure == nil {
			failure = err
		}
		k := &kind{
			Kind: name, group: group, version: version, plural: plural, namespaced: namespaced,
			salt: uint64(len(w.kinds)+1) << 40, templates: templates, announce: make(chan struct{}),
		}
		k.pick = func(number int, o object) *template { return &k.templates[o.state] }
		for range count {
			k.objects = append(k.objects, object{rv: w.version.Add(1)})
		}
		w.kinds = append(w.kinds, k)
		return k
	}
	byContainers := func(k *kind) *kind {
		k.pick = func(number int, o object) *template { return &k.templates[containers(number)-1] }
		return k
	}

	w.nodes = add("Node", "", "v1", "nodes", false, s.nodes, "node")
	var podNames []string
	for count := 1; count <= 3; count++ {
		for _, state := range stateNames {
			podNames = append(podNames, fmt.Sprintf("pod-%d-%s", count, state))
		}
	}
	w.pods = add("Pod", "", "v1", "pods", true, s.pods, podNames...)
	w.pods.pick = func(number int, o object) *template {
		state := int(o.state)
		if state == running && s.adversarial {
			state = noisy
		}
		return &w.pods.templates[(containers(w.owner(number))-1)*states+state]
	}
	w.events = add("Event", "", "v1", "events", true, s.events, eventNames...)
	add("Namespace", "", "v1", "namespaces", false, s.namespaces, "namespace")
	add("ResourceQuota", "", "v1", "resourcequotas", true, s.namespaces, "quota")
	stateful := s.owners / 5
	w.claims = add("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims", true, stateful, "claim")
	w.volumes = add("PersistentVolume", "", "v1", "persistentvolumes", false, stateful, "volume")
	add("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers", true, stateful, "autoscaler")
	w.services = byContainers(add("Service", "", "v1", "services", true, s.owners,
		"service-1", "service-2", "service-3"))
	w.slices = byContainers(add("EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", true, s.owners,
		"slice-1", "slice-2", "slice-3"))
	w.deployments = byContainers(add("Deployment", "apps", "v1", "deployments", true, s.owners,
		"deployment-1", "deployment-2", "deployment-3"))
	w.replicaSets = byContainers(add("ReplicaSet", "apps", "v1", "replicasets", true, s.owners,
		"replicaset-1", "replicaset-2", "replicaset-3"))
	add("StatefulSet", "apps", "v1", "statefulsets", true, 0)
	add("DaemonSet", "apps", "v1", "daemonsets", true, 0)
	add("Job", "batch", "v1", "jobs", true, 0)
	add("ReplicationController", "", "v1", "replicationcontrollers", true, 0)
	add("Ingress", "networking.k8s.io", "v1", "ingresses", true, 0)
	add("CSIDriver", "storage.k8s.io", "v1", "csidrivers", false, 0)
	add("StorageClass", "storage.k8s.io", "v1", "storageclasses", false, 1, "class")
	var apiServices []string
	for number := 0; ; number++ {
		name := fmt.Sprintf("apiservice-%02d", number)
		if _, err := templateFiles.Open("templates/" + name + ".json"); err != nil {
			break
		}
		apiServices = append(apiServices, name)
	}
	aggregated := add("APIService", "apiregistration.k8s.io", "v1", "apiservices", false, len(apiServices), apiServices...)
	for number := range aggregated.objects {
		aggregated.objects[number].state = uint8(number)
	}
	endpoint, err := loadTemplate("endpoint")
	if failure == nil {
		failure = err
	}
	w.endpoint = endpoint
	w.populate()
	for _, k := range w.kinds {
		k.oldest, k.newest = w.version.Load(), w.version.Load()
	}
	return w, failure
}

// populate breaks some pods, tells Events of them, and counts what is ready.
func (w *world) populate() {
	var broken []int
	for number := range w.pods.objects {
		o := &w.pods.objects[number]
		if dice := mix(uint64(number) ^ 0xb0); float64(dice%100_000) < w.broken*100_000 {
			o.state = uint8(crash + dice>>32%4)
			o.changed = uint32(w.began - 600 - int64(mix(dice)%80_000))
			o.value = uint32(5 + dice>>40%200)
			broken = append(broken, number)
		} else if w.adversarial {
			o.value = uint32(number + 1)
		}
	}
	for number := range w.events.objects {
		o := &w.events.objects[number]
		*o = w.newEvent(number, broken)
		o.rv = w.version.Add(1)
	}
	for owner := range w.deployments.objects {
		first, end := w.podsOf(owner)
		ready := 0
		for number := first; number < end; number++ {
			if w.pods.objects[number].state == running {
				ready++
			}
		}
		w.deployments.objects[owner].value = uint32(ready)
		w.replicaSets.objects[owner].value = uint32(ready)
	}
}

// newEvent is about a pod that does not work while there are such without one, else about any.
func (w *world) newEvent(number int, broken []int) object {
	dice := mix(uint64(number) ^ 0xe7)
	pod := int(dice % uint64(w.sizes.pods))
	if number < len(broken) {
		pod = broken[number]
	}
	state := []uint8{running: started, crash: backOff, pull: failed, oom: backOff, unschedulable: failedScheduling}[w.pods.objects[pod].state]
	if state == started && dice>>60 < 4 {
		state = unhealthy
	}
	return object{value: uint32(pod), state: state, count: uint32(1 + dice>>32%50), changed: uint32(w.began - int64(dice>>16%3000))}
}

// --- what follows from a number ---

// owner is the workload that a pod belongs to; pods beyond the first ones are spread over all of them.
func (w *world) owner(pod int) int {
	if pod < w.sizes.pods {
		return pod * w.owners / w.sizes.pods
	}
	return pod % w.owners
}

// podsOf is the first of an owner's pods, and the one after the last.
func (w *world) podsOf(owner int) (first, end int) {
	up := func(n int) int { return (n*w.sizes.pods + w.owners - 1) / w.owners }
	return up(owner), up(owner + 1)
}

// node is where a pod runs: a permutation, so that all nodes have as many.
func (w *world) node(pod int) int { return pod * 7919 % w.sizes.nodes }

// containers is how many containers a workload's pods have: 60 % have one, 20 % two, 20 % three.
func containers(owner int) int {
	return []int{1, 1, 1, 1, 1, 1, 2, 2, 3, 3}[owner%10]
}

// statefulOwner is the workload behind a claim: those with three containers have one.
func statefulOwner(claim int) int { return claim/2*10 + 8 + claim%2 }

func (w *world) namespace(owner int) int { return owner * w.namespaces / w.owners }

// createdOwner is when a workload was rolled out: within 90 days, and not before all that is said about it.
func (w *world) createdOwner(owner int) int64 {
	return w.began - 100_000 - int64(mix(uint64(owner)^0xc0)%7_600_000)
}

func (w *world) createdPod(pod int) int64 {
	dice := int64(mix(uint64(pod) ^ 0xcd))
	if dice < 0 {
		dice = -dice
	}
	if w.adversarial {
		return w.began - 100_000 - dice%7_600_000
	}
	return w.createdOwner(w.owner(pod)) + dice%90
}

// --- changes ---

// apply notes changes that are made by the callback under the kind's lock.
func (k *kind) apply(w *world, edit func(put func(number int, o object, verb uint8))) {
	k.mu.Lock()
	defer k.mu.Unlock()
	edit(func(number int, o object, verb uint8) {
		o.rv = w.version.Add(1)
		o.gone = verb == deleted
		if number == len(k.objects) {
			k.objects = append(k.objects, o)
		} else {
			k.objects[number] = o
		}
		k.newest = o.rv
		k.log = append(k.log, change{o, int32(number), verb})
	})
	if len(k.log) > longestLog {
		half := len(k.log) - longestLog/2
		k.oldest = k.log[half-1].rv
		k.log = append([]change(nil), k.log[half:]...)
		k.forgot += half
	}
	close(k.announce)
	k.announce = make(chan struct{})
}
