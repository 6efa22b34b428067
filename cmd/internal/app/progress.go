package app

import (
	"fmt"
	"io"
	"sync"
)

// progress tells a person at the terminal what is going on: Chinese first, then
// English.
type progress struct {
	mu sync.Mutex
	w  io.Writer
}

func (p *progress) step(zh, en string) { p.line("· %s  %s …", zh, en) }

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, format+"\n", args...) //nolint:errcheck // a closed terminal is no reason to stop
}
