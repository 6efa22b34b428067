package influx

import (
	"sync"
	"time"
)

const (
	boundLeast = 16 << 10         // slow answers never ask for smaller requests
	boundHolds = 10 * time.Minute // before the bound is doubled again
	slowTimes  = 2                // in a row, before the bound is halved
)

// A bound is how large one request may be. What the server or a proxy does not
// take makes it smaller; time makes it large again.
type bound struct {
	mu    sync.Mutex
	most  int
	now   int
	until time.Time
	slows int // in a row
}

// part is the beginning of the lines that fits one request, at least one line.
func (b *bound) part(lines []line) []line {
	b.mu.Lock()
	for b.now < b.most && time.Now().After(b.until) {
		b.now = min(2*b.now, b.most)
		b.until = time.Now().Add(boundHolds)
	}
	most := b.now
	b.mu.Unlock()
	bytes := 0
	for i, l := range lines {
		if bytes += l.end - l.begin; bytes > most && i > 0 {
			return lines[:i]
		}
	}
	return lines
}

func (b *bound) shrink(size int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.halve(size, 1)
}

// halve makes the bound half of a size that did not work. The caller holds mu.
func (b *bound) halve(size, least int) int {
	b.now = min(b.now, max(size/2, least))
	b.until = time.Now().Add(boundHolds)
	b.slows = 0
	return b.now
}

// slow notes a request that was not answered in time. Only repeated ones say
// that the size is the cause, and not a server that is away.
func (b *bound) slow(size int) (now int, shrunk bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slows++; b.slows < slowTimes || size <= boundLeast {
		return b.now, false
	}
	before := b.now
	return b.halve(size, boundLeast), b.now < before
}

func (b *bound) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slows = 0
}
