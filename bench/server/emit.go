package main

import "time"

// An emitter makes the changes of one emission.
type emitter struct {
	server   *server
	emission *emission
	age      uint32 // how many seconds ago a state that it makes began, so that no check waits for it to last
	dice     uint64
	victim   int // the pod that the last mark broke
}

// A mixer makes the next change. The number is that of the change within its emission.
type mixer func(e *emitter, number int)

var mixes = map[string]mixer{
	"storm":     func(e *emitter, number int) { e.flip(number%e.server.sizes.pods, 0.8) },
	"flips":     func(e *emitter, _ int) { e.flip(e.roll(e.server.sizes.pods), 0.8) },
	"realistic": func(e *emitter, _ int) { e.realistic() },
	"marked":    marked,
	"marks":     func(e *emitter, _ int) { e.mark() },
	"create":    func(e *emitter, _ int) { e.create() },
	"delete":    func(e *emitter, _ int) { e.delete() },
}

// roll gives a number below a limit.
func (e *emitter) roll(limit int) int {
	e.dice = mix(e.dice)
	return int(e.dice >> 1 % uint64(limit))
}

const tick = time.Millisecond

// pace makes changes at a rate a second; what is due at a tick is made at once.
func (e *emitter) pace(n int, rate float64, next mixer) {
	began := time.Now()
	e.emission.mu.Lock()
	e.emission.began = began.UnixNano()
	e.emission.mu.Unlock()
	for made := 0; made < n; {
		due := min(n, int(time.Since(began).Seconds()*rate)+1)
		for ; made < due; made++ {
			next(e, made)
		}
		e.note(made, made == n)
		time.Sleep(tick)
	}
}

func (e *emitter) burst(n int, next mixer) {
	for number := range n {
		next(e, number)
	}
	e.note(n, true)
}

func (e *emitter) note(made int, done bool) {
	e.emission.mu.Lock()
	e.emission.made, e.emission.done = made, done
	e.emission.mu.Unlock()
}

// edit replaces one object.
func (e *emitter) edit(k *kind, number int, verb uint8, change func(o *object)) {
	k.apply(e.server.world, func(put func(int, object, uint8)) {
		var o object
		if number < len(k.objects) {
			o = k.objects[number]
		} else {
			number = len(k.objects)
		}
		change(&o)
		put(number, o, verb)
	})
}

func (e *emitter) now() uint32 { return uint32(time.Now().Unix()) }

// flip gives a pod a state by chance: broken with a given share, else running.
func (e *emitter) flip(number int, broken float64) {
	state := uint8(running)
	if float64(e.roll(1000)) < broken*1000 {
		state = uint8(crash + e.roll(4))
	}
	e.turn(number, state)
}

func (e *emitter) turn(number int, state uint8) {
	e.edit(e.server.pods, number, modified, func(o *object) {
		o.state = state
		o.changed = e.now() - e.age
		o.value++
	})
}

// realistic is the mix of a busy cluster whose health stays as it is: 55 % pods, half of which restart and half of
// which report what changes nothing; 25 % Events; 10 % endpoint slices; 8 % workloads; 2 % nodes.
func (e *emitter) realistic() {
	s := e.server
	switch dice := e.roll(100); {
	case dice < 27:
		number := e.roll(s.sizes.pods)
		e.edit(s.pods, number, modified, func(o *object) {
			o.value++
			o.changed = e.now() - e.age
		})
	case dice < 55:
		e.edit(s.pods, e.roll(s.sizes.pods), modified, func(*object) {})
	case dice < 68:
		e.tell()
	case dice < 80:
		e.edit(s.events, e.roll(s.sizes.events), modified, func(o *object) {
			o.count++
			o.changed = e.now()
		})
	case dice < 90:
		e.edit(s.slices, e.roll(s.owners), modified, func(*object) {})
	case dice < 95:
		e.edit(s.replicaSets, e.roll(s.owners), modified, func(*object) {})
	case dice < 98:
		e.edit(s.deployments, e.roll(s.owners), modified, func(*object) {})
	default:
		e.edit(s.nodes, e.roll(s.sizes.nodes), modified, func(*object) {})
	}
}

// tell adds an Event about a pod, and lets the oldest one expire.
func (e *emitter) tell() {
	s := e.server
	pod := e.roll(s.sizes.pods)
	s.pods.mu.RLock()
	state := s.pods.objects[pod].state
	s.pods.mu.RUnlock()
	reason := []uint8{running: started, crash: backOff, pull: failed, oom: backOff, unschedulable: failedScheduling, noisy: started}[state]
	s.events.apply(s.world, func(put func(int, object, uint8)) {
		put(len(s.events.objects), object{value: uint32(pod), state: reason, count: 1, changed: e.now()}, added)
		if old := s.expired; old < len(s.events.objects)-1 {
			put(old, s.events.objects[old], deleted)
			s.expired++
		}
	})
}

// mark breaks one more pod that worked: one more finding, whose number a metric shows.
func (e *emitter) mark() {
	s := e.server
	for {
		e.victim = (e.victim + 7919) % s.sizes.pods
		s.pods.mu.RLock()
		works := s.pods.objects[e.victim].state == running
		s.pods.mu.RUnlock()
		if works {
			break
		}
	}
	e.turn(e.victim, crash)
	e.emission.mu.Lock()
	e.emission.marks = append(e.emission.marks, time.Now().UnixNano())
	e.emission.mu.Unlock()
}

// Of each thousand changes, the last forty are marks.
const (
	cycle       = 1000
	marksACycle = 40
)

// marked is the realistic mix, in which marks come forty at a time.
func marked(e *emitter, number int) {
	if number%cycle >= cycle-marksACycle {
		e.mark()
	} else {
		e.realistic()
	}
}

// create adds a pod that works.
func (e *emitter) create() {
	s := e.server
	e.edit(s.pods, len(s.pods.objects), added, func(o *object) { *o = object{} })
}

// delete removes the oldest pod that create added.
func (e *emitter) delete() {
	s := e.server
	number := max(s.removed, s.sizes.pods)
	if number < len(s.pods.objects) {
		e.edit(s.pods, number, deleted, func(*object) {})
		s.removed = number + 1
	}
}
