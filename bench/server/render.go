package main

var words = [...]string{
	"cart", "checkout", "catalog", "search", "billing", "ledger", "mail", "gateway", "session", "profile", "ranking",
	"stock", "orders", "pricing", "reports", "images", "tracking", "payments", "reviews", "exports",
}

// A subject is what an object is about; every hole is filled from it.
type subject struct {
	number  int
	object  object
	owner   int
	pod     int
	node    int
	created int64
	salt    uint64
	isPod   bool
}

func (w *world) subject(k *kind, number int, o object) subject {
	s := subject{number: number, object: o, owner: number, node: number, salt: k.salt}
	switch k.plural {
	case "pods":
		s = w.podSubject(number, o)
	case "events":
		s.pod = int(o.value)
		s.owner, s.node = w.owner(s.pod), w.node(s.pod)
		s.created = int64(o.changed) - 60*int64(o.count)
	case "persistentvolumeclaims", "persistentvolumes", "horizontalpodautoscalers":
		s.owner = statefulOwner(number)
		s.created = w.createdOwner(s.owner)
	case "namespaces", "resourcequotas":
		s.owner = (number*w.owners + w.namespaces - 1) / w.namespaces
		s.created = w.began - 8_000_000
	default:
		s.created = w.createdOwner(s.owner)
	}
	return s
}

func (w *world) podSubject(number int, o object) subject {
	return subject{
		number: number, object: o, owner: w.owner(number), pod: number, node: w.node(number), salt: w.pods.salt,
		created: w.createdPod(number), isPod: true,
	}
}

// appendObject renders an object as the API server does: without its kind in a list, with it in a watch.
func (w *world) appendObject(b []byte, k *kind, number int, o object, form form) []byte {
	b = append(b, '{')
	switch {
	case form.metadataOnly:
		b = append(b, `"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",`...)
	case form.named:
		b = append(b, `"kind":"`...)
		b = append(b, k.Kind...)
		b = append(b, `","apiVersion":"`...)
		b = append(b, k.apiVersion()...)
		b = append(b, `",`...)
	}
	s := w.subject(k, number, o)
	t := k.pick(number, o)
	b = w.fill(b, k, t.metadata, &s)
	if form.metadataOnly {
		return append(b, '}')
	}
	return w.fill(b, k, t.rest, &s)
}

type form struct{ named, metadataOnly bool }

func (w *world) fill(b []byte, k *kind, segments []segment, s *subject) []byte {
	for i := range segments {
		b = append(b, segments[i].literal...)
		if segments[i].hole != none {
			b = w.fillHole(b, k, &segments[i], s)
		}
	}
	return b
}

