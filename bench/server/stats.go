package main

import (
	"maps"
	"sync"
	"sync/atomic"
)

// stats count what clients do.
type stats struct {
	mu       sync.Mutex
	requests map[string]int
	writes   map[string]int
	bytes    atomic.Int64
	streams  atomic.Int64 // open now
}

func newStats() *stats { return &stats{requests: map[string]int{}, writes: map[string]int{}} }

func (s *stats) sent(n int) { s.bytes.Add(int64(n)) }

func (s *stats) count(what string) {
	s.mu.Lock()
	s.requests[what]++
	s.mu.Unlock()
}

func (s *stats) write(what string) {
	s.mu.Lock()
	s.writes[what]++
	s.mu.Unlock()
}

func (s *stats) all() body {
	s.mu.Lock()
	defer s.mu.Unlock()
	return body{
		"requests": maps.Clone(s.requests), "writes": maps.Clone(s.writes),
		"bytes": s.bytes.Load(), "streams": s.streams.Load(),
	}
}
