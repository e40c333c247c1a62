package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// A template is an object of a real API server whose identity was cut out: literal bytes, each followed by a hole.
// The metadata comes first in every object, so a template is kept in two parts: up to its end, and the rest.
type template struct {
	metadata []segment
	rest     []segment
}

type segment struct {
	literal []byte
	hole    hole
	arg     int // the offset of a time in seconds, or the number of a container
}

type hole uint8

const (
	none hole = iota
	holeName
	holeNamespace
	holeUID
	holeRV
	holeApp
	holeReplicaSet
	holeReplicaSetUID
	holeDeploymentUID
	holeServiceUID
	holeHash
	holeNode
	holeHostIP
	holePodIP
	holeZone
	holeInstance
	holeToken
	holeContainer
	holeImage
	holeNoise
	holeNodes
	holeClusterIP
	holeVolume
	holeVolumeUID
	holeClaimUID
	holePod
	holePodUID
	holePodRV
	holeRestarts
	holeCount
	holeReplicas
	holeReady
	holeUnready
	holeAvailable
	holeAvailableReason
	holeAvailableMessage
	holeEndpoints
	holePodReady
	holeSinceCreation // t
	holeSinceChange   // c
	holeMicro         // m
)

var holes = map[string]hole{
	"name": holeName, "namespace": holeNamespace, "uid": holeUID, "rv": holeRV, "app": holeApp,
	"replicaset": holeReplicaSet, "replicasetuid": holeReplicaSetUID, "deploymentuid": holeDeploymentUID,
	"serviceuid": holeServiceUID, "hash": holeHash, "node": holeNode, "hostip": holeHostIP, "podip": holePodIP,
	"zone": holeZone, "instance": holeInstance, "token": holeToken, "image": holeImage, "noise": holeNoise,
	"nodes": holeNodes, "clusterip": holeClusterIP, "volume": holeVolume, "volumeuid": holeVolumeUID,
	"claimuid": holeClaimUID, "pod": holePod, "poduid": holePodUID, "podrv": holePodRV, "restarts": holeRestarts,
	"count": holeCount, "replicas": holeReplicas, "ready": holeReady, "unready": holeUnready,
	"available": holeAvailable, "availablereason": holeAvailableReason, "availablemessage": holeAvailableMessage,
	"endpoints": holeEndpoints, "podready": holePodReady,
}

var (
	holePattern     = regexp.MustCompile(`"@#([a-z]+)@"|@([a-z]+)@|@container(\d)@|@([tcm])(-?\d+)@`)
	metadataOpening = []byte(`{"metadata":{`)
)

func loadTemplate(name string) (template, error) {
	raw, err := templateFiles.ReadFile(path.Join("templates", name+".json"))
	if err != nil {
		return template{}, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return template{}, fmt.Errorf("%s: %w", name, err)
	}
	text := compact.Bytes()
	if !bytes.HasPrefix(text, metadataOpening) { // a part of an object
		rest, err := cut(text)
		return template{rest: rest}, err
	}
	var object struct{ Metadata json.RawMessage }
	if err := json.Unmarshal(text, &object); err != nil {
		return template{}, fmt.Errorf("%s: %w", name, err)
	}
	end := len(`{"metadata":`) + len(object.Metadata)
	metadata, err := cut(text[1:end])
	if err != nil {
		return template{}, fmt.Errorf("%s: %w", name, err)
	}
	rest, err := cut(text[end:])
	return template{metadata: metadata, rest: rest}, err
}

// cut splits text at its holes.
func cut(text []byte) ([]segment, error) {
	var found []segment
	at := 0
	for _, m := range holePattern.FindAllSubmatchIndex(text, -1) {
		s := segment{literal: bytes.Clone(text[at:m[0]])}
		group := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return string(text[m[2*n]:m[2*n+1]])
		}
		switch {
		case group(1) != "" || group(2) != "":
			s.hole = holes[group(1)+group(2)]
		case group(3) != "":
			s.hole = holeContainer
			s.arg, _ = strconv.Atoi(group(3))
		default:
			s.hole = hole(int(holeSinceCreation) + strings.Index("tcm", group(4)))
			s.arg, _ = strconv.Atoi(group(5))
		}
		if s.hole == none {
			return nil, fmt.Errorf("there is no hole %q", text[m[0]:m[1]])
		}
		found = append(found, s)
		at = m[1]
	}
	return append(found, segment{literal: bytes.Clone(text[at:])}), nil
}