func (w *world) fillHole(b []byte, k *kind, g *segment, s *subject) []byte {
	switch g.hole {
	case holeName:
		return w.appendName(b, k, s)
	case holeNamespace:
		return appendPadded(append(b, "team-"...), w.namespace(s.owner), 3)
	case holeUID:
		return appendUID(b, s.salt|uint64(s.number))
	case holeRV:
		return appendInt(b, int(s.object.rv))
	case holeApp:
		return appendApp(b, s.owner)
	case holeReplicaSet:
		return appendReplicaSet(b, s.owner)
	case holeHash:
		return appendRandom(b, uint64(s.owner)^0xab, 10)
	case holeReplicaSetUID:
		return appendUID(b, w.replicaSets.salt|uint64(s.owner))
	case holeDeploymentUID:
		return appendUID(b, w.deployments.salt|uint64(s.owner))
	case holeServiceUID:
		return appendUID(b, w.services.salt|uint64(s.owner))
	case holeNode:
		return appendNode(b, s.node)
	case holeHostIP:
		return appendIP(b, 10<<24|1<<16|s.node)
	case holePodIP:
		return appendIP(b, 100<<24|64<<16|s.pod)
	case holeZone:
		return append(append(b, "zone-"...), byte('a'+s.node%3))
	case holeInstance:
		return appendHex(append(b, "i-"...), mix(uint64(s.node)^0x1d), 16)
	case holeToken:
		return appendRandom(b, uint64(s.pod)^0x70, 5)
	case holeContainer:
		return appendLong(b, uint64(s.number)<<8^uint64(g.arg)<<4^uint64(s.object.value)<<32)
	case holeImage:
		return appendLong(b, uint64(s.owner)^0x1a<<56)
	case holeNoise:
		return appendHex(append(b, "the attempt ended with code "...), mix(s.object.rv), 16)
	case holeNodes:
		return appendInt(b, w.sizes.nodes)
	case holeClusterIP:
		return appendIP(b, 172<<24|20<<16|s.owner+1)
	case holeVolume:
		return appendUID(append(b, "pvc-"...), w.claims.salt|uint64(claimOf(s.owner)))
	case holeVolumeUID:
		return appendUID(b, w.volumes.salt|uint64(claimOf(s.owner)))
	case holeClaimUID:
		return appendUID(b, w.claims.salt|uint64(claimOf(s.owner)))
	case holePod:
		return w.appendPod(b, s.pod)
	case holePodUID:
		return appendUID(b, w.pods.salt|uint64(s.pod))
	case holePodRV:
		return appendInt(b, 900_000+s.pod)
	case holeRestarts:
		return appendInt(b, int(s.object.value))
	case holeCount:
		return appendInt(b, int(s.object.count))
	case holeReplicas:
		return appendInt(b, w.replicas(s.owner))
	case holeReady:
		return appendInt(b, int(s.object.value))
	case holeUnready:
		return appendInt(b, max(0, w.replicas(s.owner)-int(s.object.value)))
	case holeAvailable, holeAvailableReason, holeAvailableMessage:
		return append(b, availability[w.isAvailable(s)][g.hole-holeAvailable]...)
	case holeEndpoints:
		return w.appendEndpoints(b, s.owner)
	case holePodReady:
		if s.object.state == running {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case holeSinceCreation:
		// A pod that runs again is ready since then; what comes before its readiness stays.
		if s.isPod && s.object.changed > 0 && s.object.state == running && g.arg >= 30 {
			return appendTime(b, int64(s.object.changed))
		}
		return appendTime(b, s.created+int64(g.arg))
	case holeSinceChange:
		return appendTime(b, int64(s.object.changed)+int64(g.arg)-10)
	case holeMicro:
		b = appendTime(b, s.created+int64(g.arg))
		return append(appendPadded(append(b[:len(b)-1], '.'), int(mix(uint64(s.number))%1_000_000), 6), 'Z')
	}
	panic("a hole that nobody fills")
}

func (w *world) appendName(b []byte, k *kind, s *subject) []byte {
	switch k.plural {
	case "pods":
		return w.appendPod(b, s.number)
	case "nodes":
		return appendNode(b, s.number)
	case "namespaces":
		return appendPadded(append(b, "team-"...), s.number, 3)
	case "events":
		return appendHex(append(w.appendPod(b, s.pod), '.'), mix(uint64(s.number)^0xe0), 16)
	default: // endpoint slices
		return appendRandom(append(appendApp(b, s.owner), '-'), uint64(s.owner)^0x51, 5)
	}
}

func (w *world) appendPod(b []byte, pod int) []byte {
	return appendRandom(append(appendReplicaSet(b, w.owner(pod)), '-'), uint64(pod)^0x90d, 5)
}

func appendApp(b []byte, owner int) []byte {
	return appendPadded(append(append(b, words[owner%len(words)]...), '-'), owner, 4)
}

func appendReplicaSet(b []byte, owner int) []byte {
	return appendRandom(append(appendApp(b, owner), '-'), uint64(owner)^0xab, 10)
}

func appendNode(b []byte, node int) []byte {
	return appendInt(append(appendInt(append(b, "ip-10-1-"...), node>>8), '-'), node&255)
}

func appendIP(b []byte, ip int) []byte {
	b = append(appendInt(b, ip>>24), '.')
	b = append(appendInt(b, ip>>16&255), '.')
	b = append(appendInt(b, ip>>8&255), '.')
	return appendInt(b, ip&255)
}

// appendLong gives 64 hex digits, as container ids and digests have them.
func appendLong(b []byte, seed uint64) []byte {
	for i := range uint64(4) {
		b = appendHex(b, mix(seed+i<<60), 16)
	}
	return b
}

func claimOf(owner int) int { return owner/10*2 + owner%10 - 8 }

func (w *world) replicas(owner int) int {
	first, end := w.podsOf(owner)
	return end - first
}

var availability = map[bool][3]string{
	true:  {"True", "MinimumReplicasAvailable", "Deployment has minimum availability."},
	false: {"False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."},
}

// isAvailable follows the default of a rolling update: a quarter of the pods may be missing.
func (w *world) isAvailable(s *subject) bool {
	return 4*int(s.object.value) >= 3*w.replicas(s.owner)
}

// The most endpoints that the controller puts into one slice.
const mostEndpoints = 100

func (w *world) appendEndpoints(b []byte, owner int) []byte {
	first, end := w.podsOf(owner)
	end = min(end, first+mostEndpoints)
	w.pods.mu.RLock()
	pods := append([]object(nil), w.pods.objects[first:end]...)
	w.pods.mu.RUnlock()
	b = append(b, '[')
	for i, o := range pods {
		if o.state == unschedulable {
			continue // It has no address.
		}
		if b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		s := w.podSubject(first+i, o)
		b = w.fill(b, w.pods, w.endpoint.rest, &s)
	}
	return append(b, ']')
}
